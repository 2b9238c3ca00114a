package reading

import (
	"strings"
	"testing"
)

func TestOther(t *testing.T) {
	for data, want := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n": "git lfs pull",
		"\ufeff\n<!DOCTYPE html><title>404</title>":                           "download the file again",
		"<HTML lang=en>":           "download the file again",
		"\x18\x00\x00\x00ORTM\x00": ".onnx that it was made from",
		"\x89HDF\r\n\x1a\n\x00":    "tf2onnx",
		"\x1c\x00\x00\x00TFL3\x14": "tf2onnx",
		"\x1f\x8b\x08\x00":         "unpack it",
		"":                         "copy it again",
		"PK\x03\x04\x14a.onnx":     "zip archive; unpack it",
		"PK\x03\x04metadata.json":  "tf2onnx",
	} {
		if got := Other([]byte(data)); !strings.HasSuffix(got, want) {
			t.Errorf("%q: %q", data, got)
		}
	}
	for _, data := range []string{"ORTM", "aTFL3", "\x1f", "\x89HDF", "\x08\x07\x12\x07pytorch", "PK\x03\x04a/data.pkl",
		"a version https://git-lfs", "x<html"} {
		if got := Other([]byte(data)); got != "" {
			t.Errorf("%q: %q", data, got)
		}
	}
}

func TestWeights(t *testing.T) {
	for data, want := range map[string]bool{
		"PK\x03\x04\x14a/data.pkl": true, "PK\x03\x04\x14": false,
		"\x80\x02\x8a": true, "\x10\x00\x00\x00\x00\x00\x00\x00{\"a": true,
		"PK\x05\x06": false, "\x08\x07\x12\x07pytorch": false, "{\"a\":1}": false, "": false,
	} {
		if Weights([]byte(data)) != want {
			t.Errorf("%q: %v", data, !want)
		}
	}
}
