package quantize

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"finetune/internal/dims"
	"finetune/internal/failure"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Images are what Observe looks at.
type Images struct {
	Count int
	Shape []int64                                       // of each as m takes it, [1, 3, S, S]
	Load  func(i int, x []float32) (ok bool, err error) // into x; ok is false to leave image i out; several goroutines
}

// Observe runs m on images and returns the range of each of Activations(m): the
// mean over images of their smallest and largest values, which a few odd
// photographs do not stretch. o.Threads images are looked at side by side; the
// result does not depend on how many.
func Observe(m *graph.Model, images Images, o onnx.Options) (map[string]Range, error) {
	names, beside := Activations(m), o.Threads
	if len(names) == 0 {
		return nil, failure.Usage(fmt.Errorf("quantize: %s: "+
			"no convolution, sum or pooling that 8-bit integers could compute; use float32", m.Path))
	}
	if beside == 0 {
		beside = runtime.NumCPU()
	}
	o.Threads = 1
	s, err := openObserved(m, names, o)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	extremes, next := make([][]float32, images.Count), atomic.Int64{}
	g, ctx := errgroup.WithContext(context.Background())
	for range min(beside, images.Count) {
		g.Go(func() error {
			x := make([]float32, dims.Product(images.Shape))
			for i := next.Add(1) - 1; i < int64(images.Count) && ctx.Err() == nil; i = next.Add(1) - 1 {
				ok, err := images.Load(int(i), x)
				if ok && err == nil {
					extremes[i], err = measure(s, x, images.Shape, 2*len(names))
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return meanRanges(names, extremes)
}

// meanRanges averages what measure found, in the order of images.
func meanRanges(names []string, extremes [][]float32) (map[string]Range, error) {
	sums, count := make([]float64, 2*len(names)), 0.0
	for _, each := range extremes {
		for k, v := range each {
			sums[k] += float64(v)
		}
		if each != nil {
			count++
		}
	}
	if count == 0 {
		return nil, errors.New("quantize: no images to observe")
	}
	ranges := map[string]Range{}
	for i, n := range names {
		ranges[n] = Range{float32(sums[2*i] / count), float32(sums[2*i+1] / count)}
	}
	return ranges, nil
}

// openObserved is m with the smallest and the largest value of each tensor as
// its outputs: the tensors themselves, tens of megabytes an image, stay inside.
func openObserved(m *graph.Model, names []string, o onnx.Options) (*onnx.Session, error) {
	e := edit(m)
	tensor := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(graph.Float32)}
	float := &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tensor}}
	e.g.Output = nil
	var fetch []string
	for _, n := range names {
		for _, op := range []string{"ReduceMin", "ReduceMax"} {
			out := n + "/" + op
			e.g.Node = append(e.g.Node, &onnxpb.NodeProto{Name: proto.String(out), OpType: proto.String(op),
				Input: []string{n}, Output: []string{out}})
			e.g.Output = append(e.g.Output, &onnxpb.ValueInfoProto{Name: proto.String(out), Type: float})
			fetch = append(fetch, out)
		}
	}
	data, err := e.model.Bytes()
	if err != nil {
		return nil, err
	}
	return onnx.OpenBytes(m.Path, data, []string{m.Graph.Input[0].GetName()}, fetch, o)
}

// measure returns the smallest and the largest value of each tensor for an image.
func measure(s *onnx.Session, x []float32, shape []int64, n int) ([]float32, error) {
	in, err := onnx.Float32(x, shape...)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	out := make([]*onnx.Tensor, n)
	if err := s.Run([]*onnx.Tensor{in}, out); err != nil {
		return nil, err
	}
	values := make([]float32, n)
	var errs []error
	for i, t := range out {
		values[i] = t.Float32()[0]
		errs = append(errs, t.Close())
	}
	return values, errors.Join(errs...)
}
