package onnx

import (
	"fmt"
	"regexp"
)

// LackError says that ONNX Runtime was not loaded because the system lacks
// something that it is linked with.
type LackError struct {
	Runtime string // path of ONNX Runtime's library
	Lack    string // libstdc++.so.6, or GLIBC_2.28 for a version of glibc
}

func (e *LackError) Error() string {
	return fmt.Sprintf("onnx: %s: needs %s, which this system lacks; %s", e.Runtime, e.Lack, e.Mend())
}

// Mend says what to type.
func (e *LackError) Mend() string {
	switch e.Lack {
	case "libstdc++.so.6":
		return "install it: `apt-get install libstdc++6` on Debian and Ubuntu, `dnf install libstdc++` on Fedora"
	case "libgcc_s.so.1":
		return "install it: `apt-get install libgcc-s1` on Debian and Ubuntu, `dnf install libgcc` on Fedora"
	}
	if versioned.MatchString(e.Lack) {
		return "use a newer release of the system, or a build of ONNX Runtime for it with ONNXRUNTIME_LIB"
	}
	return "install the package that has it, or name another build of ONNX Runtime with ONNXRUNTIME_LIB"
}

// What the dynamic linker of glibc says where a library, or a version in one, is absent.
var (
	absent    = regexp.MustCompile(`(?:^|[\s:])([^\s:/]+\.so[^\s:/]*): cannot open shared object file`)
	older     = regexp.MustCompile("version [`']([A-Za-z]+_[0-9.]+)' not found")
	versioned = regexp.MustCompile(`^[A-Za-z]+_[0-9.]+$`)
)

// startError is that of a library of ONNX Runtime that did not start.
func startError(path string, err error) error {
	for _, says := range []*regexp.Regexp{absent, older} {
		if m := says.FindStringSubmatch(err.Error()); m != nil {
			return &LackError{Runtime: path, Lack: m[1]}
		}
	}
	return fmt.Errorf("onnx: %s: cannot be used (%w); "+
		"ONNX Runtime 1.%d or newer is needed: run `finetune doctor`", path, err, APIVersion)
}
