package graph

import (
	"cmp"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

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
func Join(a, b *Model, connect map[string]string, prefix string) (*Model, error) {
	out := &Model{ModelProto: shallow(a.ModelProto), Path: cmp.Or(a.Path, b.Path)}
	if err := out.mergeHeaders(b); err != nil {
		return nil, err
	}
	ga, gb := a.Graph, b.Graph
	made := names(ga)
	rename := map[string]string{}
	for _, o := range gb.Output {
		rename[o.GetName()] = o.GetName()
	}
	for _, in := range gb.Input {
		rename[in.GetName()] = in.GetName()
	}
	for to, from := range connect {
		if _, ok := rename[to]; !ok || !slices.Contains(b.inputNames(), to) {
			return nil, b.badf("has no input %q to connect; its inputs are %v", to, b.inputNames())
		}
		if !made[from] {
			return nil, a.badf("has no tensor %q to connect to %q", from, to)
		}
		rename[to] = from
	}
	added := renamed(gb, func(s string) string {
		if t, ok := rename[s]; ok {
			return t
		}
		return prefix + s
	})
	read := slices.Collect(maps.Values(connect))
	isRead := func(v *onnxpb.ValueInfoProto) bool { return slices.Contains(read, v.GetName()) }
	g := shallow(ga)
	g.Node = slices.Concat(ga.Node, added.Node)
	g.Initializer = slices.Concat(ga.Initializer, added.Initializer)
	g.SparseInitializer = slices.Concat(ga.SparseInitializer, added.SparseInitializer)
	g.Input = slices.Concat(ga.Input, kept(added.Input, func(v *onnxpb.ValueInfoProto) bool { return !isRead(v) }))
	g.Output = slices.Concat(kept(ga.Output, func(v *onnxpb.ValueInfoProto) bool { return !isRead(v) }), added.Output)
	hinted := func(v *onnxpb.ValueInfoProto) bool {
		return slices.ContainsFunc(ga.ValueInfo, func(h *onnxpb.ValueInfoProto) bool { return h.GetName() == v.GetName() })
	}
	passed := kept(ga.Output, func(v *onnxpb.ValueInfoProto) bool { return isRead(v) && !hinted(v) })
	g.ValueInfo = slices.Concat(ga.ValueInfo, passed, added.ValueInfo)
	g.QuantizationAnnotation = slices.Concat(ga.QuantizationAnnotation, added.QuantizationAnnotation)
	out.Graph = g
	if err := out.Check(); err != nil {
		return nil, a.badf("cannot be joined with %q; choose another prefix than %q: %w", gb.GetName(), prefix, err)
	}
	return out, nil
}

// mergeHeaders brings what b declares beside its graph into m.
func (m *Model) mergeHeaders(b *Model) error {
	m.IrVersion = proto.Int64(max(m.GetIrVersion(), b.GetIrVersion()))
	m.OpsetImport = slices.Clone(m.OpsetImport)
	for _, o := range b.OpsetImport {
		i := slices.IndexFunc(m.OpsetImport, func(p *onnxpb.OperatorSetIdProto) bool {
			return domainName(p.GetDomain()) == domainName(o.GetDomain())
		})
		switch {
		case i < 0:
			m.OpsetImport = append(m.OpsetImport, o)
		case m.OpsetImport[i].GetVersion() != o.GetVersion():
			return m.badf("imports version %d of %s, the model to join version %d; build both for one version",
				m.OpsetImport[i].GetVersion(), domainName(o.GetDomain()), o.GetVersion())
		}
	}
	m.Functions = slices.Clone(m.Functions)
	for _, f := range b.Functions {
		id := callID(f.GetDomain(), f.GetName(), f.GetOverload())
		i := slices.IndexFunc(m.Functions, func(g *onnxpb.FunctionProto) bool {
			return callID(g.GetDomain(), g.GetName(), g.GetOverload()) == id
		})
		switch {
		case i < 0:
			m.Functions = append(m.Functions, f)
		case !proto.Equal(m.Functions[i], f):
			return m.badf("and the model to join define function %s.%s differently; rename one", f.GetDomain(),
				f.GetName())
		}
	}
	m.MetadataProps = mapped(m.MetadataProps, shallow[*onnxpb.StringStringEntryProto])
	for _, p := range b.MetadataProps {
		m.SetMeta(p.GetKey(), p.GetValue())
	}
	m.unseal()
	return nil
}
