package report

import (
	"strings"
	"testing"

	"finetune/audit"
)

// TestMoreLabels: what is told, what is not, and what is too far away.
func TestMoreLabels(t *testing.T) {
	points := []audit.LabelPoint{{Labels: 100, Accuracy: .7, Low: .6, High: .75},
		{Labels: 400, Accuracy: .8, Low: .8, High: .8}}
	law := audit.PowerLaw{Scale: .9, Power: .25}
	for _, c := range []struct {
		curve         *audit.LabelCurve
		finding, note string
		ahead         int
	}{
		{&audit.LabelCurve{Points: points, Valid: 200, Labels: 400, More: 500, Gain: .012, Low: .004, High: .021, Law: law},
			"500 more labels: about +1.2 points", "between +0.4 and +2.1 points (90 % interval", 4},
		{&audit.LabelCurve{Points: points, Valid: 200, Labels: 400, More: 500, Gain: .01, Low: -.004, High: .021, Law: law},
			"500 more labels: cannot be told", "between -0.4 and +2.1 points: that may be nothing", 0},
		{&audit.LabelCurve{Points: points, Valid: 200, Labels: 50000}, "Accuracy of up to 400 labels",
			"000 labels would give is too far", 0},
	} {
		f, note := moreLabels(c.curve)
		if f.Finding != c.finding || !strings.Contains(note, c.note) || len(f.Ahead) != c.ahead {
			t.Errorf("%q, %q, %d ahead", f.Finding, note, len(f.Ahead))
		}
		if c.ahead > 0 && (f.Expected[0] != .8 || f.Expected[3] < .8119 || f.Expected[3] > .8121 || f.Expected[1] <= .8) {
			t.Errorf("expected: %v", f.Expected)
		}
	}
	if f, note := moreLabels(nil); f != nil || note != "" {
		t.Error("a figure of nothing")
	}
}
