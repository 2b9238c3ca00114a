package reading

import "bytes"

// Other says what a file that is no network, or holds no weights, is instead, and
// what to do about it, judged by its first bytes; "" where they are unknown.
func Other(data []byte) string {
	switch {
	case LFSPointer(data):
		return "a pointer of Git LFS, not the file itself; run git lfs pull"
	case WebPage(data):
		return "a web page, as a download leaves that did not get the file; download it again"
	case ORTModel(data):
		return "a model in ONNX Runtime's own format; use the .onnx that it was made from"
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
