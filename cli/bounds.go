package cli

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"

	"finetune/cli/shell"
	"finetune/learner"
	"finetune/learner/config"
)

// limits are what the values of flags may be, by the flag's name: those of the
// configuration's fields, and those of flags that no configuration has. Durations
// count in seconds.
var limits = shell.Limits{
	Bounds: map[string]config.Bound{
		"batch":       {Least: 1, Most: 1024},
		"classes":     {Least: 1, Most: 1 << 16},
		"count":       {Least: 1, Most: 100},
		"coverage":    {Least: 0, Most: 0.995},
		"delay":       {Least: 0, Most: 60},
		"drain":       {Least: 0, Most: 86400},
		"end":         {Least: 0, Most: math.MaxFloat32, Above: true},
		"golden":      {Least: 0, Most: 1000},
		"max-body":    {Least: 1, Most: 1 << 40},
		"max-images":  {Least: 1, Most: 1 << 16},
		"max-uploads": {Least: 1, Most: 1 << 40},
		"min-rate":    {Least: 1, Most: 1 << 40},
		"older-than":  {Least: 0, Most: 1e10},
		"price":       {Least: 0, Most: 1e6},
		"rate":        {Least: 0.001, Most: 1e6},
		"start":       {Least: 0, Most: math.MaxFloat32, Above: true},
		"task-rows":   {Least: 1, Most: 1e6},
		"threshold":   {Least: 0, Most: 1},
		"timeout":     {Least: 0.001, Most: 86400},
		"top":         {Least: 0, Most: 1 << 16},
		"tries":       {Least: 0, Most: 1e6},
	},
	Choices: map[string][]string{
		"export precision": {config.Float32, config.Float16, config.Int8}, // of a file; train's is of a network that trains
		"odd":              {learner.OddFlag, learner.OddReject},
		"engine":           {"local", "slurm", "kubernetes", "spark"}},
	MayBeEmpty: []string{"shard", "label-sep"},
}

func init() {
	fields := slices.Concat(slices.Collect(maps.Keys(config.Bounds())), slices.Collect(maps.Keys(config.Words())))
	for _, field := range fields {
		name := strings.TrimPrefix(flagOf(field), "--")
		if strings.HasPrefix(field, "recipe.") { // where a flag of that name means something else
			name = "recipe " + name
		}
		if b, ok := config.Bounds()[field]; ok {
			limits.Bounds[name] = b
		} else {
			limits.Choices[name] = config.Words()[field]
		}
	}
}

// called are the fields of the configuration that the command line knows by other names.
var called = map[string]string{"data.path": "DATA", "body.name": "--body", "body.precision": "--body-precision",
	"data.split_seed": "--seed", "recipe.batch": "--batch-size", "train.weight_decay": "--wd"}

// flagOf is what a field of the configuration is called at the command line.
func flagOf(field string) string {
	if name := called[field]; name != "" {
		return name
	}
	_, name, _ := strings.Cut(field, ".")
	return "--" + strings.ReplaceAll(name, "_", "-")
}

// inFlags is err with the fields of a configuration under the names of their flags.
func inFlags(err error) error {
	var field *learner.FieldError
	if !errors.As(err, &field) {
		return err
	}
	return renamed{err, strings.Replace(err.Error(), field.Error(), field.In(flagOf), 1)}
}

// renamed is an error in other words.
type renamed struct {
	error
	text string
}

func (r renamed) Error() string { return r.text }
func (r renamed) Unwrap() error { return r.error }
