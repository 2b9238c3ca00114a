package tape

import (
	"cmp"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Memory estimates the bytes that one run of a training graph needs at its peak:
// Fixed for parameters, their gradients and constants, and PerImage for each image of
// the batch. The estimate follows the nodes in order, and frees a tensor after its
// last use, as ORT does.
type Memory struct {
	Fixed    int64 `json:"fixed"`
	PerImage int64 `json:"per_image"`
}

// Of is the estimate for a batch of so many images, in bytes.
func (m Memory) Of(batch int) int64 { return m.Fixed + int64(batch)*m.PerImage }

// size is a number of bytes: fixed ones, and each for every image.
type size struct{ fixed, each int64 }

func (s size) plus(o size) size  { return size{s.fixed + o.fixed, s.each + o.each} }
func (s size) minus(o size) size { return size{s.fixed - o.fixed, s.each - o.each} }

// of is the size of a batch.
func (s size) of(images int64) int64 { return s.fixed + images*s.each }

// size of a tensor; a shape with an unknown dimension grows with the batch.
func (t *Tape) size(name string) size {
	s := size{fixed: cmp.Or(t.elem[name], 4)}
	for _, d := range t.Shape[name] {
		if d < 0 {
			s, d = size{each: s.fixed + s.each}, 1
		}
		s.fixed, s.each = d*s.fixed, d*s.each
	}
	return s
}

// Memory estimates a run of g: what stays throughout, and the peak of what its
// nodes make.
func (t *Tape) Memory(g *onnxpb.GraphProto) Memory {
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
	return Memory{Fixed: total.fixed, PerImage: total.each}
}

// peak follows the nodes of g and returns the most that is alive at a time. For
// that a batch of 8 decides.
func (t *Tape) peak(g *onnxpb.GraphProto, sizes map[string]size) size {
	last, memory := lastUses(g)
	alive := map[string]bool{}
	now, peak := size{}, size{}
	for i, n := range g.Node {
		source := t.viewed(n)
		for _, out := range n.Output {
			if sizes[out] = t.size(out); source != "" { // as many elements, where their share of an image is not known
				sizes[out] = sizes[source]
			}
			if alive[out] = memory.of(out) == out; alive[out] {
				now = now.plus(sizes[out])
			}
		}
		if now.of(8) > peak.of(8) {
			peak = now
		}
		for _, in := range graph.Reads(n) {
			if in = memory.of(in); last[in] == i && alive[in] {
				now = now.minus(sizes[in])
				delete(alive, in)
			}
		}
	}
	return peak
}

// owners names the tensor whose memory a tensor shares.
type owners map[string]string

func (o owners) of(name string) string { return cmp.Or(o[name], name) }

// shares are the operators whose output ORT leaves in the memory of their input.
var shares = map[string]bool{"Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true, "Identity": true}

// lastUses is the index of the last node that reads a tensor's memory, and whose memory that is. Outputs of the graph
// have memory of their own and are read at the end.
func lastUses(g *onnxpb.GraphProto) (last map[string]int, memory owners) {
	last, memory = map[string]int{}, owners{}
	for _, out := range g.Output {
		last[out.GetName()] = len(g.Node)
	}
	for i, n := range g.Node {
		if _, read := last[n.Output[0]]; !read && shares[graph.OpOf(n).Standard()] {
			memory[n.Output[0]] = memory.of(n.Input[0])
		}
		for _, in := range graph.Reads(n) {
			last[memory.of(in)] = max(last[memory.of(in)], i)
		}
	}
	return last, memory
}

// viewed is the tensor of which node n gives all elements, "" if it is no such
// node. A Slice is taken for one where it cuts an axis that holds the batch.
func (t *Tape) viewed(n *onnxpb.NodeProto) string {
	switch graph.OpOf(n).Standard() {
	case "Reshape", "Transpose", "Identity", "Flatten", "Squeeze", "Unsqueeze":
		return n.Input[0]
	case "Slice":
		if s := t.Shape[n.Output[0]]; len(s) > 0 && s[0] < 0 || len(s) > 1 && s[1] < 0 {
			return n.Input[0]
		}
	}
	return ""
}
