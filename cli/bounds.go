package cli

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/internal/failure"
	"finetune/learner"
)

// bound is what the numbers of a flag lie between, both included.
type bound struct {
	least, most float64
	above       bool // least itself is too small
	list        bool // of a text: numbers with commas between
}

// bounds holds every flag that takes numbers, by its name; a flag that means
// something else for one command goes as "command flag". Durations count in
// seconds. The upper bounds are far beyond use: they keep a slip of the finger
// from ending in a machine without memory.
var bounds = map[string]bound{
	"batch":           {1, 1024, false, false},
	"batch-size":      {1, 1 << 20, false, false},
	"bn-momentum":     {0, 1, false, false},
	"classes":         {1, 1 << 16, false, false},
	"clip":            {0, math.MaxFloat32, false, false},
	"clr":             {0, 1e6, false, false},
	"count":           {1, 100, false, false},
	"cycle-len":       {1, 1e6, false, false},
	"cycle-mult":      {1, 1000, false, false},
	"cycles":          {1, 1e6, false, false},
	"delay":           {0, 60, false, false},
	"drain":           {0, 86400, false, false},
	"dropout":         {0, 0.999, false, true},
	"end":             {0, math.MaxFloat32, true, false},
	"epochs":          {0, 1e6, false, false},
	"recipe epochs":   {1, 1e4, false, false},
	"freeze-to":       {0, 1e4, false, false},
	"golden":          {0, 1000, false, false},
	"hidden":          {1, 1 << 14, false, true},
	"label-smoothing": {0, 0.999, false, false},
	"lr":              {0, math.MaxFloat32, true, false},
	"lrs":             {0, math.MaxFloat32, false, false},
	"max-bad":         {0, 1, false, false},
	"max-body":        {1, 1 << 40, false, false},
	"max-images":      {1, 1 << 16, false, false},
	"max-pixels":      {1, 1 << 31, false, false},
	"max-uploads":     {1, 1 << 40, false, false},
	"max-zoom":        {0, 4, false, false},
	"micro-batch":     {0, 1 << 20, false, false},
	"min-rate":        {1, 1 << 40, false, false},
	"minutes":         {0, 1e6, false, false},
	"momentum":        {0, 0.99999, false, false},
	"older-than":      {0, 1e10, false, false},
	"pad":             {0, 1024, false, false},
	"patience":        {0, 1e6, false, false},
	"seed":            {0, math.MaxUint64, false, false},
	"size":            {0, 4096, false, false},
	"start":           {0, math.MaxFloat32, true, false},
	"swa":             {0, 1e6, false, false},
	"threads":         {0, 1024, false, false},
	"threshold":       {0, 1, false, false},
	"timeout":         {0.001, 86400, false, false},
	"top":             {0, 1 << 16, false, false},
	"tries":           {0, 1e6, false, false},
	"tta":             {0, 1000, false, false},
	"valid-pct":       {0, 0.999, false, false},
	"views":           {0, 1000, false, false},
	"wd":              {0, math.MaxFloat32, false, false},
	"workers":         {0, 1024, false, false},
}

// choices holds the flags that take one of a few words.
var choices = map[string][]string{
	"balance":        {"none", "weights", "sampling"},
	"body-precision": {"float32", "float16", "int8"},
	"precision":      {"float32", "float16", "int8"},
	"device":         {"auto", "cpu", "cuda"},
	"head":           {"mlp", "linear", "auto"},
	"layout":         {"nchw", "nhwc"},
	"optimiser":      {"sgd", "adam", "adamw"},
	"schedule":       {"sgdr", "constant", "clr", "clr-beta", "warm-up"},
}

// mayBeEmpty are the texts whose empty value says something; that of any other
// flag is mostly a variable that a script did not set.
var mayBeEmpty = []string{"hidden", "dropout", "shard", "label-sep"}

func (b bound) fits(v float64) bool {
	return v <= b.most && (v > b.least || v == b.least && !b.above)
}

func (b bound) String() string {
	from := fmt.Sprintf("from %.10g", b.least)
	if b.above {
		from = fmt.Sprintf("above %.10g", b.least)
	}
	return fmt.Sprintf("%s to %.10g", from, b.most)
}

// checkFlags looks at every flag that was given before the command does anything.
func checkFlags(c *cli.Context) error {
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		if err := checkFlag(c.Command.Name, name, c.Value(name)); err != nil {
			return err
		}
	}
	return nil
}

func checkFlag(command, name string, value any) error {
	text, isText := value.(string)
	switch words := choices[name]; {
	case isText && text == "" && !slices.Contains(mayBeEmpty, name):
		return usagef("--%s is empty; give a value, or leave the flag out", name)
	case words != nil && !slices.Contains(words, text) &&
		(name != "layout" || !slices.Contains(words, strings.ToLower(text))):
		last := len(words) - 1
		return usagef("--%s %s: use %s or %s", name, text, strings.Join(words[:last], ", "), words[last])
	}
	b, ok := bounds[command+" "+name]
	if !ok {
		if b, ok = bounds[name]; !ok {
			return nil
		}
	}
	numbers, err := numbersIn(value, b.list)
	if err != nil {
		return usagef("--%s %v: %w", name, value, err)
	}
	for _, v := range numbers {
		if !b.fits(v) {
			return usagef("--%s %v: it lies %s", name, value, b)
		}
	}
	return nil
}

// numbersIn are the numbers of a flag's value.
func numbersIn(value any, list bool) ([]float64, error) {
	switch v := value.(type) {
	case int:
		return []float64{float64(v)}, nil
	case int64:
		return []float64{float64(v)}, nil
	case uint64:
		return []float64{float64(v)}, nil
	case float64:
		return []float64{v}, nil
	case []float64:
		return v, nil
	case time.Duration:
		return []float64{v.Seconds()}, nil
	case string:
		if !list {
			return nil, nil
		}
		return numberList(v)
	}
	return nil, nil
}

func numberList(text string) ([]float64, error) {
	const most = 16 // layers
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	if len(parts) > most {
		return nil, fmt.Errorf("%d numbers; at most %d", len(parts), most)
	}
	var out []float64
	for _, p := range parts {
		v, err := strconv.ParseFloat(p, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", p)
		}
		out = append(out, v)
	}
	return out, nil
}

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
			numbers, err := numbersIn(v.Field(i).Interface(), b.list)
			for _, n := range numbers {
				if n != 0 && !b.fits(n) { // 0: left out
					err = fmt.Errorf("it lies %s", b)
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
