package train

import (
	"finetune/internal/failure"
	"finetune/internal/uitest"
	"finetune/learner/features"
	"testing"
)

// A configuration that says nothing is refused before it divides by anything.
func TestBareTrainingIsRefused(t *testing.T) {
	l := &features.Setup{Session: &features.SharedBody{}, Narrow: &features.NarrowPhotos{}, UI: uitest.Quiet{}}
	tr := &training{Setup: l, features: &features.Features{}}
	if _, _, err := tr.newFit(t.Context()); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("head: %v", err)
	}
	if _, _, err := tr.newFullFit(t.Context(), t.TempDir(), true); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("whole network: %v", err)
	}
}
