package cli

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"finetune/internal/onnxtest"
	"finetune/internal/photos"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// hostileModel is a body whose middle, from image to maps [N, 8, h, w], is up
// to no good. refused is false where ONNX Runtime may make sense of it.
type hostileModel struct {
	name    string
	middle  func(g *graph.Builder, x string) string
	change  func(m *onnxpb.ModelProto) // after it is built
	refused bool
}

// conv is a convolution 3 to 8 with the given attributes.
func conv(attrs ...graph.Attr) func(*graph.Builder, string) string {
	return func(g *graph.Builder, x string) string {
		return g.Node("Conv", "maps", []string{x, g.Init("w", []int64{8, 3, 8, 8}, make([]float32, 8*3*8*8))}, attrs...)
	}
}

// then puts an operator behind a sound convolution.
func then(f func(g *graph.Builder, x string) string) func(*graph.Builder, string) string {
	return func(g *graph.Builder, x string) string {
		return f(g, g.Node("Conv", "", []string{x, g.Init("w", []int64{8, 3, 8, 8}, make([]float32, 8*3*8*8))},
			graph.Ints("strides", 8, 8)))
	}
}

// strides replaces those of the model, after it is built: the builder refuses them.
func strides(v ...int64) func(*onnxpb.ModelProto) {
	return func(m *onnxpb.ModelProto) {
		for _, n := range m.Graph.Node {
			if a := graph.Find(n, "strides"); a != nil {
				a.Ints = v
			}
		}
	}
}

func ints(v ...int64) func(g *graph.Builder) string {
	return func(g *graph.Builder) string { return g.Ints("", []int64{int64(len(v))}, v) }
}

var hostileModels = []hostileModel{
	{"unknown operator", then(func(g *graph.Builder, x string) string { return g.Node("Summon", "", []string{x}) }), nil,
		true},
	{"unknown domain", then(func(g *graph.Builder,
		x string) string {
		return g.Node("evil.corp.Summon", "", []string{x})
	}), nil, true},
	{"strides of zero", conv(graph.Ints("strides", 8, 8)), strides(0, 0), true},
	{"negative strides", conv(graph.Ints("strides", 8, 8)), strides(-1, -1), true},
	{"dilations of zero", conv(graph.Ints("dilations", 0, 0)), nil, false},
	{"group of zero", conv(graph.Int("group", 0)), nil, true},
	{"huge group", conv(graph.Int("group", math.MaxInt64)), nil, true},
	{"huge pads", conv(graph.Ints("pads", 1<<40, 1<<40, 1<<40, 1<<40)), nil, true},
	{"large pads", conv(graph.Ints("pads", 1<<20, 1<<20, 1<<20, 1<<20)), nil, true},
	{"negative pads", conv(graph.Ints("pads", -100, -100, -100, -100)), nil, true},
	{"kernel that is not the weight's", conv(graph.Ints("kernel_shape", 1<<40, 1<<40)), nil, true},
	{"too few strides", conv(graph.Ints("strides", 1)), nil, true},
	{"attribute of another type", conv(graph.Str("strides", "8")), nil, true},
	{"pooling strides of zero", then(func(g *graph.Builder, x string) string {
		return g.Node("MaxPool", "", []string{x}, graph.Ints("kernel_shape", 2, 2), graph.Ints("strides", 2, 2))
	}), strides(0, 0), true},
	{"pooling kernel of zero", then(func(g *graph.Builder, x string) string {
		return g.Node("AveragePool", "", []string{x}, graph.Ints("kernel_shape", 0, 0))
	}), nil, true},
	{"expanded without end", then(func(g *graph.Builder, x string) string {
		return g.Node("Expand", "", []string{x, ints(1, 8, 1<<24, 1<<24)(g)})
	}), nil, true},
	{"resized without end", then(func(g *graph.Builder, x string) string {
		return g.Node("Resize", "", []string{x, "", g.Init("scales", []int64{4}, []float32{1, 1, 1e6, 1e6})},
			graph.Str("mode", "nearest"))
	}), nil, true},
	{"constant without end", then(func(g *graph.Builder, x string) string {
		c := g.Node("ConstantOfShape", "", []string{ints(1, 8, 1<<18, 1<<18)(g)})
		return g.Node("Add", "", []string{x, c})
	}), nil, true},
	{"division by zero", then(func(g *graph.Builder, x string) string {
		zero := g.Node("Div", "", []string{ints(1)(g), ints(0)(g)})
		return g.Node("Add", "", []string{x, g.Node("Cast", "", []string{zero}, graph.Int("to", 1))})
	}), nil, true},
	{"remainder by zero", then(func(g *graph.Builder, x string) string {
		zero := g.Node("Mod", "", []string{ints(1)(g), ints(0)(g)})
		return g.Node("Add", "", []string{x, g.Node("Cast", "", []string{zero}, graph.Int("to", 1))})
	}), nil, true},
	{"division by zero at run time", then(func(g *graph.Builder, x string) string {
		i := g.Node("Cast", "", []string{x}, graph.Int("to", 7))
		return g.Node("Cast", "", []string{g.Node("Div", "", []string{i, g.Node("Sub", "", []string{i, i})})},
			graph.Int("to", 1))
	}), nil, true},
	{"division by zero in a branch", then(func(g *graph.Builder, x string) string {
		b := graph.NewBuilder("branch", 17)
		quotient := b.Node("Div", "branch.div",
			[]string{b.Ints("branch.one", []int64{1}, []int64{1}), b.Ints("branch.zero", []int64{1}, []int64{0})})
		b.Output(b.Node("Cast", "branch.out", []string{quotient}, graph.Int("to", 1)), graph.Float32, 1)
		branch := b.Model().Graph
		yes := g.Node("Cast", "", []string{g.Ints("", nil, []int64{1})}, graph.Int("to", 9))
		return g.Node("Add", "",
			[]string{x, g.Node("If", "", []string{yes}, graph.Graph("then_branch", branch), graph.Graph("else_branch", branch))})
	}), nil, true},
	{"gather beyond the end", then(func(g *graph.Builder, x string) string {
		return g.Node("Gather", "", []string{x, ints(1 << 40)(g)}, graph.Int("axis", 1))
	}), nil, true},
	{"reshape that overflows", then(func(g *graph.Builder, x string) string {
		return g.Node("Reshape", "", []string{x, ints(1<<40, 1<<40, 0, -1)(g)})
	}), nil, true},
	{"a cycle", conv(graph.Ints("strides", 8, 8)),
		func(m *onnxpb.ModelProto) { m.Graph.Node[0].Input[0] = m.Graph.Node[1].Output[0] }, true},
	{"weights of impossible size", conv(graph.Ints("strides", 8, 8)),
		func(m *onnxpb.ModelProto) { m.Graph.Initializer[0].Dims = []int64{1 << 62, 1 << 62, 8, 8} }, true},
	{"negative dimensions", conv(graph.Ints("strides", 8, 8)),
		func(m *onnxpb.ModelProto) { m.Graph.Initializer[0].Dims = []int64{-8, -3, 8, 8} }, true},
	{"external data elsewhere", conv(graph.Ints("strides", 8, 8)), func(m *onnxpb.ModelProto) {
		t := m.Graph.Initializer[0]
		t.RawData, t.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
		t.ExternalData = []*onnxpb.StringStringEntryProto{{Key: proto.String("location"),
			Value: proto.String("../../../../../../etc/passwd")}}
	}, true},
	{"operators of the future", conv(graph.Ints("strides", 8, 8)),
		func(m *onnxpb.ModelProto) { m.OpsetImport[0].Version = proto.Int64(1 << 40) }, true},
	{"huge input", conv(graph.Ints("strides", 8, 8)), func(m *onnxpb.ModelProto) {
		for _, d := range m.Graph.Input[0].Type.GetTensorType().Shape.Dim[2:] {
			d.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: 1 << 40}
		}
	}, true},
}

// TestHostileModels gives each hostile model to inspect and, as a body, to
// precompute: it is refused with its name and the cause, in time. A model that
// loops without end is not among them: it is a program, and nothing tells its
// end beforehand; Ctrl-C ends it.
func TestHostileModels(t *testing.T) {
	dir := t.TempDir()
	onnxtest.Home(t, "cpu", filepath.Join(dir, "home"))
	check(t, photos.Write(filepath.Join(dir, "photos"), []string{"ants", "bees"}, 4))
	for i, h := range hostileModels {
		t.Run(h.name, func(t *testing.T) {
			path := filepath.Join(dir, fmt.Sprintf("hostile-%d.onnx", i))
			writeHostileModel(t, path, h)
			hostileCall(t, path, false, "inspect", path)
			hostileCall(t, path, h.refused, "precompute", filepath.Join(dir, "photos"), "--body", path, "--cache",
				filepath.Join(dir, fmt.Sprint("cache", i)),
				"--mean", ".5,.5,.5", "--std", ".2,.2,.2", "--size", "64")
		})
	}
}

func writeHostileModel(t *testing.T, path string, h hostileModel) {
	t.Helper()
	g := graph.NewBuilder("hostile", 17)
	x := g.Input("image", graph.Float32, "N", 3, 64, 64)
	x = h.middle(g, x)
	// as a forger would: its shape is then known
	x = g.Node("Reshape", "shaped", []string{x, g.Ints("shape", []int64{4}, []int64{0, 8, -1, 1})})
	x = g.Node("Relu", "relu", []string{x})
	g.Output(g.Node("Flatten", "flat", []string{g.Node("GlobalAveragePool", "pool", []string{x})}), graph.Float32, "N", 8)
	m := g.Model()
	if h.change != nil {
		h.change(m.ModelProto)
	}
	data, err := proto.Marshal(m.ModelProto)
	check(t, err)
	check(t, os.WriteFile(path, data, 0o666))
	check(t, bodies.WriteSpec(bodies.SpecPath(path),
		bodies.Spec{Size: 64, Mean: [3]float32{.5, .5, .5}, Std: [3]float32{.2, .2, .2}, Layout: bodies.NCHW, Cut: "relu",
			Channels: 8, Groups: []bodies.Group{{Name: "all", Layers: []string{"maps"}}}}))
}

// hostileCall runs finetune with a limit on time and on memory.
func hostileCall(t *testing.T, path string, refused bool, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	const kb = "16000000"
	c := exec.CommandContext(ctx, "sh",
		append([]string{"-c", `ulimit -v ` + kb + `; exec finetune "$@"`, "sh"}, args...)...)
	out, err := c.CombinedOutput()
	text := string(out)
	switch {
	case ctx.Err() != nil:
		t.Errorf("%s: no end in 30 s\n%s", args[0], tail(text))
	case c.ProcessState.ExitCode() < 0 || strings.Contains(text, "panic") || strings.Contains(text, "goroutine"):
		t.Errorf("%s: %v\n%s", args[0], err, tail(text))
	case err == nil && refused:
		t.Errorf("%s: not refused\n%s", args[0], tail(text))
	case err != nil && !strings.Contains(text, filepath.Base(path)):
		t.Errorf("%s: the error does not name the file\n%s", args[0], tail(text))
	case err != nil:
		t.Logf("%s: %s", args[0], tail(text))
	}
}

func tail(s string) string {
	if len(s) > 600 {
		return "…" + s[len(s)-600:]
	}
	return s
}

// TestHostileWeights gives state dicts that are none to import.
func TestHostileWeights(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("FINETUNE_HOME", filepath.Join(dir, "home"))
	header := func(text string) string {
		n := make([]byte, 8)
		binary.LittleEndian.PutUint64(n, uint64(len(text)))
		return string(n) + text
	}
	for name, data := range map[string]string{
		"empty.pth":          "",
		"code.pth":           "\x80\x02cposix\nsystem\nX\x0b\x00\x00\x00touch owned\x85R.",
		"code.pt":            "\x80\x02c__builtin__\neval\nX\x0b\x00\x00\x00__import__\x85R.",
		"endless.pth":        "\x80\x02" + strings.Repeat("(", 1<<20),
		"memo.pth":           "\x80\x02]r\xff\xff\xff\xffj\xff\xff\xff\xff.",
		"long.pth":           "\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
		"zip.pth":            "PK\x03\x04" + strings.Repeat("\x00", 100) + "PK\x05\x06" + strings.Repeat("\xff", 18),
		"header.safetensors": "\xff\xff\xff\xff\xff\xff\xff\x7f{}",
		"overlap.safetensors": header(
			`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`) +
			"abcd",
		"shape.safetensors": header(`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}`) +
			"abcd",
		"negative.safetensors":  header(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,-4]}}`),
		"beyond.safetensors":    header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[1099511627776,1099511627780]}}`),
		"deep.safetensors":      header(strings.Repeat(`{"a":`, 1<<16)),
		"wrong-net.safetensors": header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`) + "abcd",
	} {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, []byte(data), 0o666))
		hostileCall(t, path, true, "import", "resnet18", "--weights", path, "-o", filepath.Join(dir, "body.onnx"))
		if _, err := os.Stat(filepath.Join(dir, "body.onnx")); err == nil {
			t.Errorf("%s: a body was written", name)
		}
	}
	if _, err := os.Stat("owned"); err == nil {
		t.Error("a pickle ran a command")
	}
}
