package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"finetune/augment"
	"finetune/augment/picture"
	"finetune/dataset"
	"finetune/finetuning"
	"finetune/head"
	"finetune/internal/rng"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/onednn"
	"finetune/onnx/surgery"
)

// works are finetune's contestants that take turns in a process of their own.
// Each prepares and returns a turn, and what does it.
var works = map[string]func(o options, args []string) (turn func() error, engine string, err error){
	"decode": decodeWork, "forward": forwardWork, "head": headWork, "step": stepWork,
}

func workNames() []string { return append(slices.Sorted(maps.Keys(works)), "size", "artifacts") }

// takeTurns is bench/turns.py's take_turns.
func takeTurns(o options, name string, args []string) error {
	switch {
	case name == "size" && len(args) == 1:
		return printSize(args[0])
	case name == "artifacts" && len(args) == 2:
		return writeArtifacts(args[0], o.stepBody, args[1])
	case works[name] == nil:
		return fmt.Errorf("-turn %s: use one of %v", name, workNames())
	}
	turn, engine, err := works[name](o, args)
	if err != nil {
		return err
	}
	if err := turn(); err != nil { // memory is laid out in the first one
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]string{"engine": engine}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		start := time.Now()
		if err := turn(); err != nil {
			return err
		}
		if err := out.Encode(map[string]float64{"seconds": time.Since(start).Seconds()}); err != nil {
			return err
		}
	}
	return nil
}

// decodeWork makes tensors of all photographs in a folder, on all threads.
func decodeWork(o options, args []string) (func() error, string, error) {
	if len(args) != 1 {
		return nil, "", errors.New("-turn decode FOLDER")
	}
	items, _, err := dataset.Files(args[0])
	if err != nil {
		return nil, "", err
	}
	pre := augment.Preprocess{Size: 224, Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225}}
	return func() error {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range o.threads {
			wg.Go(func() {
				x := make([]float32, pre.Len())
				for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
					if data, err := os.ReadFile(items[i].File); err == nil {
						_ = pre.Load(x, data, picture.Limits{}) // an unreadable one costs what it costs
					}
				}
			})
		}
		wg.Wait()
		return nil
	}, "JPEG decoder: " + picture.Decoder(), nil
}

// featureModel is the frozen body with its pooling.
func featureModel(name string) (*graph.Model, bodies.Spec, error) {
	b, err := bodies.Resolve(name, bodies.Override{})
	if err != nil {
		return nil, b.Spec, err
	}
	m, err := bodies.FeatureModel(b)
	return m, b.Spec, err
}

// forwardWork runs the frozen body: on the CPU, or on the device and in the precision of args.
func forwardWork(o options, args []string) (func() error, string, error) {
	const n, size = 32, 224
	run := onnx.Options{Threads: o.threads, Device: "cpu"}
	if len(args) == 2 {
		run.Device, run.BFloat16 = args[0], args[1] == "bfloat16"
	}
	library, err := onnx.FindLibrary(run.Device)
	if err != nil {
		return nil, "", err
	}
	rt, err := onnx.Start(library)
	if err != nil {
		return nil, "", err
	}
	m, spec, err := featureModel(o.body)
	if err != nil {
		return nil, "", err
	}
	data, err := m.Bytes()
	if err != nil {
		return nil, "", err
	}
	s, err := onnx.OpenBytes(o.body, data, []string{m.Graph.Input[0].GetName()}, []string{surgery.FeaturesName},
		run)
	if err != nil {
		return nil, "", err
	}
	x, err := onnx.Float32(normals(n*3*size*size), n, 3, size, size)
	if err != nil {
		return nil, "", err
	}
	y, err := onnx.Float32(make([]float32, n*spec.Features()), n, int64(spec.Features()))
	if err != nil {
		return nil, "", err
	}
	return func() error { return s.Run([]*onnx.Tensor{x}, []*onnx.Tensor{y}) }, "ONNX Runtime " + rt.Version, nil
}

func normals(n int) []float32 {
	s, x := rng.New(1), make([]float32, n)
	for i := range x {
		x[i] = float32(s.Normal())
	}
	return x
}

// headWork is an epoch, as BenchmarkHeadEpoch and bench/head_pytorch.py have it.
func headWork(o options, _ []string) (func() error, string, error) {
	const features, size = 1024, 64
	s, rows, labels := rng.New(5), make([][]float32, o.rows), make([]int, o.rows)
	for i := range rows {
		rows[i] = make([]float32, features)
		for k := range rows[i] {
			rows[i][k] = float32(s.Float64())
		}
		labels[i] = s.Intn(2)
	}
	h, err := head.New(head.Config{In: features, Hidden: []int{512}, Classes: 2, Seed: 1})
	if err != nil {
		return nil, "", err
	}
	t, err := head.NewTrainer(h, head.Options{Seed: 1})
	if err != nil {
		return nil, "", err
	}
	epoch := 0
	return func() error {
		order := head.Order(o.rows, 1, epoch)
		epoch++
		for i := range head.Batches(o.rows, size) {
			var b head.Batch
			lo, hi := head.Bounds(o.rows, size, i)
			for _, k := range order[lo:hi] {
				b.Rows, b.Labels = append(b.Rows, rows[k]), append(b.Labels, labels[k])
			}
			if _, err := t.Step(b, head.Rates{LR: .01, Momentum: .9}); err != nil {
				return err
			}
		}
		return nil
	}, "native engine", nil
}

// stepWork trains a seeded network on noise, from artifacts that another
// process writes, so that their making is not in the measured memory. The kernels are
// those of args: ort, or oneDNN's in float32 or bfloat16.
func stepWork(o options, args []string) (func() error, string, error) {
	kernels, batch := "ort", o.batch
	if len(args) == 1 {
		kernels = args[0]
	}
	rt, err := onnx.Start("")
	if err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp("", "finetune-race-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(dir) // once opened, the files are not needed
	if err := apart("-turn", "artifacts", "-step-body", o.stepBody, dir, kernels); err != nil {
		return nil, "", err
	}
	t, err := finetuning.Open(dir, finetuning.Options{Threads: o.threads})
	if err != nil {
		return nil, "", err
	}
	size := t.Manifest.Size
	x, labels := normals(batch*3*size*size), finetuning.Labels{Classes: make([]int64, batch)}
	for i := range labels.Classes {
		labels.Classes[i] = int64(i % 2)
	}
	return func() error {
		_, _, err := t.Step(x, labels, finetuning.Rates{Rates: []float64{1e-4, 1e-3, 1e-2}, Momentum: 0.9})
		return err
	}, strings.TrimSuffix("stock ONNX Runtime "+rt.Version+", oneDNN "+kernels, ", oneDNN ort"), nil
}

// domains are package onednn's, by the word for their precision; "ort" is ONNX Runtime's own kernels.
var domains = map[string]string{"ort": "", "float32": onednn.Float32, "bfloat16": onednn.BFloat16}

func writeArtifacts(dir, body, kernels string) error {
	domain, known := domains[kernels]
	if !known {
		return fmt.Errorf("kernels %q: use one of %v", kernels, slices.Sorted(maps.Keys(domains)))
	}
	if _, err := onnx.Start(""); err != nil {
		return err
	}
	state, err := bodies.Seeded(body, 1)
	if err != nil {
		return err
	}
	model, spec, err := bodies.Build(body, state)
	if err != nil {
		return err
	}
	features, err := surgery.Features(model, spec.Cut)
	if err != nil {
		return err
	}
	groups, err := finetuning.Groups(features, spec)
	if err != nil {
		return err
	}
	block, err := onnx.BlockSize()
	if err != nil {
		return err
	}
	_, err = artifacts.Write(dir, artifacts.Options{
		Body: features, Head: artifacts.Head{Hidden: []int{512}, Classes: 2}, Groups: groups, Size: 224, Block: block,
		OneDNN: domain,
	})
	return err
}

// printSize is the program and the library it loads.
func printSize(binary string) error {
	library, err := onnx.FindLibrary("cpu")
	if err != nil {
		return err
	}
	total := 0.0
	for _, path := range []string{binary, library} {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		total += float64(info.Size()) / 1e6
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"megabytes": total})
}
