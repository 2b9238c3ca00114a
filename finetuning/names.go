package finetuning

import (
	"finetune/onnx/artifacts"
	"finetune/onnx/gradient"
)

func (t *Trainer) params() []string { return names(t.Manifest.Params) }
func (t *Trainer) stats() []string  { return names(t.Manifest.Stats) }

func names(list []artifacts.Named) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.Name
	}
	return out
}

func prefixed(prefix string, list []string) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = prefix + n
	}
	return out
}

// batchNames are the inputs that change with each batch or are fixed; values
// come in the same order from run and Predict.
func (t *Trainer) batchNames() []string {
	return []string{t.Manifest.Image, gradient.Labels, gradient.LossScale, gradient.ClassWeights, gradient.LabelSmoothing}
}

func (t *Trainer) trainingNames() (in, out []string) {
	in = append(append(t.batchNames(), t.params()...), t.stats()...)
	for _, m := range t.Manifest.Masks {
		in = append(in, m.Name)
	}
	out = append([]string{gradient.Loss, artifacts.Logits}, prefixed("grad.", t.params())...)
	return in, append(out, prefixed("next.", t.stats())...)
}

func (t *Trainer) evalNames() (in, out []string) {
	in = append(append(t.batchNames(), t.params()...), t.stats()...)
	return in, []string{artifacts.Logits}
}

// updateNames: scalars first, see scalars.
func (t *Trainer) updateNames() (in, out []string) {
	for _, s := range t.scalars(Rates{Rates: make([]float64, len(t.groups))}) {
		in = append(in, s.name)
	}
	for _, p := range t.Manifest.Params {
		in, out = append(in, p.Name, "grad."+p.Name), append(out, "next."+p.Name)
		for _, slot := range t.Manifest.Slots() {
			in, out = append(in, slot+p.Name), append(out, "next."+slot+p.Name)
		}
	}
	return in, append(out, "norm")
}
