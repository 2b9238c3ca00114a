package picture

// What tests outside the package use, which may know package augment.
var (
	MustDecode  = mustDecode
	BytesDiffer = bytesDiffer
)

// InGo is l for a decode without libjpeg-turbo.
func InGo(l Limits) Limits {
	l.pure = true
	return l
}
