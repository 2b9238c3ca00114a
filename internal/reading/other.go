package reading

import "bytes"

// Other says what a file that is no network, or holds no weights, is instead, and
// what to do about it, judged by its first bytes; "" where they are unknown.
func Other(data []byte) string {
	text := bytes.ToLower(bytes.TrimLeft(data[:min(len(data), 64)], "\xef\xbb\xbf \t\r\n"))
	switch {
	case bytes.HasPrefix(data, []byte("version https://git-lfs")):
		return "a pointer of Git LFS, not the file itself; run git lfs pull"
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.HasPrefix(text, []byte("<html")):
		return "a web page, as a download leaves that did not get the file; download it again"
	case len(data) >= 8 && string(data[4:8]) == "ORTM":
		return "a model in ONNX Runtime's own format; use the .onnx that it was made from"
	}
	return ""
}
