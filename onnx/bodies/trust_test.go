package bodies

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/home"
)

// pin makes sum the digest that the weights of every body must have.
func pin(t *testing.T, sum string) {
	t.Helper()
	before := pinnedWeights
	pinnedWeights = func(string) string { return sum }
	t.Cleanup(func() { pinnedWeights = before })
}

// flip changes one bit in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		data[len(data)/2+3] ^= 0x40
		err = os.WriteFile(path, data, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDamagedWeightsAreNotUsed(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	const name = "efficientnet-lite0"
	file := install(t, name, name+".pth", 1)
	sum, err := digest.File(file)
	if err != nil {
		t.Fatal(err)
	}
	pin(t, sum)
	flip(t, file)
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), file) ||
			!strings.Contains(err.Error(), "finetune fetch "+name) {
			t.Errorf("%s: %v, want bad data that names %s and the command that mends it", what, err, file)
		}
	}
	_, err = Resolve("", Override{})
	refused("the default body", err)
	_, err = Resolve(name, Override{})
	refused("the body by name", err)
	_, err = Import(name, file, filepath.Join(t.TempDir(), "out.onnx"))
	refused("import", err)
	if _, err := os.Stat(home.Path("bodies", name+".onnx")); err == nil {
		t.Error("a body was left")
	}
	install(t, name, name+".pth", 1)
	if _, err := Resolve(name, Override{}); err != nil {
		t.Errorf("with the good file put back: %v", err)
	}
}

// A body that was built from other weights is built again, however old the
// weights look; without weights it is not used.
func TestStaleBodyIsKnownByDigest(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	const name = "efficientnet-lite0"
	pin(t, "")
	file := install(t, name, name+".pth", 1)
	good, err := Resolve(name, Override{})
	if err != nil {
		t.Fatal(err)
	}
	pin(t, good.Spec.Weights)
	state, err := Seeded(name, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write(name, state, strings.Repeat("0", 64), good.Path, ""); err != nil {
		t.Fatal(err)
	}
	b, err := Resolve(name, Override{})
	if err != nil || b.Spec.Digest != good.Spec.Digest {
		t.Errorf("digest %.8s, %v; want %.8s of the pinned weights", b.Spec.Digest, err, good.Spec.Digest)
	}
	if _, err := write(name, state, strings.Repeat("0", 64), good.Path, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(name, Override{}); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("of other weights, and without any: %v", err)
	}
}

func TestDescriptionWithoutItsChecksumIsMadeAnew(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	b, err := Resolve("seed:efficientnet-lite0:4", Override{})
	if err != nil {
		t.Fatal(err)
	}
	path := SpecPath(b.Path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), `"size": 224`, `"size": 225`, 1)
	changed = changed[:strings.LastIndex(changed, ",")] + "\n}\n" // the line crc32c is the last
	if err := os.WriteFile(path, []byte(changed), 0o666); err != nil {
		t.Fatal(err)
	}
	if again, err := Resolve("seed:efficientnet-lite0:4", Override{}); err != nil || again.Spec.Size != 224 {
		t.Errorf("size %d, %v; want 224", again.Spec.Size, err)
	}
}

func TestDigestInAFileName(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	file := install(t, "efficientnet-lite1", "mine-00000000.pth", 1)
	if _, err := Import("efficientnet-lite1", file, filepath.Join(t.TempDir(), "b.onnx")); err == nil ||
		!strings.Contains(err.Error(), "its name says 00000000") {
		t.Errorf("a name with another digest: %v", err)
	}
	sum, err := digest.File(file)
	if err != nil {
		t.Fatal(err)
	}
	// the latter in a folder of one's own
	for _, own := range []string{"mine-" + sum[:8] + ".pth", "efficientnet-lite1.pth"} {
		path := filepath.Join(t.TempDir(), own)
		if err := os.Link(file, path); err != nil {
			t.Skip(err)
		}
		if _, err := Import("efficientnet-lite1", path, filepath.Join(t.TempDir(), "b.onnx")); err != nil {
			t.Errorf("%s: %v", own, err)
		}
	}
}

func TestReadOnlyFolderSaysWhatHelps(t *testing.T) {
	for _, cause := range []error{os.ErrPermission, syscall.EROFS} {
		if err := beforehand("resnet34", cause); !strings.Contains(err.Error(), "finetune fetch resnet34") ||
			!errors.Is(err, cause) {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if err := beforehand("resnet34", os.ErrInvalid); err != os.ErrInvalid {
		t.Errorf("another error became %v", err)
	}
}
