package gradient

import (
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Memory estimates the bytes that one run of a training graph needs at its
// peak: Fixed for parameters, their gradients and constants, and PerImage for
// each image of the batch. ORT frees a tensor after its last use; the estimate
// follows the nodes in order and does the same.
type Memory struct {
	Fixed    int64 `json:"fixed"`
	PerImage int64 `json:"per_image"`
}

// Of is the estimate for a batch.
func (m Memory) Of(batch int) int64 { return m.Fixed + int64(batch)*m.PerImage }

// size counts float32 elements, apart those that come with each image.
type size struct{ fixed, each int64 }

func (s size) plus(o size) size  { return size{s.fixed + o.fixed, s.each + o.each} }
func (s size) minus(o size) size { return size{s.fixed - o.fixed, s.each - o.each} }

// of is the size of a batch.
func (s size) of(images int64) int64 { return s.fixed + images*s.each }

// size of a tensor; a shape with an unknown dimension grows with the batch.
func (t *tape) size(name string) size {
	n, batch := int64(1), false
	for _, d := range t.shape[name] {
		if d < 0 {
			batch, d = true, 1
		}
		n *= d
	}
	if batch {
		return size{each: n}
	}
	return size{fixed: n}
}

// memory estimates a run of g: what stays throughout, and the peak of what its
// nodes make.
func (t *tape) memory(g *onnxpb.GraphProto) Memory {
	stays := size{}
	sizes := map[string]size{}
	for _, in := range g.Input {
		sizes[in.GetName()] = t.size(in.GetName())
		stays = stays.plus(sizes[in.GetName()])
	}
	for _, k := range g.Initializer {
		sizes[k.GetName()] = t.size(k.GetName())
		stays.fixed += sizes[k.GetName()].fixed
	}
	total := stays.plus(t.peak(g, sizes))
	return Memory{Fixed: 4 * total.fixed, PerImage: 4 * total.each}
}

// peak follows the nodes of g and returns the most that is alive at a time. For
// that a batch of 8 decides.
func (t *tape) peak(g *onnxpb.GraphProto, sizes map[string]size) size {
	last := lastUses(g)
	alive := map[string]bool{}
	now, peak := size{}, size{}
	for i, n := range g.Node {
		source := t.viewed(n)
		for _, out := range n.Output {
			sizes[out] = t.size(out)
			if source != "" { // as many elements, where the tape cannot tell how many of them each image has
				sizes[out] = sizes[source]
			}
			if graph.OpOf(n).Standard() != "Reshape" { // which shares its input's memory
				now = now.plus(sizes[out])
				alive[out] = true
			}
		}
		if now.of(8) > peak.of(8) {
			peak = now
		}
		for _, in := range graph.Reads(n) {
			if last[in] == i && alive[in] {
				now = now.minus(sizes[in])
				delete(alive, in)
			}
		}
	}
	return peak
}

// lastUses is the index of the last node that reads a tensor; outputs are read at the end.
func lastUses(g *onnxpb.GraphProto) map[string]int {
	last := map[string]int{}
	for i, n := range g.Node {
		for _, in := range graph.Reads(n) {
			last[in] = i
		}
	}
	for _, out := range g.Output {
		last[out.GetName()] = len(g.Node)
	}
	return last
}

// viewed is the tensor of which node n gives all elements, "" if it is no such
// node. A Slice is taken for one where it cuts an axis that holds the batch.
func (t *tape) viewed(n *onnxpb.NodeProto) string {
	switch graph.OpOf(n).Standard() {
	case "Reshape", "Transpose", "Identity", "Flatten", "Squeeze", "Unsqueeze":
		return n.Input[0]
	case "Slice":
		if s := t.shape[n.Output[0]]; len(s) > 0 && s[0] < 0 || len(s) > 1 && s[1] < 0 {
			return n.Input[0]
		}
	}
	return ""
}
