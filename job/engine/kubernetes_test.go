package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// schema is what Kubernetes publishes of a value.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	Others     *schema           `json:"additionalProperties"`
	OneOf      []schema          `json:"oneOf"`
}

const jobSchema = "io.k8s.api.batch.v1.Job"

// schemas are those of Kubernetes 1.37.2; bench/kubernetes/schema.py makes the file.
func schemas(t *testing.T) (all map[string]schema) {
	t.Helper()
	data, err := os.ReadFile("testdata/job.schema.json")
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil || len(all[jobSchema].Properties) == 0 {
		t.Fatal(err)
	}
	return all
}

// faults are what is wrong with a value: fields that are unknown or missing, other types.
func faults(all map[string]schema, s schema, at string, v any) (list []string) {
	if s.Ref != "" {
		s = all[s.Ref]
	}
	wrong := func(is bool) {
		if !is {
			list = append(list, fmt.Sprintf("%s is %v, no %s", at, v, s.Type))
		}
	}
	switch {
	case s.OneOf != nil:
		wrong(slices.ContainsFunc(s.OneOf, func(one schema) bool { return len(faults(all, one, at, v)) == 0 }))
	case s.Type == "object":
		fields, ok := v.(map[string]any)
		wrong(ok)
		for _, name := range s.Required {
			if _, there := fields[name]; !there {
				list = append(list, at+"."+name+" is missing")
			}
		}
		for name, value := range fields {
			of, known := s.Properties[name]
			if !known && s.Others != nil {
				of, known = *s.Others, true
			}
			if !known {
				list = append(list, at+"."+name+" is unknown")
				continue
			}
			list = append(list, faults(all, of, at+"."+name, value)...)
		}
	case s.Type == "array":
		items, ok := v.([]any)
		wrong(ok)
		for i, item := range items {
			list = append(list, faults(all, *s.Items, fmt.Sprintf("%s[%d]", at, i), item)...)
		}
	case s.Type == "string":
		_, ok := v.(string)
		wrong(ok)
	case s.Type == "integer":
		_, ok := v.(int)
		wrong(ok)
	case s.Type == "boolean":
		_, ok := v.(bool)
		wrong(ok)
	case s.Type == "number":
		_, float := v.(float64)
		_, integer := v.(int)
		wrong(float || integer)
	default:
		list = append(list, fmt.Sprintf("%s: a schema of type %q", at, s.Type))
	}
	return list
}

// misspelt calls visit with each name of a field in v changed, one after the other, unless
// any name is right there.
func misspelt(all map[string]schema, s schema, v any, visit func(name string)) {
	if s.Ref != "" {
		s = all[s.Ref]
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			value := v[name]
			if of, known := s.Properties[name]; known {
				misspelt(all, of, value, visit)
				delete(v, name)
				v[name+"s"] = value
				visit(name)
				delete(v, name+"s")
				v[name] = value
			}
		}
	case []any:
		for _, item := range v {
			misspelt(all, *s.Items, item, visit)
		}
	}
}

func order() Order {
	return Order{Name: "finetune", Place: "/jobs/o'ne/é", Args: []string{"/opt/fine tune", "work", "--quiet"}, Workers: 7,
		Threads: 2, Image: "registry/finetune:1"}
}

// The manifest has fields that Kubernetes knows, with the types that it wants, and numbers
// that go together; with any field misspelt it would not.
func TestManifestIsAJobOfKubernetes(t *testing.T) {
	all := schemas(t)
	for _, workers := range []int{1, 7, 10, 10_000} {
		o := order()
		o.Workers, o.Place = workers, "s3://bucket/a'b?region=x&y=\"z\""
		s, err := o.Write("kubernetes")
		if err != nil {
			t.Fatal(err)
		}
		var job map[string]any
		if err := yaml.Unmarshal([]byte(s.Text), &job); err != nil {
			t.Fatal(err)
		}
		if list := faults(all, all[jobSchema], "job", job); list != nil {
			t.Errorf("%d workers: %s\n%s", workers, strings.Join(list, "; "), s.Text)
		}
		spec := job["spec"].(map[string]any)
		if spec["completions"] != workers || spec["maxFailedIndexes"].(int) > workers {
			t.Errorf("%d workers: %v pods, %v of them may fail", workers, spec["completions"], spec["maxFailedIndexes"])
		}
		changed := 0
		misspelt(all, all[jobSchema], job, func(name string) {
			if changed++; faults(all, all[jobSchema], "job", job) == nil {
				t.Errorf("a misspelt %s is not noticed", name)
			}
		})
		if changed < 20 {
			t.Errorf("%d fields", changed)
		}
	}
}
