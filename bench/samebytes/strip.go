//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// stripJSON drops every field "seconds".
func stripJSON(data []byte) ([]byte, error) { return without(data, "seconds", "label_curve") } // which audit.json has

// without drops every field of these names from JSON.
func without(data []byte, names ...string) ([]byte, error) {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	for _, name := range names {
		drop(v, name)
	}
	return json.Marshal(v)
}

func drop(v any, name string) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, name)
		for _, inner := range v {
			drop(inner, name)
		}
	case []any:
		for _, inner := range v {
			drop(inner, name)
		}
	}
}

// stripColumn drops the column "seconds".
func stripColumn(data []byte) ([]byte, error) {
	return withoutColumns(data, func(name string) bool { return name == "seconds" })
}

// withoutColumns drops columns from CSV.
func withoutColumns(data []byte, drop func(name string) bool) ([]byte, error) {
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || len(rows) == 0 {
		return data, err
	}
	for at := len(rows[0]) - 1; at >= 0; at-- {
		if !drop(rows[0][at]) {
			continue
		}
		for i := range rows {
			rows[i] = slices.Delete(rows[i], at, at+1)
		}
	}
	var out bytes.Buffer
	err = csv.NewWriter(&out).WriteAll(rows)
	return out.Bytes(), err
}

// stripStages leaves of a recipe's table what its older stages reached: photographs right, all of them, the loss.
func stripStages(data []byte) ([]byte, error) {
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, row := range rows {
		if len(row) != 5 {
			return nil, fmt.Errorf("a row of %d cells, not step, right, n, loss and seconds", len(row))
		}
		if row[0] != "a linear head on cached features" {
			out = fmt.Appendln(out, row[1:4])
		}
	}
	return out, nil
}

var inHeader = regexp.MustCompile(`\\"seconds\\":[0-9.eE+-]+|"finetune.crc32c":"[0-9a-f]+"`)

// stripState drops the seconds and the checksum from a safetensors header.
func stripState(data []byte) ([]byte, error) {
	if len(data) < 8 || binary.LittleEndian.Uint64(data) > uint64(len(data)-8) {
		return nil, errors.New("no safetensors file")
	}
	n := 8 + binary.LittleEndian.Uint64(data)
	header := bytes.TrimRight(inHeader.ReplaceAll(data[8:n], nil), " ") // padded to a multiple of 8
	return append(header, data[n:]...), nil
}

var inPage = regexp.MustCompile(`>[0-9.]+ (ms|s|min|h)\b[^<]*<|data:image/png;base64,[^"]+"( width="\d+" height="\d+")?`)

// words are what pages of earlier versions say, and what they say now.
var words = strings.NewReplacer(
	"right by always guessing", "accuracy of always predicting",
	"distance of confidence and accuracy", "difference between confidence and accuracy",
	"Not sure enough by", "Underconfident by",
	"Too sure by", "Overconfident by",
	"share right against probability", "accuracy against probability",
	"Hardest to tell:", "Hardest class:",
	" called ", " predicted as ",
	"All 1 mistakes with", "All 1 mistake with",
	"those called the class, the share that is one", "those predicted as the class, the share that belongs to it",
	"then those that gave the truth the least probability", "then by the probability of the true class, smallest first",
	"views and the plain one", "augmented views and the centre view",
)

// stripPage drops from a report the durations, and the pictures with their sizes, which lie beside it as files.
func stripPage(data []byte) ([]byte, error) {
	return []byte(words.Replace(string(inPage.ReplaceAll(data, nil)))), nil
}

// stripSums drops the lines of the files of a folder that may differ.
func stripSums(data []byte, dir string, list []exception) ([]byte, error) {
	var out []byte
	for line := range bytes.Lines(data) {
		_, name, ok := strings.Cut(strings.TrimSpace(string(line)), "  ")
		if !ok {
			return nil, fmt.Errorf("no line of sha256sum: %q", line)
		}
		if covering(list, path.Join(dir, name)) < 0 {
			out = append(out, line...)
		}
	}
	return out, nil
}

// rowsOf are the rows of a shard of cached features, each as the digest of its
// columns. In which order rows are computed, and so how they
// fall into shards, depends on how busy the machine is.
func rowsOf(data []byte) ([]string, error) {
	r, err := ipc.NewFileReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var rows []string
	for i := range r.NumRecords() {
		batch, err := r.RecordBatch(i)
		if err != nil {
			return nil, err
		}
		list, ok := batch.Column(3).(*array.FixedSizeList)
		if !ok {
			return nil, fmt.Errorf("column 3 is %s, no list of features", batch.Column(3).DataType())
		}
		features, ok := list.ListValues().(*array.Float32)
		if !ok {
			return nil, fmt.Errorf("features are %s, not float32", list.ListValues().DataType())
		}
		for row := range int(batch.NumRows()) {
			h := sha256.New()
			for c := range 3 {
				fmt.Fprintf(h, "%q ", batch.Column(c).ValueStr(row))
			}
			from, to := list.ValueOffsets(row)
			if err := binary.Write(h, binary.LittleEndian, features.Float32Values()[from:to]); err != nil {
				return nil, err
			}
			rows = append(rows, fmt.Sprintf("%x", h.Sum(nil)))
		}
	}
	return rows, nil
}
