package report

import (
	"os"
	"testing"

	"finetune/learner/runs"
	"finetune/plots/page"
)

// What a spreadsheet would run is disarmed in a run's tables, and read back as it was.
func TestTablesDisarmFormulas(t *testing.T) {
	classes := []string{"-1", "=cmd|calc", "'=x"}
	r := &runs.Run{Dir: t.TempDir()}
	rows := []runs.Prediction{
		{Split: "valid", Path: "=a.jpg", Label: 1, Predicted: 2, LogProb: []float32{-1, -2, -3}},
		{Split: "train", Path: "'=b.jpg", Label: 0, Predicted: 0, LogProb: []float32{-1, -2, -3}},
	}
	if err := r.WritePredictions(rows, classes, false, ""); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(r.Path(runs.PredictionsFile))
	want := "split,path,label,predicted,logp_-1,logp_=cmd|calc,logp_'=x\n" +
		"valid,'=a.jpg,'=cmd|calc,''=x,-1,-2,-3\ntrain,''=b.jpg,-1,-1,-1,-2,-3\n"
	if err != nil || string(data) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, data, want)
	}
	report := page.Report{TrainCount: make([]int, len(classes))}
	if err := gatherPredictions(r.Dir, runs.Config{Classes: classes}, &report); err != nil {
		t.Fatal(err)
	}
	if p := report.Valid[0]; p.Path != "=a.jpg" || p.Label != 1 || report.TrainCount[0] != 1 {
		t.Errorf("read back %+v, %v", report.Valid, report.TrainCount)
	}
}
