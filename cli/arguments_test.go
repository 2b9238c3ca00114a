package cli

import (
	"slices"
	"strings"
	"testing"

	"finetune/cli/shell"
)

func TestFlagsMayStandAfterArguments(t *testing.T) {
	app := newApp(Streams{})
	for _, tt := range []struct{ args, want string }{
		{"finetune", "finetune"},
		{"finetune --help", "finetune --help"},
		{"finetune train data --seed 3 --quiet", "finetune train --seed 3 --quiet -- data"},
		{"finetune train --seed=3 data --json", "finetune train --seed=3 --json -- data"},
		{"finetune train --quiet data", "finetune train --quiet -- data"},
		{"finetune train -- --odd", "finetune train -- --odd"},
		{"finetune cache prune --keep 0 --cache dir", "finetune cache prune --keep 0 --cache dir"},
		{"finetune import resnet18 --weights w.pth -o b.onnx", "finetune import --weights w.pth -o b.onnx -- resnet18"},
		{"finetune nosuch a --b", "finetune nosuch a --b"},
		{"finetune train data --seed", "finetune train --seed"},
		{"finetune train --seed -- data", "finetune train --seed"},
		{"finetune train data --bogus", "finetune train --bogus -- data"},
	} {
		if got := shell.Arrange(app, strings.Fields(tt.args)); !slices.Equal(got, strings.Fields(tt.want)) {
			t.Errorf("%s\n became %s\n    want %s", tt.args, strings.Join(got, " "), tt.want)
		}
	}
}
