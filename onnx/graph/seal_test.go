package graph_test

import (
	"testing"

	"finetune/onnx/graph"
)

func TestASealedModelNoticesEveryChange(t *testing.T) {
	m := tiny()
	m.SetMeta("classes", "ants,bees")
	if err := m.Seal(); err != nil {
		t.Fatal(err)
	}
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := graph.Parse(data); err != nil || !back.Sealed() {
		t.Fatalf("as written: %v", err)
	}
	unsealed := 0
	for at := range data {
		data[at] ^= 1 << (at % 8)
		switch back, err := graph.Parse(data); {
		case err == nil && !back.Sealed(): // the key itself is damaged
			unsealed++
		case err == nil:
			t.Errorf("byte %d of %d: not noticed", at, len(data))
		}
		data[at] ^= 1 << (at % 8)
	}
	if unsealed > 40 {
		t.Errorf("%d changes lost the seal, more than its key has bytes", unsealed)
	}
}
