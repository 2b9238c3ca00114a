package cli

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// exits is what Main's results mean.
const exits = "Exit codes: 0 done, 1 failed, 2 a wrong flag or argument, 3 unusable data, 130 interrupted."

// Groups of commands, which the list of commands prints in the order of the alphabet.
const (
	begin = "Begin"
	look  = "Inspect"
	learn = "Train"
	many  = "Jobs"
	use   = "Use"
)

// manual gives each command its group and its examples.
var manual = map[string]struct {
	group    string
	examples []string
}{
	"demo":   {begin, []string{"finetune demo"}},
	"doctor": {begin, []string{"finetune doctor"}},
	"fetch":  {begin, []string{"finetune fetch", "finetune fetch resnet34"}},
	"import": {begin, []string{"finetune import resnet34 --weights resnet34.pth -o body.onnx"}},

	"train": {learn, []string{
		"finetune train photos",
		"finetune train photos --augment side-on --cycles 3 --cycle-mult 2 --run runs/first",
		"finetune train photos --unfreeze --run runs/whole --resume",
	}},
	"recipe":     {learn, []string{"finetune recipe photos --minutes 20"}},
	"lr-find":    {learn, []string{"finetune lr-find photos"}},
	"precompute": {learn, []string{"finetune precompute photos", "finetune precompute photos --shard 0/4"}},
	"artifacts":  {learn, []string{"finetune artifacts resnet34 --classes 2 -o graphs"}},

	"score": {use, []string{"finetune score runs/first new -o scores.csv", "find new -name '*.jpg' | finetune score " +
		"model.onnx - -o scores.parquet"}},
	"merge": {use, []string{"finetune merge part-0.csv part-1.csv -o scores.csv",
		"finetune merge jobs/one -o scores.csv"}},
	"evaluate": {use, []string{"finetune evaluate runs/first", "finetune evaluate model.onnx photos"}},
	"export":   {use, []string{"finetune export runs/first -o model.onnx"}},
	"serve": {use, []string{"finetune serve model.onnx",
		"curl --data-binary @photo.jpg http://127.0.0.1:8080/predict"}},

	"studio": {look, []string{"finetune studio photographs --classes cat,dog",
		"finetune train photographs --labels photographs/labels.csv"}},
	"audit": {look, []string{"finetune audit photos -o audit", "finetune audit photos --fail-on leakage,labels"}},

	"plan": {many, []string{"finetune plan score runs/first new jobs/one",
		"finetune plan score model.onnx paths.txt 's3://bucket/jobs/one?region=eu-central-1'"}},
	"run":    {many, []string{"finetune run jobs/one", "finetune run jobs/one --workers 4"}},
	"work":   {many, []string{"finetune work jobs/one --shard 0/4", "seq 0 9 | finetune work jobs/one --stream"}},
	"status": {many, []string{"finetune status jobs/one", "finetune status jobs/one --price 0.05"}},

	"runs":    {look, []string{"finetune runs", "finetune runs --json"}},
	"compare": {look, []string{"finetune compare runs/first runs/second"}},
	"report":  {look, []string{"finetune report runs/first"}},
	"preview": {look, []string{"finetune preview photos --augment side-on"}},
	"inspect": {look, []string{"finetune inspect model.onnx"}},
	"cache":   {look, []string{"finetune cache ls", "finetune cache prune --keep 2GB"}},
}

// document writes the manual into the command's help.
func document(c *cli.Command) {
	m := manual[c.Name]
	c.Category = m.group
	c.Description = strings.TrimSpace(c.Description + "\n\nExamples:\n   " + strings.Join(m.examples, "\n   "))
}
