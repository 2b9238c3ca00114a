//go:build !cgo

package head

// nativeBuffers are empty without a C compiler.
type nativeBuffers struct{ dxp, dyp []float32 }

func (*nativeBuffers) resize(in, out, ld int) {}

// nativeEngine is the plain engine without a C compiler.
func nativeEngine() engine { return layers{Gonum{}} }

// Instructions names the vector instructions that the native engine uses here.
func Instructions() string { return "none: built without C" }
