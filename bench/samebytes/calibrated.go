//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// stripOddness drops the column "oddness".
func stripOddness(data []byte) ([]byte, error) {
	return withoutColumns(data, func(name string) bool { return name == oddness })
}

// stripProbabilities leaves of predictions which class each photograph is predicted as.
func stripProbabilities(data []byte) ([]byte, error) {
	return withoutColumns(data, func(name string) bool { return name == oddness || strings.HasPrefix(name, "logp_") })
}

// stripLosses leaves of a summary what a temperature does not change.
func stripLosses(data []byte) ([]byte, error) {
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	delete(v, "calibration")
	for _, of := range []string{"valid", "tta", "float32"} { // not the ensemble: it has none
		drop(v[of], "loss")
	}
	drop(v, "seconds")
	drop(v, "label_curve")
	return json.Marshal(v)
}

// stripCurve leaves out the learning curve.
func stripCurve(data []byte) ([]byte, error) { return without(data, "label_curve") }

// ofMaps reports whether a folder is a cache of maps, what of them is shown is in maps.csv.
func ofMaps(folder string) bool {
	key, err := os.ReadFile(filepath.Join(folder, "key.json"))
	return err == nil && bytes.Contains(key, []byte(`"map of `))
}

// stripStageLosses is stripStages without the losses of heads.
func stripStageLosses(data []byte) ([]byte, error) {
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if len(row) == 5 && strings.HasPrefix(row[0], "the head ") {
			row[3] = "" // has a temperature
		}
	}
	var out bytes.Buffer
	if err := csv.NewWriter(&out).WriteAll(rows); err != nil {
		return nil, err
	}
	return stripStages(out.Bytes())
}

// stripErrors drops the calibration error, and the number of odd photographs.
func stripErrors(data []byte) ([]byte, error) {
	return without(data, "seconds", "ece", "ece_by_chance", "odd")
}

var ofCalibration = regexp.MustCompile(`(?s)<style>.*?</style>|style-src 'sha256-[^']*'` +
	`|<dt>Calibration error</dt><dd [^>]*>[^<]*</dd><dd [^>]*>[^<]*</dd>` +
	`|<section id="audit">.*?</section>\s*|<li><a href="#audit">[^<]*</a></li>` +
	`|<div>oddness [0-9.]+</div>|alt="[^"]*a perfectly calibrated model[^"]*"`)

var oddOnes = regexp.MustCompile(`(?s)<h3 id="odd">.*?(<h3|</section>)`)

var blank = regexp.MustCompile(`\n\s*\n`)

// stripCalibratedPage drops from a report the audit, the calibration error, the odd photographs, and how all of it
// looks.
func stripCalibratedPage(data []byte) ([]byte, error) {
	data = oddOnes.ReplaceAll(data, []byte("$1"))
	return stripPage(blank.ReplaceAll(ofCalibration.ReplaceAll(data, nil), []byte("\n")))
}

// stripOddnessJSON drops the field "oddness" of each line.
func stripOddnessJSON(data []byte) ([]byte, error) {
	var out []byte
	for line := range bytes.Lines(data) {
		line, err := without(line, oddness)
		if err != nil {
			return nil, err
		}
		out = append(append(out, line...), '\n')
	}
	return out, nil
}

// stripOddnessParquet leaves the names, the types and the rows of all columns but "oddness".
func stripOddnessParquet(data []byte) ([]byte, error) {
	table, err := pqarrow.ReadTable(context.Background(), bytes.NewReader(data), parquet.NewReaderProperties(nil),
		pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	defer table.Release()
	var out []byte
	for c := range int(table.NumCols()) {
		column := table.Column(c)
		if column.Name() == oddness {
			continue
		}
		out = fmt.Appendf(out, "%q %s\n", column.Name(), column.DataType())
		for _, chunk := range column.Data().Chunks() {
			for i := range chunk.Len() {
				out = fmt.Appendf(out, "%s\n", cellOf(chunk, i))
			}
		}
	}
	return out, nil
}

func cellOf(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return "null"
	}
	return fmt.Sprintf("%q", a.ValueStr(i))
}

// stripOddnessTensor leaves the names, the types and the bytes of all tensors but "oddness", and of what stands beside
// them all but digests.
func stripOddnessTensor(data []byte) ([]byte, error) {
	type tensor struct {
		DType  string `json:"dtype"`
		Shape  []int  `json:"shape"`
		Within [2]int `json:"data_offsets"`
	}
	none := errors.New("no safetensors file")
	if len(data) < 8 || binary.LittleEndian.Uint64(data) > uint64(len(data)-8) {
		return nil, none
	}
	at := 8 + binary.LittleEndian.Uint64(data)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:at], &header); err != nil {
		return nil, err
	}
	about := map[string]string{}
	if text, ok := header["__metadata__"]; ok {
		if err := json.Unmarshal(text, &about); err != nil {
			return nil, err
		}
	}
	delete(about, "finetune.crc32c") // covers oddness
	delete(about, "sha256")          // of the model, which has the output
	out, body := fmt.Appendln(nil, about), data[at:]
	delete(header, "__metadata__")
	delete(header, oddness)
	for _, name := range slices.Sorted(maps.Keys(header)) {
		var t tensor
		if err := json.Unmarshal(header[name], &t); err != nil {
			return nil, err
		}
		if t.Within[0] < 0 || t.Within[0] > t.Within[1] || t.Within[1] > len(body) {
			return nil, none
		}
		out = append(fmt.Appendf(out, "%q %s %d\n", name, t.DType, t.Shape), body[t.Within[0]:t.Within[1]]...)
	}
	return out, nil
}
