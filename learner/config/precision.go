package config

import "finetune/onnx"

// Arithmetic names the body's arithmetic in the key of the cache.
func (b BodyConfig) Arithmetic() string {
	if b.Int8 != "" {
		return string(b.Precision) + " " + b.Int8
	}
	return string(b.Precision)
}

// Device is where the body runs where the machine says "auto": an 8-bit one takes the
// processor, whose kernels it is for, and bfloat16 takes OpenVINO, which alone has it.
func (c Config) Device() string {
	switch auto := c.Machine.Device == "" || c.Machine.Device == "auto"; {
	case auto && c.Body.Precision == Int8:
		return "cpu"
	case auto && c.Body.Precision == BFloat16:
		return "openvino"
	}
	return c.Machine.Device
}

// Session is the options of the frozen body's session.
func (c Config) Session() onnx.Options {
	o := c.Machine.Session()
	o.BFloat16 = c.Body.Precision == BFloat16
	return o
}
