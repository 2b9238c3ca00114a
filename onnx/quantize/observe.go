package quantize

import (
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Observe runs m on images and returns the range of each of Activations(m): the
// mean over images of their smallest and largest values, which a few odd
// photographs do not stretch. images hands one image after the other, with its
// shape, to its argument.
func Observe(m *graph.Model, images func(yield func(x []float32, shape ...int64) error) error, o onnx.Options) (map[string]Range, error) {
	names := Activations(m)
	s, err := openObserved(m, names, o)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	names = s.names
	lo, hi, count := make([]float64, len(names)), make([]float64, len(names)), 0
	err = images(func(x []float32, shape ...int64) error {
		count++
		return s.observe(x, shape, func(i int, values []float32) {
			lo[i] += float64(slices.Min(values))
			hi[i] += float64(slices.Max(values))
		})
	})
	if err != nil {
		return nil, err
	}
	if count == 0 {
		return nil, errors.New("quantize: no images to observe")
	}
	ranges := map[string]Range{}
	for i, n := range names {
		ranges[n] = Range{float32(lo[i] / float64(count)), float32(hi[i] / float64(count))}
	}
	return ranges, nil
}

// observed is a session that gives activations.
type observed struct {
	*onnx.Session
	names  []string // those that the session gives, then, where it is wanted, the input
	inputs int      // how many of them are the input
}

func openObserved(m *graph.Model, names []string, o onnx.Options) (*observed, error) {
	e := edit(m)
	e.g.Output = slices.Clone(e.g.Output)
	var fetch, inputs []string
	for _, n := range names {
		if e.maker[n] == nil {
			inputs = append(inputs, n)
			continue
		}
		fetch = append(fetch, n)
		e.g.Output = append(e.g.Output, &onnxpb.ValueInfoProto{Name: proto.String(n), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
			TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(graph.Float32)}}}})
	}
	data, err := e.model.Bytes()
	if err != nil {
		return nil, err
	}
	s, err := onnx.OpenBytes(m.Path, data, []string{m.Graph.Input[0].GetName()}, fetch, o)
	if err != nil {
		return nil, err
	}
	return &observed{s, append(fetch, inputs...), len(inputs)}, nil
}

func (s *observed) observe(x []float32, shape []int64, tell func(i int, values []float32)) error {
	in, err := onnx.Float32(x, shape...)
	if err != nil {
		return err
	}
	defer in.Close()
	out := make([]*onnx.Tensor, len(s.names)-s.inputs)
	if err := s.Run([]*onnx.Tensor{in}, out); err != nil {
		return err
	}
	var errs []error
	for i, t := range out {
		tell(i, t.Float32())
		errs = append(errs, t.Close())
	}
	for i := range s.inputs {
		tell(len(out)+i, x)
	}
	return errors.Join(errs...)
}
