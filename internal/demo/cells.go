package demo

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"finetune/internal/failure"
	"finetune/internal/fetch"
	"finetune/internal/plural"
)

// cell is one picture with what the experts said of it.
type cell struct {
	file        string  // images/cell0001.png
	probability float64 // that the cell is defective, 0 to 1
	module      string  // mono or poly
	picture     []byte
	digest      [sha256.Size]byte
	part        string // train or valid
}

func (c cell) class() string {
	if c.probability > 0.5 {
		return "defective"
	}
	return "functional"
}

// Larger pictures or lists than these are not the ones we know.
const (
	maxPicture = 1 << 20
	maxLabels  = 1 << 20
)

// readCells reads the archive's labels and pictures. Errors are about the data
// and name the archive and the line or the picture.
func readCells(archive string) ([]cell, error) {
	var labels []byte
	pictures := map[string][]byte{}
	err := fetch.Entries(archive, func(name string, size int64, r io.Reader) error {
		in, isData := strings.CutPrefix(name, "elpv_dataset/data/")
		switch {
		case isData && in == "labels.csv" && size <= maxLabels:
			var err error
			labels, err = io.ReadAll(r)
			return err
		case isData && path.Dir(in) == "images" && path.Ext(in) == ".png" && size <= maxPicture:
			data, err := io.ReadAll(r)
			pictures[in] = data
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	cells, err := parseLabels(labels)
	if err != nil {
		return nil, failure.Data(fmt.Errorf("demo: %s: labels.csv: %w", archive, err))
	}
	for i, c := range cells {
		data, ok := pictures[c.file]
		if !ok {
			return nil, failure.Data(fmt.Errorf("demo: %s: no picture %s", archive, c.file))
		}
		cells[i].picture, cells[i].digest = data, sha256.Sum256(data)
	}
	return cells, nil
}

// parseLabels reads lines of picture, probability and module type, separated by blanks.
func parseLabels(data []byte) ([]cell, error) {
	var cells []cell
	seen := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 {
			return nil, fmt.Errorf("line %q has %s, not 3", lines.Text(), plural.Count(len(f), "field"))
		}
		p, err := strconv.ParseFloat(f[1], 64)
		if err != nil || !(p >= 0 && p <= 1) {
			return nil, fmt.Errorf("line %q: %q is no probability", lines.Text(), f[1])
		}
		if seen[f[0]] {
			return nil, fmt.Errorf("%s is there twice", f[0])
		}
		seen[f[0]] = true
		cells = append(cells, cell{file: f[0], probability: p, module: f[2]})
	}
	if len(cells) == 0 {
		return nil, fmt.Errorf("no cells")
	}
	return cells, nil
}

// split sends the first quarter of every class and module type, in the order of
// the pictures' digests, to valid. Equal pictures stand next to each other in
// that order; those at the border stay together in train.
func split(cells []cell) {
	strata := map[string][]*cell{}
	for i := range cells {
		key := cells[i].class() + " " + cells[i].module
		strata[key] = append(strata[key], &cells[i])
	}
	for _, s := range strata {
		slices.SortFunc(s, func(a, b *cell) int {
			return cmp.Or(bytes.Compare(a.digest[:], b.digest[:]), cmp.Compare(a.file, b.file))
		})
		n := int(math.Round(0.25 * float64(len(s))))
		for n > 0 && n < len(s) && s[n-1].digest == s[n].digest {
			n--
		}
		for i, c := range s {
			c.part = "train"
			if i < n {
				c.part = "valid"
			}
		}
	}
}
