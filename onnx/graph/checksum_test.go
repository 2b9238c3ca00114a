package graph_test

import (
	"bytes"
	"testing"

	"finetune/onnx/graph"
)

func TestAChecksumNoticesEveryChange(t *testing.T) {
	m := tiny()
	m.SetMeta("classes", "ants,bees")
	if err := m.AddChecksum(); err != nil {
		t.Fatal(err)
	}
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := graph.Parse(data); err != nil || !back.HasChecksum() {
		t.Fatalf("as written: %v", err)
	}
	unchecked := 0
	for at := range data {
		data[at] ^= 1 << (at % 8)
		switch back, err := graph.Parse(data); {
		case err == nil && !back.HasChecksum(): // the key itself is damaged
			unchecked++
		case err == nil:
			t.Errorf("byte %d of %d: not noticed", at, len(data))
		}
		data[at] ^= 1 << (at % 8)
	}
	if unchecked > 40 {
		t.Errorf("%d changes lost the checksum, more than its key has bytes", unchecked)
	}
}

// A checksum added again, or after a change, is what one added once is.
func TestChecksumAgain(t *testing.T) {
	checked := func(steps ...func(*graph.Model)) []byte {
		m := tiny()
		for _, step := range append(steps, func(*graph.Model) {}) {
			step(m)
			if err := m.AddChecksum(); err != nil {
				t.Fatal(err)
			}
		}
		data, err := m.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := graph.Parse(data); err != nil || !back.HasChecksum() {
			t.Fatalf("as written: %v", err)
		}
		return data
	}
	classes := func(m *graph.Model) { m.SetMeta("classes", "ants,bees") }
	other := func(m *graph.Model) { m.SetMeta("classes", "x") }
	if !bytes.Equal(checked(), checked(func(*graph.Model) {})) {
		t.Error("added twice, the bytes differ")
	}
	if !bytes.Equal(checked(classes), checked(func(*graph.Model) {}, classes)) ||
		!bytes.Equal(checked(classes), checked(other, classes)) {
		t.Error("added after a change, the bytes differ")
	}
}
