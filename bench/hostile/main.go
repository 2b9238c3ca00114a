//go:build unix

// Command hostile runs finetune's score and precompute over thousands of files
// made to break them, and each file through the decoder with a clock.
//
//	go run ./bench/hostile -n 5000
//
// It fails unless every file gets one row, nothing panics, no file takes a
// second of processor time, and memory stays below -mb. Files are drawn by
// -seed; -keep leaves them in a folder.
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"finetune/augment"
	"finetune/augment/picture"
	"finetune/internal/hostile"
	"finetune/internal/photos"
)

func main() {
	n := flag.Int("n", 5000, "number of files")
	seed := flag.Uint64("seed", 7, "draws the files")
	mb := flag.Int64("mb", 2000, "largest resident set in MB")
	body := flag.String("body", "seed:resnet18:7", "body of score and precompute")
	keep := flag.String("keep", "", "leave everything in this new folder")
	flag.Parse()
	if err := run(*n, *seed, *mb, *body, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}

func run(n int, seed uint64, mb int64, body, keep string) error {
	dir, err := folder(keep)
	if err != nil {
		return err
	}
	if keep == "" {
		defer os.RemoveAll(dir)
	}
	seeds, err := hostile.Seeds(hostile.Folders()...)
	if err != nil {
		return err
	}
	files := hostile.Images(seeds, n, seed)
	fmt.Printf("%d files from %d pictures, seed %d\n", len(files), len(seeds), seed)
	err = clocked(files)
	program := filepath.Join(dir, "finetune")
	if out, err := exec.Command("go", "build", "-o", program, "finetune").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	train := filepath.Join(dir, "photos")
	var sound bytes.Buffer
	if err := errors.Join(photos.Write(train, []string{"ants", "bees"}, 10),
		png.Encode(&sound, photos.Draw(0, 0, 40, 40))); err != nil {
		return err
	}
	trial := hostile.Trial{Program: program, Dir: dir, Train: train, Body: body, Size: 64}
	r, terr := trial.Run(files, sound.Bytes())
	fmt.Printf("score       %d files, %d MB: %.1f s, %d MB resident, rows %v\n", r.Files, r.Bytes>>20, r.Score.Seconds(),
		r.ScoreMB, r.Status)
	fmt.Printf("precompute  %.1f s, %d MB resident\n", r.Cache.Seconds(), r.PrecomputeMB)
	errs := []error{err, terr}
	for _, c := range r.Complaints {
		errs = append(errs, errors.New(c))
	}
	if most := max(r.ScoreMB, r.PrecomputeMB); most > mb {
		errs = append(errs, fmt.Errorf("%d MB resident, more than %d", most, mb))
	}
	return errors.Join(errs...)
}

func folder(keep string) (string, error) {
	if keep == "" {
		return os.MkdirTemp("", "hostile")
	}
	keep, err := filepath.Abs(keep)
	if err != nil {
		return "", err
	}
	return keep, os.Mkdir(keep, 0o777)
}

// processorTime is what this process has used; other work on the machine does not count.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the arguments are sound
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// clocked decodes each file, one by one, and names the slowest.
func clocked(files []hostile.File) error {
	type lap struct {
		name string
		took time.Duration
	}
	laps := make([]lap, len(files))
	p := augment.Preprocess{Size: 64, Mean: augment.ImageNetMean, Std: augment.ImageNetStd}
	dst := make([]float32, p.Len())
	for i, f := range files {
		start := processorTime()
		var d *picture.DecodeError
		if err := p.Load(dst, f.Data, picture.Limits{}); err != nil && !errors.As(err, &d) {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		laps[i] = lap{f.Name, processorTime() - start}
	}
	slices.SortFunc(laps, func(a, b lap) int { return cmp.Compare(b.took, a.took) })
	for _, l := range laps[:min(3, len(laps))] {
		fmt.Printf("slowest     %.2f s  %s\n", l.took.Seconds(), l.name)
	}
	if len(laps) > 0 && laps[0].took > time.Second {
		return fmt.Errorf("%s: %.2f s", laps[0].name, laps[0].took.Seconds())
	}
	return nil
}
