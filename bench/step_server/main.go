// Command step_server trains a seeded network one step for each line it reads
// and answers with the step's seconds and loss; step_race.py drives it beside
// PyTorch.
//
//	step_server -write -dir /tmp/artifacts -body resnet34
//	step_server -dir /tmp/artifacts -batch 8 -threads 2
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"time"

	"finetune/finetuning"
	"finetune/internal/rng"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/bodies"
	"finetune/onnx/gradient"
)

func main() {
	dir := flag.String("dir", "", "`FOLDER` of the artifacts")
	make := flag.Bool("write", false, "write the artifacts and leave, so that their making is not in the measured memory")
	body := flag.String("body", "resnet34", "a known `NAME`")
	batch := flag.Int("batch", 8, "images a step")
	size := flag.Int("size", 224, "pixels a side")
	threads := flag.Int("threads", 2, "of ONNX Runtime")
	standard := flag.Bool("standard", false, "standard operators alone")
	frozen := flag.Bool("bn-freeze", false, "frozen statistics in the body")
	flag.Parse()
	_, err := onnx.Start("")
	if err == nil && *make {
		err = write(*dir, *body, *size, *standard, *frozen)
	} else if err == nil {
		err = serve(*dir, *batch, *threads)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(dir string, batch, threads int) error {
	t, err := finetuning.Open(dir, finetuning.Options{Threads: threads})
	if err != nil {
		return err
	}
	defer t.Close()
	size := t.Manifest.Size
	x, labels := make([]float32, batch*3*size*size), finetuning.Labels{Classes: make([]int64, batch)}
	s := rng.New(1)
	for i := range x {
		x[i] = float32(s.Normal())
	}
	for i := range labels.Classes {
		labels.Classes[i] = int64(s.Intn(2))
	}
	fmt.Printf("ready, estimate %d MB\n", t.Manifest.Memory.Of(batch)>>20)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		start := time.Now()
		loss, _, err := t.Step(x, labels, finetuning.Rates{Rates: []float64{1e-4, 1e-3, 1e-2}, Momentum: 0.9})
		if err != nil {
			return err
		}
		fmt.Printf("%.4f %.4f\n", time.Since(start).Seconds(), loss)
	}
	return nil
}

func write(dir, body string, size int, standard, frozen bool) error {
	state, err := bodies.Seeded(body, 1)
	if err != nil {
		return err
	}
	model, spec, err := bodies.Build(body, state)
	if err != nil {
		return err
	}
	features, err := model.Features(spec.Cut)
	if err != nil {
		return err
	}
	groups, err := finetuning.Groups(features, spec)
	if err != nil {
		return err
	}
	o := artifacts.Options{Body: features, Head: artifacts.Head{Hidden: []int{512}, Classes: 2}, Groups: groups, Size: size, FreezeBN: frozen}
	if !standard {
		if o.Block, err = gradient.BlockSize(); err != nil {
			return err
		}
	}
	_, err = artifacts.Write(dir, o)
	return err
}
