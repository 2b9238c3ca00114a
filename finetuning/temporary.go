package finetuning

import "finetune/onnx"

// temporary makes tensors that live for one run.
type temporary struct {
	made []*onnx.Tensor
	err  error
}

// withTensors calls f and closes what it made.
func withTensors(f func(c *temporary) error) error {
	c := &temporary{}
	defer func() {
		for _, t := range c.made {
			t.Close()
		}
	}()
	return f(c)
}

func (c *temporary) keep(t *onnx.Tensor, err error) *onnx.Tensor {
	if err != nil {
		c.err = err
		return nil
	}
	c.made = append(c.made, t)
	return t
}

// floats views data; no shape is a scalar, which is copied.
func (c *temporary) floats(data []float32, shape ...int64) *onnx.Tensor {
	return c.keep(onnx.Float32(data, shape...))
}

func (c *temporary) ints(data []int64, shape ...int64) *onnx.Tensor {
	return c.keep(onnx.Int64(data, shape...))
}

// run runs s unless making a tensor failed.
func (c *temporary) run(s *onnx.Session, in, out []*onnx.Tensor) error {
	if c.err != nil {
		return c.err
	}
	return s.Run(in, out)
}
