package learner_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/learner"
	"finetune/learner/config"
)

// What a stranger's config.json says has the bounds of any other configuration.
func TestStrangersConfigHasBounds(t *testing.T) {
	for says, change := range map[string]func(*learner.Config){
		"":                              func(*learner.Config) {},
		"data.max_bad -1":               func(c *learner.Config) { c.Data.MaxBad = -1 },
		"images.views 1099511627776":    func(c *learner.Config) { c.Images.Views = 1 << 40 },
		"machine.threads -2":            func(c *learner.Config) { c.Machine.Threads = -2 },
		"train.hidden 512,1000000000":   func(c *learner.Config) { c.Train.Hidden = config.Widths{512, 1e9} },
		"train.lrs [1 -1]":              func(c *learner.Config) { c.Train.LRs = []float64{1, -1} },
		"train.epochs 1125899906842624": func(c *learner.Config) { c.Train.Epochs = 1 << 50 },
		"train.schedule magic":          func(c *learner.Config) { c.Train.Schedule = "magic" },
		`train.save is "../x"`:          func(c *learner.Config) { c.Train.Save = "../x" },
	} {
		c := learner.DefaultConfig()
		c.Train = c.Train.Completed()
		change(&c)
		dir := t.TempDir()
		data, err := json.Marshal(c)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "config.json"), data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		run, _, _, err := learner.OpenRun(dir, learner.RunOptions{Resume: true})
		if says == "" {
			if err != nil || run == nil {
				t.Errorf("a sound one: %v", err)
			}
			run.Close()
			continue
		}
		if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
