package onnx

import (
	"errors"
	"strings"
	"testing"
)

// The texts are those of glibc 2.36 and of Go's binding of ONNX Runtime.
func TestStartErrorNamesWhatTheSystemLacks(t *testing.T) {
	const path = "/opt/finetune/lib/onnxruntime-1.32.0-linux-x64/libonnxruntime.so.1.32.0"
	const loading = `Platform-specific initialization failed: Error loading ONNX shared library "` + path + `": `
	const absent = ": cannot open shared object file: No such file or directory"
	for _, tt := range []struct{ said, lack, mend string }{
		{"libstdc++.so.6" + absent, "libstdc++.so.6", "apt-get install libstdc++6"},
		{"libgcc_s.so.1" + absent, "libgcc_s.so.1", "libgcc-s1"},
		{"libomp.so.5" + absent, "libomp.so.5", "ONNXRUNTIME_LIB"},
		{"/lib/libm.so.6: version `GLIBC_2.29' not found (required by " + path + ")", "GLIBC_2.29", "newer release"},
		{"/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by x.so)", "GLIBCXX_3.4.30", "newer release"},
		{path + absent, "", "run `finetune doctor`"},
		{path + ": file too short", "", "run `finetune doctor`"},
	} {
		err := startError(path, errors.New(loading+tt.said))
		var lack *LackError
		got := ""
		if errors.As(err, &lack) {
			got = lack.Lack
		}
		if got != tt.lack || !strings.Contains(err.Error(), tt.mend) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: lack %q, want %q; %v", tt.said, got, tt.lack, err)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %v", err)
		}
	}
}
