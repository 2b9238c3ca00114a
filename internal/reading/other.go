package reading

import "bytes"

// Other says what a file that is no network, or holds no weights, is instead, and
// what to do about it, judged by its first bytes; "" where they are unknown.
func Other(data []byte) string {
	switch {
	case LFSPointer(data):
		return "a pointer of Git LFS, not the file itself; run git lfs pull"
	case WebPage(data):
		return "a web page, probably from a failed download; download the file again"
	case ORTModel(data):
		return "a model in ONNX Runtime's own format; use the .onnx that it was made from"
	case bytes.HasPrefix(data, []byte("\x89HDF\r\n\x1a\n")), zipOf(data, "metadata.json"):
		return "a file of Keras; convert the network to ONNX, for example with tf2onnx"
	case len(data) >= 8 && string(data[4:8]) == "TFL3":
		return "a TensorFlow Lite model; convert the network to ONNX, for example with tf2onnx"
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return "a gzip archive; unpack it"
	case zipOf(data, "") && !Weights(data):
		return "a zip archive; unpack it"
	case len(data) == 0:
		return "an empty file, as a copy that was cut off leaves; copy it again"
	}
	return ""
}

// LFSPointer reports whether a file begins as what Git LFS leaves in place of one
// that it has not fetched.
func LFSPointer(data []byte) bool {
	return bytes.HasPrefix(start(data), []byte("version https://git-lfs.github.com/"))
}

// WebPage reports whether a file begins as HTML does.
func WebPage(data []byte) bool {
	head := start(data)
	return bytes.HasPrefix(head, []byte("<!doctype html")) || bytes.HasPrefix(head, []byte("<html"))
}

// ORTModel reports whether a file begins as ONNX Runtime's FlatBuffers do.
func ORTModel(data []byte) bool { return len(data) >= 8 && string(data[4:8]) == "ORTM" }

// start is how a text begins, in lower case.
func start(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	return bytes.ToLower(bytes.TrimSpace(data[:min(len(data), 512)]))
}

// Weights reports whether a file begins as one of state dicts does: the zip archive or
// the pickle of torch.save, or the header of safetensors.
func Weights(data []byte) bool {
	return zipOf(data, "data.pkl") || bytes.HasPrefix(data, []byte{0x80}) || len(data) > 8 && data[8] == '{'
}

// zipOf reports whether a file begins as a zip archive does, with such a name among its first ones.
func zipOf(data []byte, name string) bool {
	return bytes.HasPrefix(data, []byte("PK\x03\x04")) && bytes.Contains(data[:min(len(data), 512)], []byte(name))
}
