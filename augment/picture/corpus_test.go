package picture_test

import (
	"testing"

	"finetune/internal/corpus"
)

// The small corpus: files of each kind beside Pillow's pixels of them.
// `make corpus` makes and compares the whole one.
func TestCorpus(t *testing.T) {
	const dir = "../../testdata/corpus"
	list, err := corpus.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 30 {
		t.Errorf("%d files, 30 or more expected", len(list))
	}
	for _, e := range list {
		r, err := corpus.Try(dir, e)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Right() {
			t.Errorf("%s (%s): %s, mean %.2f of 255; want %s within %g; %s", e.File, e.Kind, r.Got, r.Mean, e.Status, e.Bound,
				r.Reason)
		}
	}
}
