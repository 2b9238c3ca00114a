package bodies

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/fetch"
	"finetune/internal/home"
)

// pinnedWeights is the digest that the installed weights of a body must have,
// "" where none is known. Tests, whose weights are made up, put their own in its place.
var pinnedWeights = fetch.WeightsDigest

// origin is the digest of the weights that the body called name is built from.
// Weights that are pinned need not be read for that.
func origin(name, weightsFile string) (string, error) {
	if want := expected(name, weightsFile); len(want) == digestLen {
		return want, nil
	}
	return digest.File(weightsFile)
}

const digestLen = 64 // of a SHA-256 in hexadecimal

// stated finds the beginning of a digest that torch.hub puts into file names,
// as in resnet34-b627a593.pth.
var stated = regexp.MustCompile(`-([0-9a-f]{8,64})\.pth$`)

// expected is how the digest of a weights file must begin: as pinned for what
// `finetune fetch` leaves, as the name states for others, or "" for a file of the user's own.
func expected(name, weightsFile string) string {
	begin := ""
	if m := stated.FindStringSubmatch(filepath.Base(weightsFile)); m != nil {
		begin = m[1]
	}
	pin := pinnedWeights(name)
	abs, err := filepath.Abs(weightsFile)
	installed := err == nil && abs == home.Path("weights", name+".pth")
	if installed || begin != "" && strings.HasPrefix(pin, begin) {
		return pin
	}
	return begin
}

// checkWeights returns the digest of a weights file that is what it should be.
func checkWeights(name, weightsFile string) (string, error) {
	got, err := digest.File(weightsFile)
	if err != nil {
		return "", failure.Data(fmt.Errorf("bodies: %w", err))
	}
	want := expected(name, weightsFile)
	if strings.HasPrefix(got, want) {
		return got, nil
	}
	if pinnedWeights(name) != want {
		return "", failure.Data(fmt.Errorf("bodies: %s: damaged, or another file: "+
			"its digest is %s, its name says %s; fetch it again, or rename it if its contents are your own",
			weightsFile, got, want))
	}
	return "", failure.Data(fmt.Errorf("bodies: %s: damaged, or another file: its digest is %s, pinned is %s; "+
		"run `finetune fetch %s`, or give weights of your own to `finetune import %s --weights FILE -o BODY.onnx`",
		weightsFile, got, want, name, name))
}

// readSealed is ReadSpec for a description that we wrote, which has a checksum.
func readSealed(path string) (Spec, error) {
	spec, sealed, err := readSpec(path)
	if err == nil && !sealed {
		err = failure.Data(fmt.Errorf("bodies: %s: damaged: its checksum is gone", path))
	}
	return spec, err
}
