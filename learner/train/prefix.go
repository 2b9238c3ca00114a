package train

import (
	"finetune/internal/durable"
	"finetune/internal/plural"
	"finetune/onnx/artifacts"
	"finetune/onnx/graph"
	"finetune/onnx/shape"
	"finetune/onnx/surgery"
)

// cutPrefix lets the network begin behind its frozen layers, where what they
// make of a photograph is always the same and can be kept: without augmentation,
// if one tensor leaves them and the disk has room for it. Otherwise it says why
// not, and they run at each step.
func (tr *training) cutPrefix(o *artifacts.Options, photographs int) error {
	if o.FreezeTo == 0 || tr.Config.Images.Augment != "none" {
		return nil
	}
	var trainable []string
	for _, g := range o.Groups[min(o.FreezeTo, len(o.Groups)):] {
		trainable = append(trainable, g.Parameters...)
	}
	tensors, err := surgery.FrozenOutputs(o.Body, trainable)
	if err != nil {
		return err
	}
	if len(tensors) != 1 || tensors[0] == o.Body.Inputs()[0].Name {
		tr.UI.Say("prefix     not cached, because %s leave the frozen layers; these layers run at each step",
			plural.Count(len(tensors), "tensor"))
		return nil
	}
	prefix, err := surgery.CutAt(o.Body, tensors[0])
	if err != nil {
		return err
	}
	size := int64(tr.Config.Images.Size)
	shapes, err := shape.Shapes(prefix, map[string][]int64{prefix.Inputs()[0].Name: {-1, 3, size, size}})
	if err != nil {
		return err
	}
	row := artifacts.Named{Name: tensors[0]}
	if s := shapes[tensors[0]]; len(s) > 1 {
		row.Shape = s[1:]
	}
	if elem := prefix.Graph.Output[0].GetType().GetTensorType().GetElemType(); elem != graph.Float32 || row.Len() < 2 {
		tr.UI.Say("prefix     not cached, because the output %q of the frozen layers has shape %v and is not a "+
			"float32 feature map; these layers run at each step", row.Name, row.Shape)
		return nil
	}
	bytes := 4 * int64(row.Len())
	tr.UI.Say("prefix     %s %v of %s, %.1f kB each, %.0f MB in all, cached", row.Name, row.Shape,
		plural.Count(photographs, "photograph"), float64(bytes)/1e3, float64(bytes)*float64(photographs)/1e6)
	// a quarter for merging shards
	if err := durable.Room(tr.Config.Machine.Cache, bytes*int64(photographs)*5/4); err != nil {
		tr.UI.Warn("prefix not cached: %s; the frozen layers run at each step", err)
		return nil
	}
	if o.Body, err = surgery.After(o.Body, row.Name, row.Shape); err != nil {
		return err
	}
	o.Prefix, o.Row = prefix, row.Shape
	return nil
}
