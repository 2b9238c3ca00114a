package weights

import (
	"bytes"
	"math"
	"os"
	"testing"
)

// fuzz hands corrupted files to parse: no panic, no hang, and what it accepts
// is consistent and survives a round trip.
func fuzz(f *testing.F, files ...string) {
	for _, name := range files {
		data, err := os.ReadFile(reference + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors, err := parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, x := range tensors {
			if n, err := elements(x.Shape); err != nil || n != int64(x.Len()) {
				t.Fatalf("%q: shape %v with %d elements", x.Name, x.Shape, x.Len())
			}
			if checkTensor(x, seen) != nil {
				return // a name that safetensors cannot hold
			}
		}
		var b bytes.Buffer
		if err := WriteSafetensors(&b, tensors, nil); err != nil {
			t.Fatal(err)
		}
		again, _, err := parseSafetensors(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatalf("cannot read back what was written: %v", err)
		}
		want := ByName(tensors)
		for _, x := range again {
			for i, v := range want[x.Name].Data {
				if math.Float32bits(v) != math.Float32bits(x.Data[i]) {
					t.Fatalf("%q[%d] = %v, was %v", x.Name, i, x.Data[i], v)
				}
			}
		}
	})
}

func FuzzZip(f *testing.F) { fuzz(f, "weights_zip.pth", "weights_wrapped.pth") }

func FuzzLegacy(f *testing.F) {
	f.Add(pickled("}U\x01wK\x01s"))
	f.Add(pickled("cos\nsystem\n)R"))
	fuzz(f, "weights_legacy.pth")
}

func FuzzSafetensors(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}`, 2))
	fuzz(f, "weights_files.safetensors")
}
