package reading

import (
	"strings"
	"testing"
)

func TestOther(t *testing.T) {
	for data, want := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n": "git lfs pull",
		"\ufeff\n<!DOCTYPE html><title>404</title>":                           "download it again",
		"<HTML lang=en>":           "download it again",
		"\x18\x00\x00\x00ORTM\x00": ".onnx that it was made from",
	} {
		if got := Other([]byte(data)); !strings.HasSuffix(got, want) {
			t.Errorf("%q: %q", data, got)
		}
	}
	for _, data := range []string{"", "ORTM", "\x08\x07\x12\x07pytorch", "PK\x03\x04", "a version https://git-lfs",
		"x<html"} {
		if got := Other([]byte(data)); got != "" {
			t.Errorf("%q: %q", data, got)
		}
	}
}
