package surgery

import (
	"finetune/onnx/graph"
)

// MapName is the output of the models that MapOf makes.
const MapName = "map"

// MapOf returns the model from its image input to what Features pools of a cut, not pooled:
// float32 [N, Channels, H, W] of a map, and [N, Channels, T] of the T tokens that stand for patches,
// row by row. A vector has no places: nil.
func MapOf(m *graph.Model, c Cut) (*graph.Model, error) {
	shape := []any{c.Channels, "rows", "columns"}
	switch c.Kind {
	case Vector:
		return nil, nil
	case Tokens:
		shape = []any{c.Channels, "tokens"}
	}
	return c.behind(m, MapName, shape, func(p *pooler, c Cut, x string) error {
		x, err := p.places(c, x)
		switch {
		case err != nil:
			return err
		case c.Layout == TokensFirst:
			p.add("Transpose", MapName, []string{x}, graph.Ints("perm", 0, 2, 1))
		default:
			p.add("Identity", MapName, []string{x})
		}
		return nil
	})
}
