package graph_test

import (
	"bytes"
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

// Sealing again, or after a change, gives what sealing once gives.
func TestSealingAgain(t *testing.T) {
	sealed := func(steps ...func(*graph.Model)) []byte {
		m := tiny()
		for _, step := range append(steps, func(*graph.Model) {}) {
			step(m)
			if err := m.Seal(); err != nil {
				t.Fatal(err)
			}
		}
		data, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := graph.Parse(data); err != nil || !back.Sealed() {
			t.Fatalf("as written: %v", err)
		}
		return data
	}
	classes := func(m *graph.Model) { m.SetMeta("classes", "ants,bees") }
	other := func(m *graph.Model) { m.SetMeta("classes", "x") }
	if !bytes.Equal(sealed(), sealed(func(*graph.Model) {})) {
		t.Error("sealed twice, the bytes differ")
	}
	if !bytes.Equal(sealed(classes), sealed(func(*graph.Model) {}, classes)) || !bytes.Equal(sealed(classes), sealed(other, classes)) {
		t.Error("sealed after a change, the bytes differ")
	}
}
