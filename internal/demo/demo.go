// Package demo lays out the photographs that `finetune demo` trains on: 2,624
// electroluminescence pictures of solar cells, sound and defective.
//
// The question is real: is this cell defective? Experts gave each cell a
// probability of 0, 1/3, 2/3 or 1; above one half it counts as defective. A
// quarter of every class and module type (mono- and polycrystalline), chosen by
// the digest of the picture, is held out for validation.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"finetune/internal/durable"
	"finetune/internal/fetch"
	"finetune/internal/home"
	"finetune/internal/lock"
)

// Notice is what the licence of the pictures asks to be said.
const Notice = `Photographs: ELPV dataset, CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use.
Buerhop-Lutz, C. et al.: A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence Imagery. EU PVSEC 2018.
Deitsch, S. et al.: Automatic classification of defective photovoltaic module cells in electroluminescence images. Solar Energy 185, 2019.
Deitsch, S. et al.: Segmentation of photovoltaic module cells in uncalibrated electroluminescence images. Machine Vision and Applications 32, 2021.
`

// name is what fetch calls the archive, and the folder under data/.
const name = "solar-cells"

// notice is the file in the folder that says whose pictures these are, by which
// rule they were divided and how many there must be.
const notice = "NOTICE.txt"

// Options of Prepare; the zero value is the usual.
type Options struct {
	From string                           // archive to take instead of fetching it
	Log  func(format string, args ...any) // one line a step; may be nil
}

// Dir is where the photographs are laid out.
func Dir() string { return home.Path("data", name) }

// Prepare fetches the archive once, lays its pictures out as
// {train,valid}/{defective,functional} under Dir and returns Dir. The folder
// appears whole or not at all; where it is complete, nothing is done. Errors: a
// folder of that name that is not ours, or what fetch reports.
func Prepare(ctx context.Context, o Options) (dir string, err error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	dir = Dir()
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	l := flock.New(dir+".lock", flock.SetPermissions(0o666))
	if err := lock.Plain(l.Path()); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	if _, err := l.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return "", fmt.Errorf("demo: %w", lock.Explain(err, l.Path(), "the photographs"))
	}
	defer l.Close()
	if done, err := complete(dir); done || err != nil {
		return dir, err
	}
	archive, err := fetch.Get(ctx, name, fetch.Options{From: o.From, Log: o.Log})
	if err != nil {
		return "", err
	}
	cells, err := readCells(archive.Path)
	if err != nil {
		return "", err
	}
	split(cells)
	return dir, layOut(ctx, cells, dir)
}

// complete reports whether dir was laid out here and is whole.
func complete(dir string) (bool, error) {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, notice))
	if err != nil {
		return false, fmt.Errorf("demo: %s: is there but was not laid out by finetune (%w); move it away", dir, err)
	}
	return strings.HasSuffix(string(text), summary(dir)), nil
}

// summary counts the pictures in dir and ends the notice.
func summary(dir string) string {
	var b strings.Builder
	b.WriteString(rule)
	for _, part := range []string{"train", "valid"} {
		for _, class := range []string{"defective", "functional"} {
			found, _ := os.ReadDir(filepath.Join(dir, part, class))
			fmt.Fprintf(&b, "%s/%s: %d\n", part, class, len(found))
		}
	}
	return b.String()
}

const rule = `
Divided by finetune: defective is a probability above 0.5; in each class and module
type, sorted by the SHA-256 of the picture, the first quarter is valid, the rest train.
`

// layOut writes the pictures to a folder beside dir and renames it.
func layOut(ctx context.Context, cells []cell, dir string) error {
	staging := dir + ".staging"
	if err := os.RemoveAll(staging); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(staging)
	var bytes int64
	for _, c := range cells {
		bytes += int64(len(c.picture))
	}
	if err := durable.Room(filepath.Dir(dir), bytes+bytes/8); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	for _, c := range cells {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		file := filepath.Join(staging, c.part, c.class(), path.Base(c.file))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		// Not durable.Write: the folder's rename is what makes all of them appear.
		if err := os.WriteFile(file, c.picture, 0o644); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	if err := durable.Write(filepath.Join(staging, notice), func(w io.Writer) error {
		_, err := io.WriteString(w, Notice+summary(staging))
		return err
	}); err != nil {
		return err
	}
	if err := onlyOurs(dir, staging); err != nil {
		return err
	}
	if err := durable.ReplaceFolder(dir, staging); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// onlyOurs refuses a folder with files that the new one does not have: they
// would be counted as photographs, and are not ours to remove.
func onlyOurs(dir, staging string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(filepath.Join(staging, rel)); err != nil {
			return fmt.Errorf("demo: %s: finetune did not lay it out, and the folder lacks other files; move it away", path)
		}
		return nil
	})
}
