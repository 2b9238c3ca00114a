package trainable

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

// numbered are the lists of modules that networks keep their blocks in.
var numbered = regexp.MustCompile(`\b(blocks?|layers?|resblocks|stages?)\.(\d+)\b`)

// scopes is what PyTorch's newer exporter calls the modules that a node stands in; the older one writes them into its
// name.
const scopes = "pkg.torch.onnx.name_scopes"

// block is where a node stands: the number of its stage, if any, and of its block; nil outside of blocks.
func block(n *onnxpb.NodeProto) []int {
	text := n.GetName()
	for _, p := range n.GetMetadataProps() {
		if p.GetKey() == scopes {
			text = p.GetValue()
		}
	}
	var at []int
	var seen []string
	for _, m := range numbered.FindAllStringSubmatch(text, -1) {
		if list := strings.TrimSuffix(m[1], "s"); !slices.Contains(seen, list) && len(at) < 2 {
			number, _ := strconv.Atoi(m[2])
			seen, at = append(seen, list), append(at, number)
		}
	}
	return at
}

// byScope divides a network by the blocks that its nodes say they stand in; nil where fewer than two have weights.
func byScope(f *surgery.Flow) []Group {
	var all [][]int
	for _, n := range f.Nodes {
		if at := block(n); at != nil && !slices.ContainsFunc(all, func(b []int) bool { return slices.Equal(b, at) }) {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, func(a, b []int) int { return slices.Compare(a, b) })
	// What stands in a stage and in none of its blocks belongs to the next one: it makes the map smaller before it.
	var blocks [][]int
	number := map[string]int{} // from 1
	for i, at := range all {
		number[fmt.Sprint(at)] = len(blocks) + 1
		if next := i + 1; next < len(all) && len(all[next]) > len(at) && slices.Equal(all[next][:len(at)], at) {
			continue
		}
		blocks = append(blocks, at)
	}
	if len(blocks) < 2 {
		return nil
	}
	last := len(blocks) + 1
	level := forward(f.Nodes, func(n *onnxpb.NodeProto, before int) int {
		at := block(n)
		switch {
		case at != nil:
			return number[fmt.Sprint(at)]
		case before == len(blocks):
			return last
		}
		return before
	})
	groups := collect(f, level, last+1)
	for k := range groups {
		groups[k].Name = fmt.Sprint("block", k)
	}
	groups[0].Name, groups[last].Name = "embed", "norm"
	groups = slices.DeleteFunc(groups, func(g Group) bool { return len(g.Parameters) == 0 })
	if len(groups) < 2 {
		return nil
	}
	return groups
}
