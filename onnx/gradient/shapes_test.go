package gradient_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/gradient"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// TestShapesAreTheRuns: every tensor of a training graph has the shape that differentiation believed, in both layouts.
func TestShapesAreTheRuns(t *testing.T) {
	all := maps.Clone(chains)
	for name, c := range convolutions {
		all[name] = func(m *maker) string {
			return m.conv(m.images(c.image[0], c.image[1], c.image[2]), m.p("w", c.filter...), c.attrs...)
		}
	}
	maps.Copy(all, cases)
	for layout, block := range blocks(t) {
		for name, build := range all {
			t.Run(layout+"/"+name, func(t *testing.T) {
				m := newMaker(name)
				if _, ok := chains[name]; ok {
					m.Builder = graph.NewBuilder(name, 18)
				}
				model := m.weighed(build(m))
				g, shapes, err := gradient.BuildShapes(model, "loss", gradient.Options{Trainable: m.params, Block: block,
					FrozenStats: func(string) bool { return strings.Contains(name, "frozen") }})
				if err != nil {
					t.Fatal(err)
				}
				checkShapes(t, newSample(t, model, g), shapes)
				checkNeedless(t, g.Model, shapes)
				for _, p := range m.params { // alone: nothing is computed for the others
					g, shapes, err := gradient.BuildShapes(model, "loss", gradient.Options{Trainable: []string{p}, Block: block})
					if err != nil {
						t.Fatal(err)
					}
					checkNeedless(t, g.Model, shapes)
				}
			})
		}
	}
}

func checkShapes(t *testing.T, s sample, shapes map[string][]int64) {
	t.Helper()
	m := &graph.Model{ModelProto: proto.Clone(s.Model.ModelProto).(*onnxpb.ModelProto)}
	names := slices.Clone(s.outputs)
	for _, n := range m.Graph.Node {
		for _, out := range n.Output {
			shape, known := shapes[out]
			if !known {
				t.Errorf("%s has no shape on the tape", out)
			}
			if len(shape) > 0 && !slices.Contains(names, out) {
				names = append(names, out)
				m.Graph.Output = append(m.Graph.Output, &onnxpb.ValueInfoProto{Name: proto.String(out)})
			}
		}
	}
	for name, tensor := range s.open(t, m, names...)() {
		got, want := tensor.Shape(), shapes[name]
		if !slices.EqualFunc(want, got, func(x, y int64) bool { return x == y || x == -1 }) {
			t.Errorf("%s has shape %v in a run, %v on the tape", name, got, want)
		}
	}
}

// checkNeedless finds what the tape need not have written: constants twice or unread, shapes that stay as they are,
// borders of nothing, shapes asked of the run that are known.
func checkNeedless(t *testing.T, m *graph.Model, shapes map[string][]int64) {
	t.Helper()
	read, content := map[string]bool{}, map[string]string{}
	for _, n := range m.Graph.Node {
		for _, in := range n.Input {
			read[in] = true
		}
		if len(n.Input) == 0 {
			continue
		}
		made := strings.HasPrefix(n.GetName(), n.GetOpType()+".")
		from, to := shapes[n.Input[0]], shapes[n.Output[0]]
		known := !slices.Contains(from, -1)
		switch n.GetOpType() {
		case "Reshape", "Pad":
			if made && known && slices.Equal(from, to) {
				t.Errorf("%s leaves the shape %v as it is", n.GetName(), to)
			}
		case "Concat":
			if made && len(n.Input) == 1 {
				t.Errorf("%s joins one", n.GetName())
			}
		case "Shape":
			if made && known {
				t.Errorf("%s asks the run for %v", n.GetName(), from)
			}
		}
	}
	for _, out := range m.Graph.Output {
		read[out.GetName()] = true
	}
	for _, n := range m.Graph.Node {
		if strings.HasPrefix(n.GetName(), n.GetOpType()+".") &&
			!slices.ContainsFunc(n.Output, func(out string) bool { return read[out] }) {
			t.Errorf("nothing reads what %s makes", n.GetName())
		}
	}
	for _, k := range m.Graph.Initializer {
		if !read[k.GetName()] {
			t.Errorf("nothing reads %s", k.GetName())
		}
		anonymous := proto.Clone(k).(*onnxpb.TensorProto)
		anonymous.Name = nil
		same := anonymous.String()
		if other := content[same]; other != "" && strings.HasPrefix(k.GetName(), "const.") &&
			strings.HasPrefix(other, "const.") {
			t.Errorf("%s is %s once more", k.GetName(), other)
		}
		content[same] = k.GetName()
	}
}
