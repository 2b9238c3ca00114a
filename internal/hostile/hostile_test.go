//go:build unix

package hostile

import (
	"bytes"
	"testing"
)

func TestImagesAreTheSameEachTime(t *testing.T) {
	seeds, err := Seeds("../../testdata/images")
	if err != nil {
		t.Fatal(err)
	}
	a, b := Images(seeds, 400, 7), Images(seeds, 400, 7)
	names := map[string]bool{}
	for i := range a {
		if a[i].Name != b[i].Name || !bytes.Equal(a[i].Data, b[i].Data) {
			t.Fatalf("file %d, %s: differs between two calls", i, a[i].Name)
		}
		if names[a[i].Name] {
			t.Errorf("%s: twice", a[i].Name)
		}
		names[a[i].Name] = true
	}
}
