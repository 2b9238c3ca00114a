package train

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"finetune/calibration"
	"finetune/internal/jobtest"
	"finetune/learner/config"
	"finetune/learner/parts"
	"finetune/learner/runs"
)

// Where one window holds all rows, temperature and limits are those of training in memory.
func TestTemperatureOfOneWindowIsThatOfMemory(t *testing.T) {
	m := jobtest.Made{Train: 300, Valid: 90, Width: 24, Classes: 3, TaskRows: 40}
	set := openMade(t, m)
	tr := partsTraining(m, set, func(c *config.Training) { c.Epochs, c.Window = 8, 300 })
	_, model, end, err := tr.partsFit(set)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if set.Rows(parts.Held) != 0 {
		t.Fatalf("%d rows are kept from the training", set.Rows(parts.Held))
	}
	got, err := tr.calibrateParts(t.Context(), model, set)
	if err != nil {
		t.Fatal(err)
	}
	tr.features = memory(m)
	held, err := tr.holdOut(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := tr.calibrate(held); !reflect.DeepEqual(got, want) || want.Temperature == 0 || want.HeldOut != 300 {
		t.Errorf("temperature %v of %d, in memory %v of %d", got.Temperature, got.HeldOut, want.Temperature, want.HeldOut)
	}
}

// Where a window holds some rows alone, the temperature is of rows that were kept from the
// training; on validation rows it is nearly as good as the best one for them.
func TestTemperatureOfWindows(t *testing.T) {
	m := jobtest.Made{Train: 3000, Valid: 600, Width: 24, Classes: 3, TaskRows: 200}
	set := openMade(t, m)
	tr := partsTraining(m, set, func(c *config.Training) { c.Epochs, c.Window, c.LR = 12, 400, .05 })
	fit, model, end, err := tr.partsFit(set)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if n := set.Rows(parts.Held); n < 250 || n > 350 || n+set.Rows(parts.Train) != 3000 {
		t.Fatalf("%d of 3000 rows are kept from the training", n)
	}
	if err := fit.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := tr.calibrateParts(t.Context(), model, set)
	if err != nil || got.HeldOut != set.Rows(parts.Held) || got.Limits == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	tr.features = memory(m)
	_, raw, err := (&inMemory{valid: tr.features.Valid, classes: 3}).Validate(t.Context(), model.head)
	if err != nil {
		t.Fatal(err)
	}
	loss := func(temperature float64) float64 {
		logp := slices.Clone(raw)
		calibration.Scale(logp, 3, false, temperature)
		return runs.Measure(logp, tr.features.Valid.Items, 3, false).Loss
	}
	best := calibration.Temperature(raw, runs.Labels(tr.features.Valid.Items), 3)
	t.Logf("temperature %.3f of held rows, %.3f of validation rows; loss %.4f, with them %.4f and %.4f", got.Temperature,
		best, loss(1), loss(got.Temperature), loss(best))
	if math.Abs(math.Log(got.Temperature/best)) > .25 || loss(got.Temperature) > loss(best)+.01 {
		t.Error("the temperature is far from that of validation rows")
	}
}
