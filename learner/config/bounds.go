package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Bound is what numbers lie between, both included.
type Bound struct {
	Least, Most float64
	Above       bool // Least itself is too small
}

// Fits reports whether v lies within.
func (b Bound) Fits(v float64) bool {
	return v <= b.Most && (v > b.Least || v == b.Least && !b.Above)
}

// String says where a number lies: "from 1 to 10".
func (b Bound) String() string {
	from := fmt.Sprintf("from %.10g", b.Least)
	if b.Above {
		from = fmt.Sprintf("above %.10g", b.Least)
	}
	return fmt.Sprintf("%s to %.10g", from, b.Most)
}

// bounds are those of every field of numbers, by its place in config.json. The upper
// ones are far beyond use: they keep a slip of the finger from ending in a machine
// without memory. A field whose zero stands for something else begins at 0.
var bounds = map[string]Bound{
	"body.mean":             {Least: -1000, Most: 1000},
	"body.std":              {Least: 0, Most: 1000, Above: true},
	"data.max_bad":          {Least: 0, Most: 1},
	"data.split_seed":       {Least: 0, Most: math.MaxUint64},
	"data.valid_pct":        {Least: 0, Most: 0.999},
	"images.max_zoom":       {Least: 0, Most: 4},
	"images.pad":            {Least: 0, Most: 1024},
	"images.resize":         {Least: 0, Most: 8192},
	"images.size":           {Least: 0, Most: 4096},
	"images.views":          {Least: 0, Most: 1000},
	"machine.max_pixels":    {Least: 0, Most: 1 << 31},
	"machine.threads":       {Least: 0, Most: 1024},
	"machine.workers":       {Least: 0, Most: 1024},
	"recipe.batch":          {Least: 2, Most: 1 << 20},
	"recipe.epochs":         {Least: 1, Most: 1e4},
	"recipe.micro_batch":    {Least: 0, Most: 1 << 20},
	"recipe.minutes":        {Least: 0, Most: 1e6},
	"recipe.tta":            {Least: 0, Most: 1000},
	"recipe.views":          {Least: 0, Most: 1000},
	"train.batch_size":      {Least: 2, Most: 1 << 20},
	"train.bn_momentum":     {Least: 0, Most: 1},
	"train.clip":            {Least: 0, Most: math.MaxFloat32},
	"train.clr":             {Least: 0, Most: 1e6},
	"train.cycle_len":       {Least: 0, Most: 1e6},
	"train.cycle_mult":      {Least: 0, Most: 1000},
	"train.cycles":          {Least: 0, Most: 1e6},
	"train.dropout":         {Least: 0, Most: 0.999},
	"train.epochs":          {Least: 0, Most: 1e6},
	"train.freeze_to":       {Least: 0, Most: 1e4},
	"train.hidden":          {Least: 1, Most: 1 << 14},
	"train.label_smoothing": {Least: 0, Most: 0.999},
	"train.layer_decay":     {Least: 0, Most: 1},
	"train.mix":             {Least: 0, Most: 1},
	"train.lr":              {Least: 0, Most: math.MaxFloat32, Above: true},
	"train.lrs":             {Least: 0, Most: math.MaxFloat32},
	"train.micro_batch":     {Least: 0, Most: 1 << 20},
	"train.momentum":        {Least: 0, Most: 0.99999},
	"train.patience":        {Least: 0, Most: 1e6},
	"train.seed":            {Least: 0, Most: math.MaxUint64},
	"train.swa":             {Least: 0, Most: 1e6},
	"train.tta":             {Least: 0, Most: 1000},
	"train.weight_decay":    {Least: 0, Most: math.MaxFloat32},
	"train.window":          {Least: 0, Most: 1 << 31},
}

// Bounds are those of every field of numbers, by its place in config.json: "train.lr".
func Bounds() map[string]Bound { return bounds }

// Words are what every field of a few words may hold, by its place in config.json.
func Words() map[string][]string { return words }

// eachField calls visit for the fields of v by their places in config.json; a part
// that is not there, as the recipe of a plain training, has none.
func eachField(prefix string, v reflect.Value, visit func(field string, v reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		part := v.Field(i)
		if part.Kind() == reflect.Pointer && !part.IsNil() {
			part = part.Elem()
		}
		if prefix == "" && part.Kind() == reflect.Struct {
			eachField(name+".", part, visit)
			continue
		}
		visit(prefix+name, part)
	}
}

// Numbers are those of a field's or a flag's value, none of a text.
func Numbers(value any) []float64 {
	if c, ok := value.(OneCycle); ok {
		return c.numbers()
	}
	v := reflect.ValueOf(value)
	switch {
	case !v.IsValid():
	case v.CanInt():
		return []float64{float64(v.Int())}
	case v.CanUint():
		return []float64{float64(v.Uint())}
	case v.CanFloat():
		return []float64{v.Float()}
	case v.Kind() == reflect.Slice:
		var out []float64
		for i := range v.Len() {
			out = append(out, Numbers(v.Index(i).Interface())...)
		}
		return out
	}
	return nil
}

// checkField holds one field to its bounds or its words.
func checkField(field string, v reflect.Value) error {
	if b, ok := bounds[field]; ok {
		for _, n := range Numbers(v.Interface()) {
			if !b.Fits(n) {
				return wrong(field, "{%s} %v: must be %s", field, v.Interface(), b)
			}
		}
	}
	list := words[field]
	switch {
	case list == nil, v.String() == "" && !slices.Contains(needed, field), slices.Contains(list, v.String()):
		return nil
	case v.String() == "":
		return wrong(field, "{%s} is empty: use %s", field, Choice(list))
	}
	return wrong(field, "{%s} %s: use %s", field, v.String(), Choice(list))
}

// Choice names the words of a list: "a, b or c".
func Choice(list []string) string {
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " or " + list[last]
}
