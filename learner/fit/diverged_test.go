package fit

import (
	"context"
	"math"
	"strings"
	"testing"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/learner/runs"
)

// divergingModel is a fakeModel of which one thing is no number.
type divergingModel struct {
	*fakeModel
	loss   float64
	logp   float32
	weight float32
}

func (m divergingModel) Step(ctx context.Context, epoch int, index []int, r Rates) (float64, error) {
	_, err := m.fakeModel.Step(ctx, epoch, index, r)
	m.fakeModel.weight = m.weight
	return m.loss, err
}

func (m divergingModel) Validate(ctx context.Context) (runs.Score, []float32, error) {
	_, logp, err := m.fakeModel.Validate(ctx)
	logp[0] += m.logp
	return runs.Measure(logp, make([]dataset.Item, 4), 2, false), logp, err
}

// Whatever diverges ends the fit with advice, before it is recorded as a result.
func TestDiverged(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, c := range map[string]struct {
		m    divergingModel
		swa  int
		want string
	}{
		"loss NaN":             {m: divergingModel{loss: math.NaN()}, want: "the loss is NaN at step 0"},
		"loss infinite":        {m: divergingModel{loss: math.Inf(1)}, want: "the loss is +Inf at step 0"},
		"predictions NaN":      {m: divergingModel{logp: nan}, want: "the validation loss is NaN after step 2"},
		"predictions infinite": {m: divergingModel{logp: -inf}, want: "the validation loss is +Inf after step 2"},
		"weights NaN":          {m: divergingModel{weight: nan}, want: "the weight w holds NaN after step 2"},
		"weights infinite":     {m: divergingModel{weight: -inf}, want: "the weight w holds -Inf after step 2"},
		"average NaN":          {m: divergingModel{weight: nan}, swa: 1, want: "the weight w holds NaN"},
	} {
		t.Run(name, func(t *testing.T) {
			c.m.fakeModel = &fakeModel{script: make([]float32, 9), accuracy: []float64{1}}
			f := newFakeFit(runs.Training{LR: .5, Schedule: "constant", Epochs: 1, SWA: c.swa}, c.m.fakeModel, 8)
			f.Model = c.m
			var rows []runs.Epoch
			f.Row = func(e runs.Epoch) { rows = append(rows, e) }
			err := f.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), "lower the learning rate (it is 0.5)") {
				t.Errorf("error %v, want %q and advice", err, c.want)
			}
			if failure.KindOf(err) != failure.UsageKind {
				t.Errorf("kind %v", failure.KindOf(err))
			}
			for _, e := range append(rows, f.History...) {
				if !runs.Finite(e.ValidLoss) {
					t.Errorf("a validation loss of %v was recorded", e.ValidLoss)
				}
			}
		})
	}
}

func TestWhatIsNoNumberIsNeverRight(t *testing.T) {
	nan := float32(math.NaN())
	items := []dataset.Item{{Label: 0}, {Label: 1}}
	if s := runs.Measure([]float32{nan, nan, nan, nan}, items, 2, false); s.Accuracy != 0 || !math.IsNaN(s.Loss) {
		t.Errorf("one label: %+v", s)
	}
	items[0].Labels, items[1].Labels = []int{}, []int{}
	if s := runs.Measure([]float32{nan, nan, nan, nan}, items, 2, true); s.Accuracy != 0 || !math.IsNaN(s.Loss) {
		t.Errorf("several labels: %+v", s)
	}
}
