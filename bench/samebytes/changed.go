//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// change is an exception for what a later version makes otherwise on purpose. It holds
// while the older program is one from before the change: where that one made a file of
// its own called file, in which text stands, both must make the same.
type change struct {
	exception
	file, text string
}

const newStage = "recipe/steps/linear/summary.json"

// changed are the changes since 526883a.
var changed = []change{
	{exception{"home/audits/*", "findings of the audit are kept", nil}, "home/audits/*", ""},
	{exception{"home/planes/*", "planes of training photographs are kept", nil}, "home/planes/*", ""},
	{exception{"recipe/steps/linear/*", "a stage that recipes did not have", nil}, newStage, ""},
	{exception{"recipe/recipe.csv", "has a row more, a temperature in losses of heads, other names of stages, and seconds",
		stripStageLosses}, aTable, oddness},
	{exception{"recipe/recipe.csv", "has a row more; stages have other names, and seconds", stripStages}, newStage, ""},
	copied("SHA256SUMS"), copied("config.json"), copied("head.safetensors"), copied("history.csv"), copied("model.onnx"),
	copied("neighbours.csv"), copied("predictions.csv"), copied("report/*"), copied("steps.csv"), copied("summary.json"),
	copied("body.json"), copied("body.onnx"), copied("checkpoint.safetensors"),
	{exception{"*/report/confusion.png", "says predicted for called", nil}, aPage, newWords},
	{exception{"*/report/reliability.png", "says underconfident, and accuracy for share right", nil}, aPage, newWords},
	{exception{"*/report/loss-by-step.png", "counts one step, not 1 steps", nil}, aPage, newWords},
	{exception{"*/report/scores.png", "says hardest class", nil}, aPage, newWords},
	{exception{"audit.json", "the audit is kept in the run", nil}, "head/audit.json", ""},
	{exception{"maps.csv", "a file that runs did not have", nil}, "head/maps.csv", ""},
	{exception{"*/report/index.html", "shows where the model looks and what more labels give; holds seconds", nil},
		"head/maps.csv", ""},
	{exception{"*/report/more-labels.png", "a picture that reports did not have", nil}, "head/maps.csv", ""},
	{exception{"*/audit.json", "has a field more, label_curve", stripCurve}, "head/maps.csv", ""},
	{exception{"calibration.safetensors", "a file that runs did not have", nil}, aTable, oddness},
	scored("head.csv"), scored("tta.csv"), scored("int8.csv"), scored("tuned.csv"), scored("exported*.csv"),
	{exception{"scores/top.jsonl", "a field more, oddness", stripOddnessJSON}, aTable, oddness},
	{exception{"scores/head.parquet", "a column more, oddness", stripOddnessParquet}, aTable, oddness},
	{exception{"exported/golden.safetensors", "a tensor more, oddness", stripOddnessTensor}, aTable, oddness},
	{exception{"evaluated/*.json", "odd photographs are counted, and the calibration error has other bins; holds seconds",
		stripErrors}, aTable, oddness},
	model("head"), model("half"), model("uint8"), model("int8"), model("tuned"),
}

// model is an exported file. What it computes is compared: scores/exported-*.csv, golden.safetensors.
func model(name string) change {
	return change{exception{"exported/" + name + ".onnx", "an output more, oddness; what it computes is in scores", nil},
		aTable, oddness}
}

// scored is a table of what a classifier predicts without a temperature.
func scored(name string) change {
	return change{exception{"scores/" + name, "a column more, oddness", stripOddness}, aTable, oddness}
}

// headRuns are runs whose head has a temperature, and networkRuns those of whole networks, which have none.
var (
	headRuns    = []string{"head", "views", "int8", "whole", "killed", "recipe/steps/head", "recipe/steps/augmented"}
	networkRuns = []string{"tuned", "moved", "tuned-whole", "tuned-killed", "recipe/steps/unfrozen"}
)

// ofRuns are the files of runs that calibration changed.
func ofRuns() (list []change) {
	in := func(runs []string, glob, reason string, strip func([]byte) ([]byte, error)) {
		for _, run := range runs {
			list = append(list, change{exception{run + "/" + glob, reason, strip}, aTable, oddness})
		}
	}
	in(headRuns, "predictions.csv", "has a temperature in probabilities, and a column more, oddness", stripProbabilities)
	in(headRuns, "summary.json", "has a temperature in losses; holds seconds", stripLosses)
	in(headRuns, "report/index.html", "shows probabilities, which have a temperature", nil)
	in(headRuns, "report/*correct*.png", "shows probabilities, which have a temperature", nil)
	in(headRuns, "report/most-uncertain.png", "shows probabilities, which have a temperature", nil)
	in(networkRuns, "predictions.csv", "has a column more, oddness", stripOddness)
	in(networkRuns, "report/index.html", "shows odd photographs, and the calibration error by other bins; holds seconds",
		stripCalibratedPage)
	in([]string{"*"}, "report/odd.png", "a picture that reports did not have", nil)
	return list
}

// copied is a file of a recipe's run that is one of its best stage, or made from it.
// Which stage that is, and that the files are copied, trial.copiesStage checks.
func copied(name string) change {
	return change{exception{"recipe/" + name, "the new stage may be the best, whose files a recipe's run copies", nil},
		newStage, ""}
}

const (
	aPage    = "head/report/index.html"
	newWords = "accuracy of always predicting"
	aTable   = "head/predictions.csv"
	oddness  = "oddness"
)

// inForce are the changes that the folder of the older program is from before.
func inForce(old string) (list []exception, err error) {
	for _, c := range slices.Concat(changed, ofRuns()) {
		files, err := filepath.Glob(filepath.Join(old, filepath.FromSlash(c.file)))
		if err != nil {
			return nil, err
		}
		after := false
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			after = after || bytes.Contains(data, []byte(c.text))
		}
		if !after {
			list = append(list, c.exception)
		}
	}
	return ofTunedBody(old, list)
}

// ofTunedBody adds the cache of the recipe's fine-tuned body, which its export fills
// where that was the best stage, if files of that stage may differ.
func ofTunedBody(old string, list []exception) ([]exception, error) {
	var body struct{ Digest string }
	data, err := os.ReadFile(filepath.Join(old, "recipe/body.json"))
	if covering(list, "recipe/body.onnx") < 0 || errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &body)
	}
	keys, bad := filepath.Glob(filepath.Join(old, "home/cache/*/key.json"))
	if err = errors.Join(err, bad); err != nil || body.Digest == "" {
		return nil, fmt.Errorf("recipe/body.json: no digest (%w)", err)
	}
	for _, key := range keys {
		data, err := os.ReadFile(key)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(data, []byte(body.Digest)) {
			cache := "home/cache/" + filepath.Base(filepath.Dir(key)) + "/*"
			list = append(list, exception{cache, "features of the recipe's fine-tuned body, where that was the best", nil})
		}
	}
	return list, nil
}
