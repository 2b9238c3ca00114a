package cli

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"finetune/cli/shell"
	"finetune/internal/failure"
	"finetune/learner"
)

// bounds holds every flag that takes numbers, by its name; a flag that means
// something else for one command goes as "command flag". Durations count in
// seconds. The upper bounds are far beyond use: they keep a slip of the finger
// from ending in a machine without memory.
var bounds = map[string]shell.Bound{
	"batch":           {Least: 1, Most: 1024},
	"batch-size":      {Least: 1, Most: 1 << 20},
	"bn-momentum":     {Least: 0, Most: 1},
	"classes":         {Least: 1, Most: 1 << 16},
	"clip":            {Least: 0, Most: math.MaxFloat32},
	"clr":             {Least: 0, Most: 1e6},
	"count":           {Least: 1, Most: 100},
	"cycle-len":       {Least: 1, Most: 1e6},
	"cycle-mult":      {Least: 1, Most: 1000},
	"cycles":          {Least: 1, Most: 1e6},
	"delay":           {Least: 0, Most: 60},
	"drain":           {Least: 0, Most: 86400},
	"dropout":         {Least: 0, Most: 0.999, List: true},
	"end":             {Least: 0, Most: math.MaxFloat32, Above: true},
	"epochs":          {Least: 0, Most: 1e6},
	"recipe epochs":   {Least: 1, Most: 1e4},
	"freeze-to":       {Least: 0, Most: 1e4},
	"golden":          {Least: 0, Most: 1000},
	"hidden":          {Least: 1, Most: 1 << 14, List: true},
	"label-smoothing": {Least: 0, Most: 0.999},
	"lr":              {Least: 0, Most: math.MaxFloat32, Above: true},
	"lrs":             {Least: 0, Most: math.MaxFloat32},
	"max-bad":         {Least: 0, Most: 1},
	"max-body":        {Least: 1, Most: 1 << 40},
	"max-images":      {Least: 1, Most: 1 << 16},
	"max-pixels":      {Least: 1, Most: 1 << 31},
	"max-uploads":     {Least: 1, Most: 1 << 40},
	"max-zoom":        {Least: 0, Most: 4},
	"micro-batch":     {Least: 0, Most: 1 << 20},
	"min-rate":        {Least: 1, Most: 1 << 40},
	"minutes":         {Least: 0, Most: 1e6},
	"momentum":        {Least: 0, Most: 0.99999},
	"older-than":      {Least: 0, Most: 1e10},
	"pad":             {Least: 0, Most: 1024},
	"patience":        {Least: 0, Most: 1e6},
	"price":           {Least: 0, Most: 1e6},
	"seed":            {Least: 0, Most: math.MaxUint64},
	"size":            {Least: 0, Most: 4096},
	"start":           {Least: 0, Most: math.MaxFloat32, Above: true},
	"swa":             {Least: 0, Most: 1e6},
	"task-rows":       {Least: 1, Most: 1e6},
	"threads":         {Least: 0, Most: 1024},
	"threshold":       {Least: 0, Most: 1},
	"timeout":         {Least: 0.001, Most: 86400},
	"top":             {Least: 0, Most: 1 << 16},
	"tries":           {Least: 0, Most: 1e6},
	"tta":             {Least: 0, Most: 1000},
	"valid-pct":       {Least: 0, Most: 0.999},
	"views":           {Least: 0, Most: 1000},
	"wd":              {Least: 0, Most: math.MaxFloat32},
	"workers":         {Least: 0, Most: 1024},
}

// choices holds the flags that take one of a few words.
var choices = map[string][]string{
	"balance":        {"none", "weights", "sampling"},
	"body-precision": {"float32", "float16", "int8"},
	"precision":      {"float32", "float16", "int8"},
	"engine":         {"local", "slurm", "kubernetes", "spark"},
	"device":         {"auto", "cpu", "cuda"},
	"head":           {"mlp", "linear", "auto"},
	"layout":         {"nchw", "nhwc"},
	"optimiser":      {"sgd", "adam", "adamw"},
	"schedule":       {"sgdr", "constant", "clr", "clr-beta", "warm-up"},
}

// mayBeEmpty are the texts whose empty value says something; that of any other
// flag is mostly a variable that a script did not set.
var mayBeEmpty = []string{"hidden", "dropout", "shard", "label-sep"}

// limits are what the flags of every command may say.
var limits = shell.Limits{Bounds: bounds, Choices: choices, MayBeEmpty: mayBeEmpty}

// checkConfig holds a run's config.json to the bounds of the flags that wrote it:
// it may come from somebody else.
func checkConfig(run string, c learner.Config) error {
	parts := []any{c.Data, c.Images, c.Train, c.Machine}
	if c.Recipe != nil {
		parts = append(parts, *c.Recipe)
	}
	for _, part := range parts {
		v := reflect.ValueOf(part)
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			flag := strings.ReplaceAll(name, "_", "-")
			if name == "weight_decay" {
				flag = "wd"
			}
			b, ok := bounds[flag]
			if !ok {
				continue
			}
			numbers, err := shell.NumbersIn(v.Field(i).Interface(), b.List)
			for _, n := range numbers {
				if n != 0 && !b.Fits(n) { // 0: left out
					err = fmt.Errorf("must be %s", b)
				}
			}
			if err != nil {
				return failure.Data(fmt.Errorf("cli: %s/config.json: %s %v: %w; train again with --overwrite", run, name,
					v.Field(i).Interface(), err))
			}
		}
	}
	return nil
}
