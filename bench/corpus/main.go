// Command corpus decodes a folder that make.py wrote and compares every file
// with its reference. It prints a table by kind, and every file that is not as
// expected.
//
//	go run ./bench/corpus -rows rows.csv FOLDER
//
// -rows keeps the status and the pixels of each file, so that two builds
// can be compared; -against reads such a file and allows the mean difference -near.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"finetune/augment/picture"
	"finetune/internal/corpus"
)

type total struct {
	files, right, refused int
	mean                  float64
	worst                 int
}

func main() {
	rows := flag.String("rows", "", "`FOLDER` for the decoded pixels, to compare with another build's")
	against := flag.String("against", "", "`FOLDER` that another build's -rows wrote")
	near := flag.Float64("near", 0.3, "largest mean `DIFFERENCE` between builds, of 255")
	flag.Parse()
	wrong, err := run(flag.Arg(0), *rows, *against, *near)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if wrong > 0 {
		os.Exit(3)
	}
}

func run(dir, rows, against string, near float64) (wrong int, err error) {
	list, err := corpus.Read(dir)
	if err != nil {
		return 0, err
	}
	kinds, differ := map[string]*total{}, 0
	for _, e := range list {
		r, err := corpus.Try(dir, e)
		if err != nil {
			return 0, err
		}
		t := kinds[e.Kind]
		if t == nil {
			t = &total{}
			kinds[e.Kind] = t
		}
		t.add(r)
		if !r.Right() {
			wrong++
			fmt.Printf("%-44s %s, mean %.2f worst %d; want %s within %g %s\n", e.File, r.Got, r.Mean, r.Worst, e.Status, e.Bound,
				r.Reason)
		}
		if d := builds(e, r, rows, against, near); d != "" {
			differ++
			fmt.Printf("%-44s %s\n", e.File, d)
		}
	}
	print(kinds)
	fmt.Printf("%d files, JPEG decoder %s: %d not as expected", len(list), picture.Decoder(), wrong)
	if against != "" {
		fmt.Printf(", %d differ from the other build", differ)
	}
	fmt.Println()
	return wrong + differ, nil
}

func (t *total) add(r corpus.Result) {
	t.files++
	if r.Right() {
		t.right++
	}
	if r.Got != "ok" {
		t.refused++
	}
	t.mean, t.worst = max(t.mean, r.Mean), max(t.worst, r.Worst)
}

func print(kinds map[string]*total) {
	fmt.Printf("\n%-28s %6s %6s %8s %10s %6s\n", "kind", "files", "right", "refused", "mean most", "worst")
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		t := kinds[k]
		fmt.Printf("%-28s %6d %6d %8d %10.2f %6d\n", k, t.files, t.right, t.refused, t.mean, t.worst)
	}
}

// builds keeps a file's row, and says how it differs from the other build's.
func builds(e corpus.Entry, r corpus.Result, rows, against string, near float64) string {
	var pix []byte
	if r.Pixels != nil {
		pix = r.Pixels.Pix
	}
	if rows != "" {
		if err := write(filepath.Join(rows, e.File), r.Got+": "+r.Reason, pix); err != nil {
			return err.Error()
		}
	}
	if against == "" {
		return ""
	}
	status, other, err := read(filepath.Join(against, e.File))
	switch {
	case err != nil:
		return err.Error()
	case status != r.Got+": "+r.Reason:
		return fmt.Sprintf("here %s: %s; the other build: %s", r.Got, r.Reason, status)
	case len(pix) != len(other):
		return "another size in the other build"
	}
	sum := 0
	for i := range pix {
		sum += max(int(pix[i]), int(other[i])) - min(int(pix[i]), int(other[i]))
	}
	if mean := float64(sum) / float64(max(len(pix), 1)); mean > near {
		return fmt.Sprintf("mean %.3f from the other build", mean)
	}
	return ""
}

func write(name, status string, pix []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	return cmp.Or(os.WriteFile(name+".status", []byte(status), 0o666), os.WriteFile(name+".rgb", pix, 0o666))
}

func read(name string) (string, []byte, error) {
	status, err := os.ReadFile(name + ".status")
	if err != nil {
		return "", nil, err
	}
	pix, err := os.ReadFile(name + ".rgb")
	return string(status), pix, err
}
