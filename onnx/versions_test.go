package onnx

import (
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/onnx/graph"
)

// TestFaultsOfOldVersions: a model on which an old version crashes is refused
// with that version, by its number, and by no newer one.
func TestFaultsOfOldVersions(t *testing.T) {
	divides := func(by int64) func() (*graph.Model, error) {
		return func() (*graph.Model, error) {
			b := graph.NewBuilder("divides", 17)
			x := b.Input("x", graph.Int64, "N")
			b.Output(b.Node("Div", "y", []string{x, b.Ints("by", []int64{1}, []int64{by})}), graph.Int64, "N")
			return b.Model(), nil
		}
	}
	for _, c := range []struct {
		version string
		by      int64
		refused bool
	}{{"1.24.1", 0, true}, {"1.24.4", 0, true}, {"1.24.4", 2, false}, {"1.25.0", 0, false}, {"1.31.1", 0, false}, {"2.0",
		0, false}} {
		err := withstands("net.onnx", c.version, divides(c.by))
		if c.refused != (err != nil) {
			t.Errorf("%s, by %d: %v", c.version, c.by, err)
		}
		if err == nil {
			continue
		}
		for _, want := range []string{"net.onnx", `"y" (Div)`, "ONNX Runtime " + c.version, "1.25 or newer"} {
			if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: want bad data with %q", err, want)
			}
		}
	}
}
