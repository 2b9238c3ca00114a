package surgery

import (
	"cmp"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Join appends model b to model a: connect says which tensor of a each input
// of b reads, by b's name.
//
//	m, err := graph.Join(body, head, map[string]string{"x": "features"}, "head.")
//
// The names inside b get prefix; its outputs and its inputs that are not
// connected keep theirs. The outputs of the result are those of a that b does
// not read, then those of b. Both models must import the same version of a
// domain they share (build b for a.Opset()); the metadata of b wins, and
// checksums of both models, which are not the joined one's, go. A name
// that both use, or one that does not exist, is an error.
func Join(a, b *graph.Model, connect map[string]string, prefix string) (*graph.Model, error) {
	out := &graph.Model{ModelProto: graph.Shallow(a.ModelProto), Path: cmp.Or(a.Path, b.Path)}
	if err := mergeHeaders(out, b); err != nil {
		return nil, err
	}
	ga, gb := a.Graph, b.Graph
	made := graph.Names(ga)
	rename := map[string]string{}
	for _, o := range gb.Output {
		rename[o.GetName()] = o.GetName()
	}
	for _, in := range gb.Input {
		rename[in.GetName()] = in.GetName()
	}
	for to, from := range connect {
		if _, ok := rename[to]; !ok || !slices.Contains(b.InputNames(), to) {
			return nil, b.Badf("has no input %q to connect; its inputs are %v", to, b.InputNames())
		}
		if !made[from] {
			return nil, a.Badf("has no tensor %q to connect to %q", from, to)
		}
		rename[to] = from
	}
	added := graph.Renamed(gb, func(s string) string {
		if t, ok := rename[s]; ok {
			return t
		}
		return prefix + s
	})
	read := slices.Collect(maps.Values(connect))
	isRead := func(v *onnxpb.ValueInfoProto) bool { return slices.Contains(read, v.GetName()) }
	g := graph.Shallow(ga)
	g.Node = slices.Concat(ga.Node, added.Node)
	g.Initializer = slices.Concat(ga.Initializer, added.Initializer)
	g.SparseInitializer = slices.Concat(ga.SparseInitializer, added.SparseInitializer)
	g.Input = slices.Concat(ga.Input, graph.Kept(added.Input, func(v *onnxpb.ValueInfoProto) bool { return !isRead(v) }))
	g.Output = slices.Concat(graph.Kept(ga.Output, func(v *onnxpb.ValueInfoProto) bool { return !isRead(v) }),
		added.Output)
	hinted := func(v *onnxpb.ValueInfoProto) bool {
		return slices.ContainsFunc(ga.ValueInfo, func(h *onnxpb.ValueInfoProto) bool { return h.GetName() == v.GetName() })
	}
	passed := graph.Kept(ga.Output, func(v *onnxpb.ValueInfoProto) bool { return isRead(v) && !hinted(v) })
	g.ValueInfo = slices.Concat(ga.ValueInfo, passed, added.ValueInfo)
	g.QuantizationAnnotation = slices.Concat(ga.QuantizationAnnotation, added.QuantizationAnnotation)
	out.Graph = g
	if err := out.Check(); err != nil {
		return nil, a.Badf("cannot be joined with %q; choose another prefix than %q: %w", gb.GetName(), prefix, err)
	}
	return out, nil
}

// mergeHeaders brings what b declares beside its graph into m.
func mergeHeaders(m *graph.Model, b *graph.Model) error {
	m.IrVersion = proto.Int64(max(m.GetIrVersion(), b.GetIrVersion()))
	m.OpsetImport = slices.Clone(m.OpsetImport)
	for _, o := range b.OpsetImport {
		i := slices.IndexFunc(m.OpsetImport, func(p *onnxpb.OperatorSetIdProto) bool {
			return graph.DomainName(p.GetDomain()) == graph.DomainName(o.GetDomain())
		})
		switch {
		case i < 0:
			m.OpsetImport = append(m.OpsetImport, o)
		case m.OpsetImport[i].GetVersion() != o.GetVersion():
			return m.Badf("imports version %d of %s, the model to join version %d; build both for one version",
				m.OpsetImport[i].GetVersion(), graph.DomainName(o.GetDomain()), o.GetVersion())
		}
	}
	m.Functions = slices.Clone(m.Functions)
	for _, f := range b.Functions {
		id := graph.CallID(f.GetDomain(), f.GetName(), f.GetOverload())
		i := slices.IndexFunc(m.Functions, func(g *onnxpb.FunctionProto) bool {
			return graph.CallID(g.GetDomain(), g.GetName(), g.GetOverload()) == id
		})
		switch {
		case i < 0:
			m.Functions = append(m.Functions, f)
		case !proto.Equal(m.Functions[i], f):
			return m.Badf("and the model to join define function %s.%s differently; rename one", f.GetDomain(),
				f.GetName())
		}
	}
	m.MetadataProps = graph.Mapped(m.MetadataProps, graph.Shallow[*onnxpb.StringStringEntryProto])
	for _, p := range b.MetadataProps {
		m.SetMeta(p.GetKey(), p.GetValue())
	}
	m.Unseal()
	return nil
}
