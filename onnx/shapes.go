package onnx

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"finetune/internal/plural"
	"finetune/onnx/graph/onnxpb"
)

// port is an input or output of a model as its file declares it.
type port struct {
	name  string
	shape *onnxpb.TensorShapeProto // nil: any
}

// check compares the tensors of a run with the shapes that the model declares.
// Versions of ONNX Runtime differ in what they let pass: 1.32 writes a scalar
// where a vector of one is declared, all before it refuse. Here it is an error
// with every version. What ONNX Runtime allocates or keeps in a device's memory
// has the shape that it computed.
func check(what string, ports []port, tensors []*Tensor) error {
	if len(tensors) != len(ports) {
		return fmt.Errorf("%d %ss given for %d", len(tensors), what, len(ports))
	}
	for i, t := range tensors {
		if t == nil || t.value == nil || ports[i].takes(t.shape) {
			continue
		}
		return fmt.Errorf("%s %q is given the shape %v, the model declares %s", what, ports[i].name, t.shape, ports[i])
	}
	return nil
}

func (p port) takes(shape []int64) bool {
	if p.shape == nil {
		return true
	}
	if len(shape) != len(p.shape.Dim) {
		return false
	}
	for i, d := range p.shape.Dim {
		if v, fixed := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); fixed && v.DimValue >= 0 &&
			v.DimValue != shape[i] {
			return false
		}
	}
	return true
}

func (p port) String() string {
	var dims []string
	for _, d := range p.shape.GetDim() {
		switch v := d.Value.(type) {
		case *onnxpb.TensorShapeProto_Dimension_DimValue:
			dims = append(dims, strconv.FormatInt(v.DimValue, 10))
		case *onnxpb.TensorShapeProto_Dimension_DimParam:
			dims = append(dims, v.DimParam)
		default:
			dims = append(dims, "?")
		}
	}
	return "[" + strings.Join(dims, " ") + "]"
}

// Fields of ONNX's ModelProto and GraphProto.
const (
	modelGraph  = 7
	graphInput  = 11
	graphOutput = 12

	maxDeclaration = 1 << 20 // bytes of one input or output
)

// ports are the named inputs and outputs of a serialised model of size bytes.
// Weights, which may be gigabytes, are passed over unread.
func ports(model io.ReaderAt, size int64, in, out []string) (inputs, outputs []port, err error) {
	declared := map[protowire.Number]map[string]*onnxpb.TensorShapeProto{graphInput: {}, graphOutput: {}}
	err = fields(model, 0, size, func(number protowire.Number, from, to int64) error {
		if number != modelGraph {
			return nil
		}
		return fields(model, from, to, func(number protowire.Number, from, to int64) error {
			if declared[number] == nil {
				return nil
			}
			if to-from > maxDeclaration {
				return fmt.Errorf("an input or output is described in %s", plural.Count(to-from, "byte"))
			}
			data := make([]byte, to-from)
			if _, err := model.ReadAt(data, from); err != nil && err != io.EOF {
				return err
			}
			var v onnxpb.ValueInfoProto
			if err := proto.Unmarshal(data, &v); err != nil {
				return err
			}
			declared[number][v.GetName()] = v.GetType().GetTensorType().GetShape()
			return nil
		})
	})
	list := func(names []string, shapes map[string]*onnxpb.TensorShapeProto) (list []port) {
		for _, n := range names {
			list = append(list, port{n, shapes[n]})
		}
		return list
	}
	return list(in, declared[graphInput]), list(out, declared[graphOutput]), err
}

// filePorts is ports for a file.
func filePorts(path string, in, out []string) (inputs, outputs []port, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	return ports(f, info.Size(), in, out)
}

// fields visits the length-delimited fields of the protobuf message in bytes
// from to to, and passes over the others.
func fields(r io.ReaderAt, from, to int64, visit func(number protowire.Number, from, to int64) error) error {
	for head := make([]byte, 20); from < to; { // a tag and a length
		n, err := r.ReadAt(head[:min(20, to-from)], from)
		if err != nil && err != io.EOF {
			return err
		}
		number, kind, tag := protowire.ConsumeTag(head[:n])
		if tag < 0 {
			return protowire.ParseError(tag)
		}
		from += int64(tag)
		if kind != protowire.BytesType {
			skip := protowire.ConsumeFieldValue(number, kind, head[tag:n])
			if skip < 0 {
				return protowire.ParseError(skip)
			}
			from += int64(skip)
			continue
		}
		length, prefix := protowire.ConsumeVarint(head[tag:n])
		if prefix < 0 || length > uint64(to-from-int64(prefix)) {
			return io.ErrUnexpectedEOF
		}
		from += int64(prefix)
		if err := visit(number, from, from+int64(length)); err != nil {
			return err
		}
		from += int64(length)
	}
	return nil
}

// bytesPorts is ports for a model in memory.
func bytesPorts(model []byte, in, out []string) (inputs, outputs []port, err error) {
	return ports(bytes.NewReader(model), int64(len(model)), in, out)
}
