package config

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"finetune/internal/failure"
)

// sound is a configuration that can be trained, with every part that one may have.
func sound() Config {
	c, r := DefaultConfig(), DefaultRecipe()
	c.Data.Path, c.Recipe = "photographs", &r
	return c
}

// free are the fields that may hold anything: names, paths, digests, switches. Those
// that end in a dot stand for all fields below.
var free = []string{"version", "command", "classes", "multi_label", "data.path", "data.labels", "data.label_sep",
	"data.labels_digest", "data.exclude", "data.exclude_digest", "data.group",
	"data.job", "data.job_id",
	"body.name", "body.file", "body.digest", "body.cut", "body.split", "body.licence", "body.int8", "images.depth_range",
	"machine.cache", "machine.runtime", "machine.no_tf32", "machine.tensorboard",
	"recipe.lesson", "train.best", "train.bn_freeze",
	"train.decoupled", "train.load", "train.norm_decay", "train.save", "train.snapshots", "train.trial", "train.unfreeze",
	"recipe.bn_freeze"}

// Every field has bounds or words, or is named as one that needs none, and the tables
// name nothing else.
func TestEveryFieldHasARule(t *testing.T) {
	seen := map[string]bool{}
	eachField("", reflect.ValueOf(sound()), func(field string, v reflect.Value) {
		_, bound := bounds[field]
		_, word := words[field]
		if seen[field] = true; !bound && !word && !slices.Contains(free, field) {
			t.Errorf("%s, a %s, has neither bounds nor words", field, v.Type())
		}
	})
	for _, field := range slices.Concat(slices.Collect(maps.Keys(bounds)), slices.Collect(maps.Keys(words)), free) {
		if !seen[field] {
			t.Errorf("%s is no field", field)
		}
	}
}

// change sets the field of c to what cannot be.
func change(t *testing.T, c *Config, field string, to any) {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	part, name, _ := strings.Cut(field, ".")
	tree[part].(map[string]any)[name] = to
	if data, err = json.Marshal(tree); err == nil {
		*c = Config{}
		err = json.Unmarshal(data, c)
	}
	if err != nil {
		t.Fatalf("%s %v: %v", field, to, err)
	}
}

// Each field by itself, beyond both of its bounds and with a word that there is not.
func TestFieldsAreHeldToTheirRules(t *testing.T) {
	if err := sound().Validate(); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	texts := map[string]string{"train.hidden": "512,1000000000", "train.dropout": "0.25,1.5", "body.mean": "0,0,1e9",
		"body.std": "1,1,0"}
	for field, b := range bounds {
		values := []any{b.Most * 4}
		if field == "train.seed" || field == "data.split_seed" {
			continue // they hold every number of its type
		}
		switch text := texts[field]; {
		case text != "":
			values = []any{text}
		case field == "train.lrs":
			values = []any{[]float64{1, -1}, []float64{b.Most * 2}}
		case field == "train.clr":
			values = []any{[]float64{-1, 10}, []float64{20, 10, .9, 1e7}}
		case b.Least > 0 && !b.Above:
			values = append(values, b.Least-1)
		default:
			values = append(values, -1)
		}
		for _, v := range values {
			c := sound()
			change(t, &c, field, v)
			isWrong(t, c, field, "must be "+b.String())
		}
	}
	for field, list := range words {
		c := sound()
		change(t, &c, field, "magic")
		isWrong(t, c, field, field+" magic: use "+Choice(list))
	}
}

func isWrong(t *testing.T, c Config, field, says string) {
	t.Helper()
	err := c.Validate()
	var found *FieldError
	if !errors.As(err, &found) || found.Field != field || failure.KindOf(err) != failure.UsageKind ||
		!strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v; want %q", field, err, says)
	}
}

// Fields that contradict each other.
func TestContradictions(t *testing.T) {
	for says, tt := range map[string]struct {
		field  string
		change func(c *Config)
	}{
		"begin with DefaultConfig":           {"train", func(c *Config) { *c = Config{} }},
		"data.path or data.labels is needed": {"data.path", func(c *Config) { c.Data.Path = "" }},
		"images.max_zoom 0.5: must be 1":     {"images.max_zoom", func(c *Config) { c.Images.MaxZoom = .5 }},
		"images.augment is empty: use none":  {"images.augment", func(c *Config) { c.Images.Augment = "" }},
		"train.lr 0: must be above 0":        {"train.lr", func(c *Config) { c.Train.LR = 0 }},
		"train.batch_size 1: must be from 2": {"train.batch_size", func(c *Config) { c.Train.BatchSize = 1 }},
		"constant needs train.epochs":        {"train.epochs", func(c *Config) { c.Train.Schedule = Constant }},
		"make more than 1e+06 epochs": {"train.cycles", func(c *Config) {
			c.Train.Cycles, c.Train.CycleMult = 20, 2
		}},
		"must be 1 or more": {"train.cycles", func(c *Config) { c.Train.CycleLen = 0 }},
		"and train.epochs needs": {"train.cycles", func(c *Config) {
			c.Train.Epochs, c.Train.Schedule = 2, SGDR
		}},
		"clr-beta takes no train.cycle_mult": {"train.cycle_mult", func(c *Config) {
			c.Train.Schedule, c.Train.CycleMult = CLRBeta, 2
		}},
		"division 0.5 and cut 10": {"train.clr", func(c *Config) {
			c.Train.Schedule, c.Train.CLR = CLR, OneCycle{Div: .5, Cut: 10}
		}},
		"division 20 and tail 100": {"train.clr", func(c *Config) {
			c.Train.Schedule, c.Train.CLR = CLRBeta, OneCycle{Div: 20, Cut: 100}
		}},
		"train.micro_batch must be 2 or more": {"train.micro_batch", func(c *Config) { c.Train.MicroBatch = 1 }},
		"need train.unfreeze": {"train.unfreeze", func(c *Config) {
			c.Recipe, c.Train.BNFreeze = nil, true
		}},
		"train.save ../x: must be a name":    {"train.save", func(c *Config) { c.Train.Save = "../x" }},
		"train.swa cannot be combined":       {"train.swa", func(c *Config) { c.Train.SWA, c.Train.Best = 1, true }},
		"body.precision int8 needs a frozen": {"body.precision", func(c *Config) { c.Body.Precision = Int8 }},
		"int8 runs on CPUs only": {"body.precision", func(c *Config) {
			c.Recipe, c.Body.Precision, c.Machine.Device = nil, Int8, "cuda"
		}},
		"train.head linear cannot be combined": {"train.head", func(c *Config) {
			c.Train.Head, c.Train.SWA = HeadLinear, 1
		}},
	} {
		c := sound()
		tt.change(&c)
		isWrong(t, c, tt.field, says)
	}
	c := sound()
	c.Train.Cycles, c.Train.CycleMult = 19, 2 // 2^19 - 1 epochs
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c = sound()
	c.Train.BNFreeze = true // of the recipe's last step
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// An error speaks of fields by the names that its reader knows.
func TestErrorsUnderOtherNames(t *testing.T) {
	c := sound()
	c.Train.SWA, c.Train.Patience = 1, 2
	var found *FieldError
	if !errors.As(c.Validate(), &found) {
		t.Fatal("no FieldError")
	}
	want := "<train.swa> cannot be combined with <train.best> or <train.patience>; leave one out"
	if got := found.In(func(field string) string { return "<" + field + ">" }); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
