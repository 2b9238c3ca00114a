package trainable_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/trainable"
)

// transformer is a small network of tokens, its nodes named as PyTorch's exporter names them: patches of 4 pixels, a
// class token, a table of positions behind a Resize, blocks of one product with rotary positions and a mask, a last
// norm.
func transformer(blocks int) *graph.Model {
	b := graph.NewBuilder("transformer", 17)
	floats := func(name string, shape ...int64) string {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(math.Sin(float64(i)))
		}
		return b.Init(name, shape, v)
	}
	ints := func(v ...int64) string { return b.Ints("", []int64{int64(len(v))}, v) }
	x := b.Input("image", graph.Float32, 1, 3, 16, 16)
	x = b.Node("Div", "scaled", []string{x, floats("std", 3, 1, 1)})
	x = b.Node("Mul", "shifted", []string{x, floats("scale", 3, 1, 1)})
	x = b.Node("Conv", "/patch_embed/Conv", []string{x, floats("patches", 8, 3, 4, 4)}, graph.Ints("strides", 4, 4))
	x = b.Node("Transpose", "rows", []string{b.Node("Reshape", "flat", []string{x, ints(1, 8, 16)})},
		graph.Ints("perm", 0, 2, 1))
	x = b.Node("Concat", "joined", []string{floats("class", 1, 1, 8), x}, graph.Int("axis", 1))
	table := b.Node("Resize", "resized", []string{floats("positions", 1, 8, 2, 2), "", "", ints(1, 8, 4, 4)},
		graph.Str("mode", "cubic"))
	table = b.Node("Transpose", "turned", []string{b.Node("Reshape", "", []string{table, ints(1, 8, 16)})},
		graph.Ints("perm", 0, 2, 1))
	table = b.Node("Concat", "table", []string{floats("first", 1, 1, 8), table}, graph.Int("axis", 1))
	x = b.Node("Add", "placed", []string{x, table})
	mask := make([]float32, 17*8)
	mask[3] = -100
	for i := range blocks {
		name := func(s string) string { return fmt.Sprintf("/blocks/blocks.%d/%s", i, s) }
		y := b.Node("LayerNormalization", name("norm"), []string{x, floats(fmt.Sprint("scale", i), 8),
			floats(fmt.Sprint("shift", i), 8)})
		y = b.Node("Mul", name("rotated"), []string{y, floats(fmt.Sprint("rope", i), 17, 8)})
		y = b.Node("Add", name("masked"), []string{y, b.Init(fmt.Sprint("mask", i), []int64{17, 8}, mask)})
		y = b.Node("MatMul", name("product"), []string{y, floats(fmt.Sprint("matrix", i), 8, 8)})
		index := b.Ints("", []int64{17}, make([]int64, 17))
		y = b.Node("Add", name("biased"), []string{y, b.Node("Gather", name("bias"),
			[]string{floats(fmt.Sprint("table", i), 5, 8), index})})
		x = b.Node("Add", name("sum"), []string{x, b.Node("Mul", name("layer"), []string{y,
			floats(fmt.Sprint("gamma", i), 8)})})
	}
	x = b.Node("LayerNormalization", "/norm/LayerNormalization",
		[]string{x, floats("lastscale", 8), floats("lastshift", 8)})
	b.Output(x, graph.Float32, 1, 17, 8)
	return b.Model()
}

// TestWeightsOfTokens: tokens, tables behind a Resize or a Gather and layer scales train; preprocessing, rotary
// positions and masks do not. What stands in no block comes first or last.
func TestWeightsOfTokens(t *testing.T) {
	groups, err := trainable.Groups(transformer(2))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range groups {
		slices.Sort(g.Parameters)
		got = append(got, g.Name+": "+strings.Join(g.Parameters, " "))
	}
	want := []string{"embed: class first patches positions", "block1: gamma0 matrix0 scale0 shift0 table0",
		"block2: gamma1 matrix1 scale1 shift1 table1", "norm: lastscale lastshift"}
	if !slices.Equal(got, want) {
		t.Errorf("groups\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestWithoutDecay: scales, shifts, tokens and tables.
func TestWithoutDecay(t *testing.T) {
	got, err := trainable.WithoutDecay(transformer(1))
	slices.Sort(got)
	want := []string{"class", "first", "gamma0", "lastscale", "lastshift", "positions", "scale0", "shift0", "table0"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// TestOneBlockIsNoDivision: a network of one block is one group, as are nodes without such names.
func TestOneBlockIsNoDivision(t *testing.T) {
	m := transformer(1)
	if g, err := trainable.Groups(m); err != nil || len(g) != 1 || g[0].Name != "body" {
		t.Errorf("%+v, %v", g, err)
	}
	m = transformer(3)
	for i, n := range m.Graph.Node {
		*n.Name = fmt.Sprint("n", i)
	}
	if g, err := trainable.Groups(m); err != nil || len(g) != 1 || g[0].Name != "body" {
		t.Errorf("%+v, %v", g, err)
	}
}

// TestBlocksOfStages: what makes the map smaller before a stage's first block belongs to that block.
func TestBlocksOfStages(t *testing.T) {
	b := graph.NewBuilder("stages", 17)
	x := b.Input("rows", graph.Float32, 1, 4)
	for _, at := range []string{"embed", "/layers/layers.0/blocks/blocks.0/fc", "/layers/layers.0/blocks/blocks.1/fc",
		"/layers/layers.1/downsample/fc", "/layers/layers.1/blocks/blocks.0/fc", "/norm/fc"} {
		x = b.Node("MatMul", at, []string{x, b.Init("of "+at, []int64{4, 4}, make([]float32, 16))})
	}
	b.Output(x, graph.Float32, 1, 4)
	groups, err := trainable.Groups(b.Model())
	var got []string
	for _, g := range groups {
		got = append(got, fmt.Sprint(g.Name, " ", len(g.Parameters)))
	}
	if want := []string{"embed 1", "block1 1", "block2 1", "block3 2", "norm 1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}
