package finetuning

import (
	"fmt"
	"slices"

	"finetune/internal/failure"
	"finetune/onnx/artifacts"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/trainable"
)

// Groups divides the parameters of a body into its layer groups, input side first.
// The head is not among them: package artifacts adds it. Where the spec names no
// layers, the groups are those of trainable.Groups. Errors of kind failure.Data name a
// parameter that no group of the spec holds.
func Groups(body *graph.Model, spec bodies.Spec) ([]artifacts.Group, error) {
	auto, err := trainable.Groups(body)
	if err != nil {
		return nil, err
	}
	var list []artifacts.Group
	if len(spec.Groups) < 2 {
		for _, g := range auto {
			list = append(list, artifacts.Group{Name: g.Name, Parameters: g.Parameters})
		}
		return list, nil
	}
	exact := everyNameIsWhole(body, spec)
	for _, g := range spec.Groups[:len(spec.Groups)-1] {
		list = append(list, artifacts.Group{Name: g.Name})
	}
	for _, g := range auto {
		for _, name := range g.Parameters {
			k := min(spec.Group(name), len(list)-1) // what the spec calls head but stands before the cut
			if k < 0 && exact {
				continue // a constant, which was no initializer when the groups were found
			}
			if k < 0 {
				return nil, failure.Data(fmt.Errorf("finetuning: %s: parameter %q is in no layer group of its description; add "+
					"it to a group there", body.Path, name))
			}
			list[k].Parameters = append(list[k].Parameters, name)
		}
	}
	return slices.DeleteFunc(list, func(g artifacts.Group) bool { return len(g.Parameters) == 0 }), nil
}

// everyNameIsWhole reports whether the groups of a description list parameters one by one, as groups that are found do.
func everyNameIsWhole(body *graph.Model, spec bodies.Spec) bool {
	inits := body.Initializers()
	for _, g := range spec.Groups {
		for _, name := range g.Layers {
			if inits[name] == nil {
				return false
			}
		}
	}
	return true
}
