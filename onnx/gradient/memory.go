package gradient

import (
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

// memory counts float32 elements that are alive, apart those that grow with the
// batch: a shape with an unknown dimension. A view has as many as its source.
func (t *tape) memory(g *onnxpb.GraphProto) Memory {
	type size struct{ fixed, each int64 }
	sizes, last := map[string]size{}, map[string]int{}
	count := func(name, source string) size {
		n, open := int64(1), false
		for _, d := range t.shape[name] {
			if d < 0 {
				open = true
			} else {
				n *= d
			}
		}
		switch {
		case source != "":
			return sizes[source]
		case open:
			return size{each: n}
		}
		return size{fixed: n}
	}
	var outer Memory
	for _, in := range g.Input {
		s := count(in.GetName(), "")
		sizes[in.GetName()] = s
		outer.Fixed, outer.PerImage = outer.Fixed+4*s.fixed, outer.PerImage+4*s.each
	}
	for _, k := range g.Initializer {
		sizes[k.GetName()] = count(k.GetName(), "")
		outer.Fixed += 4 * sizes[k.GetName()].fixed
	}
	for i, n := range g.Node {
		for _, in := range n.Input {
			last[in] = i
		}
	}
	for _, out := range g.Output {
		last[out.GetName()] = len(g.Node)
	}
	var now, peak size
	made := map[string]bool{}
	for i, n := range g.Node {
		source := ""
		switch n.GetOpType() {
		case "Reshape", "Transpose", "Identity", "Flatten", "Squeeze", "Unsqueeze", "Slice":
			if s := t.shape[n.Output[0]]; n.GetOpType() != "Slice" || len(s) > 0 && (s[0] < 0 || len(s) > 1 && s[1] < 0) {
				source = n.Input[0]
			}
		}
		for _, out := range n.Output {
			sizes[out] = count(out, source)
			if n.GetOpType() != "Reshape" { // Reshape shares its input's memory
				now.fixed, now.each = now.fixed+sizes[out].fixed, now.each+sizes[out].each
				made[out] = true
			}
		}
		if now.fixed+8*now.each > peak.fixed+8*peak.each { // a batch of 8 decides where the peak is
			peak = now
		}
		for _, in := range n.Input {
			if last[in] == i && made[in] {
				now.fixed, now.each = now.fixed-sizes[in].fixed, now.each-sizes[in].each
				delete(made, in)
			}
		}
	}
	return Memory{outer.Fixed + 4*peak.fixed, outer.PerImage + 4*peak.each}
}
