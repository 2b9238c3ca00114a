package graph

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"finetune/internal/dims"
	"finetune/internal/plural"
	"finetune/onnx/graph/onnxpb"
)

// loadExternal brings tensors kept in files beside the model in as raw data.
// Files outside the model's folder are refused, through symbolic links too
// (os.Root), and so is more than MaxBytes in all.
// Source: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md.
func (m *Model) loadExternal() error {
	var tensors []*onnxpb.TensorProto
	collect := func(t *onnxpb.TensorProto) {
		if t.GetDataLocation() == onnxpb.TensorProto_EXTERNAL {
			tensors = append(tensors, t)
		}
	}
	eachTensor(m.Graph, collect)
	for _, f := range m.Functions {
		eachTensor(&onnxpb.GraphProto{Node: f.Node}, collect)
	}
	if len(tensors) == 0 {
		return nil
	}
	root, err := os.OpenRoot(filepath.Dir(m.Path))
	if err != nil {
		return fmt.Errorf("graph: %w", err)
	}
	defer root.Close()
	left := int64(MaxBytes)
	for _, t := range tensors {
		if err := loadTensor(root, t, &left); err != nil {
			return m.Badf("tensor %q: %w", t.GetName(), err)
		}
	}
	return nil
}

func loadTensor(root *os.Root, t *onnxpb.TensorProto, left *int64) error {
	location, offset, length, err := externalPlace(t)
	if err != nil {
		return err
	}
	f, err := root.Open(location)
	if err != nil {
		return fmt.Errorf("external data must lie in the model's folder: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("external data %s is not a regular file", location)
	}
	if length < 0 {
		length = info.Size() - offset
	}
	if length < 0 || length > info.Size() || offset > info.Size()-length {
		return fmt.Errorf("external data %s has %s, bytes %d to %d are wanted; the file is cut short", location,
			plural.Count(info.Size(), "byte"), offset, offset+length)
	}
	if *left -= length; *left < 0 {
		return fmt.Errorf("external data of more than %d bytes; use a smaller model", MaxBytes)
	}
	raw := make([]byte, length)
	if n, err := f.ReadAt(raw, offset); int64(n) != length {
		return fmt.Errorf("external data %s: %w", location, err)
	}
	t.RawData, t.ExternalData, t.DataLocation = raw, nil, nil
	return nil
}

// externalPlace is where t's data lies; length is -1 for "to the end".
func externalPlace(t *onnxpb.TensorProto) (location string, offset, length int64, err error) {
	length = -1
	for _, e := range t.ExternalData {
		switch e.GetKey() {
		case "location":
			location = e.GetValue()
		case "offset":
			offset, err = strconv.ParseInt(e.GetValue(), 10, 64)
		case "length":
			length, err = strconv.ParseInt(e.GetValue(), 10, 64)
		}
		if err != nil {
			return "", 0, 0, fmt.Errorf("external data has a bad %s: %w", e.GetKey(), err)
		}
	}
	if location == "" || offset < 0 {
		return "", 0, 0, errors.New("external data has no location or a negative offset")
	}
	if !filepath.IsLocal(location) {
		return "", 0, 0, fmt.Errorf("external data in %q, outside the model's folder, is refused", location)
	}
	return location, offset, length, nil
}

// eachTensor calls do for every tensor of g: initializers, attributes, and
// those of graphs inside it.
func eachTensor(g *onnxpb.GraphProto, do func(*onnxpb.TensorProto)) {
	for _, t := range g.Initializer {
		do(t)
	}
	for _, t := range g.SparseInitializer {
		for _, part := range []*onnxpb.TensorProto{t.GetValues(), t.GetIndices()} {
			if part != nil {
				do(part)
			}
		}
	}
	for _, n := range g.Node {
		for _, a := range n.Attribute {
			if a.T != nil {
				do(a.T)
			}
			for _, t := range a.Tensors {
				do(t)
			}
		}
		for _, sub := range Subgraphs(n) {
			eachTensor(sub, do)
		}
	}
}

// UpdateInitializers replaces the values of the named float32 initializers,
// keeping their shapes; the tensors themselves are replaced, so a model that
// shares them keeps its own. An unknown name or a wrong length is an error and
// nothing is changed.
func (m *Model) UpdateInitializers(values map[string][]float32) error {
	at := map[string]int{}
	for i, t := range m.Graph.Initializer {
		at[t.GetName()] = i
	}
	fresh := map[int]*onnxpb.TensorProto{}
	for name, v := range values {
		i, ok := at[name]
		if !ok {
			return m.Badf("no initializer %q to update; is this the body the weights were trained on?", name)
		}
		old := m.Graph.Initializer[i]
		if old.GetDataType() != Float32 || dims.Product(old.Dims) != int64(len(v)) {
			return m.Badf("initializer %q is %s %v, got %s; "+
				"is this the body the weights were trained on?", name, elemName(old.GetDataType()), old.Dims,
				plural.Count(len(v), "float32 value"))
		}
		t := FloatTensor(name, old.Dims, v)
		t.DocString, t.MetadataProps = old.DocString, old.MetadataProps
		fresh[i] = t
	}
	inits := append([]*onnxpb.TensorProto(nil), m.Graph.Initializer...)
	for i, t := range fresh {
		inits[i] = t
	}
	m.Graph.Initializer = inits
	return nil
}

// Initializers returns the initializers of the main graph by name.
func (m *Model) Initializers() map[string]*onnxpb.TensorProto {
	all := make(map[string]*onnxpb.TensorProto, len(m.Graph.Initializer))
	for _, t := range m.Graph.Initializer {
		all[t.GetName()] = t
	}
	return all
}
