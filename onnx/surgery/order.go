package surgery

import (
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// LeavesLast names the makers of g's outputs directly, where an Identity did,
// and puts them at the end in the order of the outputs.
//
// ORT runs a graph depth first from its leaves, the last one first. With the
// gradients of the last layers behind those of the first, each is computed when
// the walk passes it; the other way round all of them wait until the walk is
// over, and keep alive what they need: about twice the memory.
func LeavesLast(g *onnxpb.GraphProto) {
	readers, maker := map[string]int{}, map[string]*onnxpb.NodeProto{}
	for _, n := range g.Node {
		for _, in := range graph.Reads(n) {
			readers[in]++
		}
		for _, out := range n.Output {
			maker[out] = n
		}
	}
	place, direct := map[string]int{}, map[*onnxpb.NodeProto]bool{}
	for i, out := range g.Output {
		place[out.GetName()] = i
		n := maker[out.GetName()]
		if n == nil || graph.OpOf(n).Standard() != "Identity" {
			continue
		}
		if source := maker[n.Input[0]]; source != nil && readers[n.Input[0]] == 1 && len(source.Output) == 1 {
			source.Output[0] = out.GetName()
			direct[n] = true
		}
	}
	var body, leaves []*onnxpb.NodeProto
	for _, n := range g.Node {
		_, output := place[n.Output[0]]
		switch {
		case direct[n]:
		case output && readers[n.Output[0]] == 0 && len(n.Output) == 1:
			leaves = append(leaves, n)
		default:
			body = append(body, n)
		}
	}
	slices.SortStableFunc(leaves, func(a, b *onnxpb.NodeProto) int { return place[a.Output[0]] - place[b.Output[0]] })
	g.Node = append(body, leaves...)
}
