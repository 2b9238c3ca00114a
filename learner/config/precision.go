package config

// Arithmetic names the body's arithmetic in the key of the cache.
func (b BodyConfig) Arithmetic() string {
	if b.Int8 != "" {
		return string(b.Precision) + " " + b.Int8
	}
	return string(b.Precision)
}

// Device is where the body runs: an 8-bit one takes the processor, whose kernels it is for.
func (c Config) Device() string {
	if c.Body.Precision == Int8 {
		return "cpu"
	}
	return c.Machine.Device
}
