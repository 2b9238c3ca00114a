package head

import (
	"fmt"

	"finetune/internal/plural"
	"finetune/onnx/headgraph"
)

// Config describes a head.
//
// Units: Drop are probabilities from 0 to below 1, one for each Linear layer, so
// len(Hidden)+1 values; 0 is no dropout. nil means .25 for each hidden layer and .5 for
// the last.
type Config struct {
	In      int       `json:"in"`      // features a row
	Hidden  []int     `json:"hidden"`  // widths of the hidden layers; empty for none
	Drop    []float64 `json:"drop"`    // dropout before each Linear
	Classes int       `json:"classes"` // outputs a row
	Multi   bool      `json:"multi"`   // any number of labels an image: sigmoid instead of softmax
	Seed    uint64    `json:"seed"`    // the initial weights follow from it
}

// mostWeights is 1 GB of them, and as much each for gradient and momentum.
const mostWeights = 1 << 28

// withDefaults fills Drop and checks c.
func (c Config) withDefaults() (Config, error) {
	if c.Drop == nil {
		c.Drop = headgraph.UsualDrop(len(c.Hidden))
	}
	if c.In < 1 || c.Classes < 1 || !c.Multi && c.Classes < 2 {
		return c, fmt.Errorf("head: %s and %s; a head needs features and two classes or more", plural.Count(c.In, "feature"),
			plural.Count(c.Classes, "class"))
	}
	if len(c.Drop) != len(c.Hidden)+1 {
		return c, fmt.Errorf("head: %s for %s; give one for each", plural.Count(len(c.Drop), "dropout value"),
			plural.Count(len(c.Hidden)+1, "Linear layer"))
	}
	total, in := 0.0, float64(c.In)
	for _, w := range c.Hidden {
		if w < 1 {
			return c, fmt.Errorf("head: hidden width %d; a width is 1 or more", w)
		}
		total, in = total+in*float64(w), float64(w)
	}
	if total += in * float64(c.Classes); total > mostWeights {
		return c, fmt.Errorf("head: hidden widths %v for %s and %s make %.2g weights; at most %.2g are "+
			"trained, so give narrower layers", c.Hidden, plural.Count(c.In, "feature"), plural.Count(c.Classes, "class"),
			total, float64(mostWeights))
	}
	if err := headgraph.CheckDrop(c.Drop); err != nil {
		return c, fmt.Errorf("head: %w", err)
	}
	return c, nil
}

// block is BatchNorm, Dropout, Linear and, but for the last block, ReLU.
type block struct {
	norm   BatchNorm
	drop   Dropout
	linear Linear
	relu   bool
}

// Head is a fully connected classifier. Make one with New.
type Head struct {
	Config Config

	blocks []*block
	engine engine
	tapes  []*tape // of Predict
	modes  []mode
}

// New makes a head with fresh weights: Linear weights from N(0, 2/fan_in),
// biases 0, BatchNorm gammas 1 and betas 0.
// Source: He et al. 2015; fast.ai 0.7 drew the gammas from U(0, 1).
func New(c Config) (*Head, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Head{Config: c, engine: native{}}
	in := c.In
	for i, out := range append(append([]int(nil), c.Hidden...), c.Classes) {
		b := &block{norm: newBatchNorm(in), drop: Dropout{P: c.Drop[i]}, linear: newLinear(in, out), relu: i < len(c.Hidden)}
		headgraph.InitialWeights(b.linear.Weight, in, c.Seed, i)
		h.blocks = append(h.blocks, b)
		in = out
	}
	h.tapes, h.modes = newTapes(h.blocks), make([]mode, len(h.blocks))
	for i := range h.modes {
		h.modes[i].frozen = true
	}
	return h, nil
}

// SetProducts makes the head compute layer by layer in Go, with p for its matrix
// products: Gonum{}, or the result of NewORT. nil selects the native engine, which a
// new head has: a step fused in C. Measured: two thirds of the processor time of
// layers with ONNX Runtime's products (BenchmarkHeadEpoch).
func (h *Head) SetProducts(p Products) {
	h.engine = native{}
	if p != nil {
		h.engine = layers{p}
	}
}

// Outputs is the number of values that Predict returns for each row.
func (h *Head) Outputs() int { return h.Config.Classes }

// Parameters is the number of trained weights.
func (h *Head) Parameters() int {
	n := 0
	for _, p := range h.parameters() {
		n += len(p.Data)
	}
	return n
}

// parameters are views of the trained tensors, four a block, named as in
// PyTorch's nn.Sequential.
func (h *Head) parameters() []Tensor {
	var list []Tensor
	layer := 0
	for _, b := range h.blocks {
		f := len(b.norm.Gamma)
		list = append(list,
			Tensor{fmt.Sprintf("%d.weight", layer), []int64{int64(f)}, b.norm.Gamma},
			Tensor{fmt.Sprintf("%d.bias", layer), []int64{int64(f)}, b.norm.Beta})
		layer++
		if b.drop.P > 0 {
			layer++
		}
		list = append(list,
			Tensor{fmt.Sprintf("%d.weight", layer), []int64{int64(b.linear.Out), int64(b.linear.In)}, b.linear.Weight},
			Tensor{fmt.Sprintf("%d.bias", layer), []int64{int64(b.linear.Out)}, b.linear.Bias})
		layer += 2 // Linear and ReLU
	}
	return list
}

// Predict returns log-probabilities [len(rows), classes] in evaluation mode:
// running statistics, no dropout. With Config.Multi they are log-sigmoids, one for
// each class independently. Errors: a row of another width, or a failed matrix product.
func (h *Head) Predict(rows [][]float32) ([]float32, error) {
	const chunk = 256
	if err := h.checkRows(rows); err != nil {
		return nil, err
	}
	c := h.Config.Classes
	out := make([]float32, len(rows)*c)
	for lo := 0; lo < len(rows); lo += chunk {
		part := rows[lo:min(lo+chunk, len(rows))]
		resize(h.tapes, len(part), false)
		if err := h.forward(h.tapes, part, h.modes); err != nil {
			return nil, err
		}
		last, z := h.tapes[len(h.tapes)-1], out[lo*c:(lo+len(part))*c]
		turn(z, last.y, c, last.ld, last.n)
		if h.Config.Multi {
			logSigmoid(z)
		} else {
			logSoftmax(z, c)
		}
	}
	return out, nil
}

// forward runs the blocks on rows.
func (h *Head) forward(tapes []*tape, rows [][]float32, modes []mode) error {
	for i, t := range tapes {
		if err := h.engine.normalize(t, rows, modes[i]); err != nil {
			return err
		}
		if err := h.engine.forward(t); err != nil {
			return err
		}
		rows = nil // the next block takes what this one put out
	}
	return nil
}

// checkRows reports the first row of a wrong width.
func (h *Head) checkRows(rows [][]float32) error {
	for i, r := range rows {
		if len(r) != h.Config.In {
			return fmt.Errorf("head: row %d has %s, the head takes %d; use the body the head was trained on", i,
				plural.Count(len(r), "feature"), h.Config.In)
		}
	}
	return nil
}
