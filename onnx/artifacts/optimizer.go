package artifacts

import (
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/onednn"
)

// optimizer is the update of every parameter as one graph, so that it is one run.
func (p *plan) optimizer() (*graph.Model, error) {
	u := &update{Builder: graph.NewBuilder("optimizer", 17), sizes: map[string][]any{}}
	for _, n := range p.manifest.Params {
		shape := make([]any, len(n.Shape))
		for i, d := range n.Shape {
			shape[i] = d
		}
		u.sizes[n.Name] = shape
		u.Input(n.Name, graph.Float32, shape...)
		u.Input("grad."+n.Name, graph.Float32, shape...)
		for _, slot := range p.manifest.Slots() {
			u.Input(slot+n.Name, graph.Float32, shape...)
		}
	}
	u.one = u.Init("one", nil, []float32{1})
	u.clipping(p.manifest.Params)
	if p.o.OneDNN != "" {
		p.inOnePass(u)
		return u.Model(), nil
	}
	step := u.sgd()
	if p.manifest.Optimizer == AdamW {
		step = u.adamw()
	}
	for _, g := range p.manifest.Groups {
		rate, decay := u.Input("rate."+g.Name, graph.Float32), u.Input("decay."+g.Name, graph.Float32)
		for _, name := range g.Parameters {
			decay := p.decayOf(u, name, decay)
			if p.coupled() {
				u.out("next."+name, name, "Sub", name, step(name, rate, decay))
				continue
			}
			keep := u.sub(u.one, u.mul(rate, decay))
			u.out("next."+name, name, "Sub", u.mul(name, keep), step(name, rate, ""))
		}
	}
	return u.Model(), nil
}

// inOnePass leaves each update to an operator of package onednn, which reads and writes memory once.
func (p *plan) inOnePass(u *update) {
	op, numbers := "Sgd", []string{"momentum"}
	if p.manifest.Optimizer == AdamW {
		op, numbers = "AdamW", []string{"beta1", "beta2", "epsilon", "step"}
	}
	for _, name := range numbers {
		u.Input(name, graph.Float32)
	}
	decoupled := int64(1)
	if p.coupled() {
		decoupled = 0
	}
	for _, g := range p.manifest.Groups {
		rate, decay := u.Input("rate."+g.Name, graph.Float32), u.Input("decay."+g.Name, graph.Float32)
		for _, name := range g.Parameters {
			in, out := []string{name, "grad." + name}, []string{"next." + name}
			for _, slot := range p.manifest.Slots() {
				in, out = append(in, slot+name), append(out, "next."+slot+name)
			}
			u.NodeN(onednn.Float32+"."+op, append(append(in, u.factor, rate, p.decayOf(u, name, decay)), numbers...), out,
				graph.Int("decoupled", decoupled))
			for _, o := range out {
				u.Output(o, graph.Float32, u.sizes[name]...)
			}
		}
	}
}

// decayOf is a parameter's decay: that of its group, or none.
func (p *plan) decayOf(u *update, name, group string) string {
	if !slices.Contains(p.manifest.NoDecay, name) {
		return group
	}
	if u.none == "" {
		u.none = u.Init("none", nil, []float32{0})
	}
	return u.none
}

// coupled says that the decay is part of the gradient, and so of the momentum.
func (p *plan) coupled() bool { return p.manifest.Optimizer == SGD && !p.manifest.Decoupled }

// update builds the optimizer's graph.
type update struct {
	*graph.Builder
	sizes  map[string][]any
	one    string
	none   string // a decay of 0, once it is needed
	factor string // of every gradient, from clipping
}

func (u *update) mul(a, b string) string { return u.Node("Mul", "", []string{a, b}) }
func (u *update) sub(a, b string) string { return u.Node("Sub", "", []string{a, b}) }
func (u *update) div(a, b string) string { return u.Node("Div", "", []string{a, b}) }
func (u *update) add(a, b string) string { return u.Node("Add", "", []string{a, b}) }

// out makes an output of the shape of parameter like.
func (u *update) out(name, like, op string, inputs ...string) string {
	u.Node(op, name, inputs)
	u.Output(name, graph.Float32, u.sizes[like]...)
	return name
}

// clipping computes the global norm of the gradients and the factor that
// brings it down to clip: min(1, clip/(norm + 1e-6)), or 1 where clip is 0.
// Source: torch.nn.utils.clip_grad_norm_.
func (u *update) clipping(params []Named) {
	clip := u.Input("clip", graph.Float32)
	var squares []string
	for _, n := range params {
		squares = append(squares, u.Node("ReduceSumSquare", "", []string{"grad." + n.Name}, graph.Int("keepdims", 0)))
	}
	norm := u.Node("Sqrt", "", []string{u.Node("Sum", "", squares)})
	u.Output(u.Node("Reshape", "norm", []string{norm, u.Ints("vector", []int64{1}, []int64{1})}), graph.Float32, 1)
	ratio := u.div(clip, u.add(norm, u.Init("tiny", nil, []float32{1e-6})))
	on := u.Node("Greater", "", []string{clip, u.Init("zero", nil, []float32{0})})
	u.factor = u.Node("Where", "", []string{on, u.Node("Min", "", []string{ratio, u.one}), u.one})
}

// sgd returns what moves a parameter: rate*m, m = momentum*m + g + decay*p.
func (u *update) sgd() func(name, rate, decay string) string {
	momentum := u.Input("momentum", graph.Float32)
	return func(name, rate, decay string) string {
		g := u.mul("grad."+name, u.factor)
		if decay != "" {
			g = u.add(g, u.mul(name, decay))
		}
		m := u.out("next.momentum."+name, name, "Add", u.mul("momentum."+name, momentum), g)
		return u.mul(m, rate)
	}
}

// adamw returns what moves a parameter, with the corrections of both moments
// folded into scalars: rate/(1-beta1^step) * m / (sqrt(v)/sqrt(1-beta2^step) + epsilon).
func (u *update) adamw() func(name, rate, decay string) string {
	beta1, beta2 := u.Input("beta1", graph.Float32), u.Input("beta2", graph.Float32)
	epsilon, step := u.Input("epsilon", graph.Float32), u.Input("step", graph.Float32)
	rest1, rest2 := u.sub(u.one, beta1), u.sub(u.one, beta2)
	bias1 := u.sub(u.one, u.Node("Pow", "", []string{beta1, step}))
	bias2 := u.Node("Sqrt", "", []string{u.sub(u.one, u.Node("Pow", "", []string{beta2, step}))})
	return func(name, rate, _ string) string {
		g := u.mul("grad."+name, u.factor)
		m := u.out("next.momentum."+name, name, "Add", u.mul("momentum."+name, beta1), u.mul(g, rest1))
		v := u.out("next.variance."+name, name, "Add", u.mul("variance."+name, beta2), u.mul(u.mul(g, g), rest2))
		spread := u.add(u.div(u.Node("Sqrt", "", []string{v}), bias2), epsilon)
		return u.div(u.mul(m, u.div(rate, bias1)), spread)
	}
}
