//go:build unix

package cli

import (
	"bytes"
	"math"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"finetune/cli/shell"
	"finetune/internal/onnxtest"
	"finetune/internal/photos"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// writeEndlessBody writes a described network that doubles its images for ever.
func writeEndlessBody(t *testing.T, path string) {
	t.Helper()
	inner := graph.NewBuilder("again", 17)
	inner.Input("i", graph.Int64)
	inner.Input("go on", graph.Bool)
	inner.Input("sum", graph.Float32, "N", 3, 16, 16)
	inner.Node("Identity", "go on then", []string{"go on"})
	inner.Node("Add", "more", []string{"sum", "sum"})
	inner.Output("go on then", graph.Bool)
	inner.Output("more", graph.Float32, "N", 3, 16, 16)
	g := graph.NewBuilder("endless", 17)
	x := g.Input("image", graph.Float32, "N", 3, 16, 16)
	trips := g.Ints("trips", nil, []int64{math.MaxInt64})
	always := g.InitTensor(&onnxpb.TensorProto{Name: proto.String("always"), DataType: proto.Int32(graph.Bool),
		Int32Data: []int32{1}})
	g.NodeN("Loop", []string{trips, always, x}, []string{"doubled"}, graph.Graph("body", inner.Model().Graph))
	y := g.Node("Conv", "conv", []string{"doubled", g.Init("w", []int64{4, 3, 1, 1}, make([]float32, 12))})
	y = g.Node("GlobalAveragePool", "pool", []string{g.Node("Relu", "relu", []string{y})})
	g.Output(g.Node("Flatten", "flat", []string{y}), graph.Float32, "N", 4)
	m := g.Model()
	check(t, m.Write(path))
	digest, err := m.Digest()
	check(t, err)
	check(t, bodies.WriteSpec(bodies.SpecPath(path), bodies.Spec{
		Name: "endless", Digest: digest, Size: 16, Std: [3]float32{1, 1, 1}, Layout: bodies.NCHW, Cut: "relu", Channels: 4,
		Groups: []bodies.Group{{Name: "body"}, {Name: "head"}},
	}))
}

// One Ctrl-C or SIGTERM ends a command whose network never comes to an end.
func TestOneSignalEndsANetworkThatLoops(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it waits for the patience to run out")
	}
	dir := t.TempDir()
	onnxtest.Home(t, "cpu", filepath.Join(dir, "home"))
	check(t, photos.Write(filepath.Join(dir, "data"), []string{"circle", "square"}, 3))
	writeEndlessBody(t, filepath.Join(dir, "endless.onnx"))
	c := exec.Command("finetune", "precompute", "data", "--body", "endless.onnx", "--threads", "1")
	var text bytes.Buffer
	c.Dir, c.Stderr = dir, &text
	check(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-ended:
		t.Fatalf("it ends by itself: %s", text.Bytes())
	case <-time.After(2 * time.Second):
	}
	check(t, c.Process.Signal(syscall.SIGTERM))
	select {
	case <-ended:
		if code := c.ProcessState.ExitCode(); code != 130 {
			t.Errorf("exit code %d: %s", code, text.Bytes())
		}
	case <-time.After(shell.Patience + 20*time.Second):
		_ = c.Process.Kill()
		t.Fatalf("it goes on: %s", text.Bytes())
	}
}
