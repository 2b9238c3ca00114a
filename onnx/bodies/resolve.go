package bodies

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/home"
	"finetune/onnx/hub"
	"finetune/onnx/weights"
)

// Body is a network on disk and what is known about it.
type Body struct {
	Path string // of the .onnx file
	Spec Spec
}

// Override is what the user says about a body, which goes before what its
// BODY.json says. The zero value says nothing.
type Override struct {
	Cut       string    // --cut
	Size      int       // --size
	Mean, Std []float32 // --mean, --std: red, green and blue, of pixels from 0 to 1
	Layout    string    // --layout
	Split     string    // --split: node that opens the middle group
}

// Defaults are tried in this order when no body is named.
var Defaults = []string{"resnet34", "efficientnet-lite0"}

// Resolve finds the body that a user names:
//
//	""                  the first of Defaults whose weights are installed
//	resnet34            built on first use from $FINETUNE_HOME/weights, kept in $FINETUNE_HOME/bodies; or Shipped
//	path/to/FILE.onnx   with FILE.json beside it, or a hub's files, or described by o
//	path/to/FOLDER      as a model hub lays it out: onnx/model.onnx, preprocessor_config.json
//	resnet34,FILE.onnx  several, whose features lie side by side
//	seed:resnet18:7     made-up weights (Seeded), for tests
//
// A foreign file must be described: its normalisation and, unless the graph
// states them, size and layout are never guessed. The cut is found if not named.
//
// Errors: an unknown or undescribed body is failure.Usage and says what to give;
// a file whose digest is not that of its BODY.json is failure.Data.
func Resolve(nameOrFile string, o Override) (Body, error) {
	switch {
	case nameOrFile == "":
		return resolveDefault(o)
	case several(nameOrFile):
		return resolveJoined(nameOrFile, o)
	case strings.HasPrefix(nameOrFile, "seed:"):
		return resolveSeeded(nameOrFile, o)
	case strings.EqualFold(filepath.Ext(nameOrFile), ".onnx"):
		return resolveFile(nameOrFile, o)
	}
	switch strings.ToLower(filepath.Ext(nameOrFile)) {
	case ".ort":
		return Body{}, failure.Usage(fmt.Errorf("bodies: %s: a model in ONNX Runtime's own format; "+
			"use the .onnx that it was made from", nameOrFile))
	case ".pth", ".pt", ".safetensors":
		return Body{}, failure.Usage(fmt.Errorf("bodies: %s: weights without a network; "+
			"run `finetune import NAME --weights %s -o BODY.onnx` and give BODY.onnx", nameOrFile, nameOrFile))
	}
	if _, err := find(nameOrFile); err != nil {
		if info, failed := os.Stat(nameOrFile); failed == nil && info.IsDir() {
			path, err := hub.Model(nameOrFile)
			if err != nil {
				return Body{}, err
			}
			return resolveFile(path, o)
		}
		return Body{}, err
	}
	return resolveKnown(nameOrFile, o)
}

func resolveDefault(o Override) (Body, error) {
	for _, name := range Defaults {
		b, err := resolveKnown(name, o)
		if !errors.Is(err, ErrNotInstalled) {
			return b, err
		}
	}
	last := Defaults[len(Defaults)-1]
	return Body{}, fmt.Errorf("bodies: no pretrained body is installed in %s; "+
		"run `finetune fetch %s`, or name one with --body: %w", home.Path("weights"), last, ErrNotInstalled)
}

// ErrNotInstalled is wrapped by errors about known bodies without weights.
var ErrNotInstalled = errors.New("not installed")

// WeightsPath returns the installed state dict of a known body: NAME.pth,
// NAME.safetensors or a file under its published name in $FINETUNE_HOME/weights.
// Errors wrap ErrNotInstalled where there is none.
func WeightsPath(name string) (string, error) {
	a, err := find(name)
	if err != nil {
		return "", err
	}
	for _, file := range append([]string{name + ".pth", name + ".safetensors"}, a.released...) {
		path := home.Path("weights", file)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("bodies: %s: no weights at %s; run `finetune fetch %s`: %w", name,
		home.Path("weights", name+".pth"), name, ErrNotInstalled)
}

// resolveKnown takes the body built earlier if it is whole, by this revision and
// from these weights, and builds it otherwise.
func resolveKnown(name string, o Override) (Body, error) {
	path := home.Path("bodies", name+".onnx")
	weightsFile, err := WeightsPath(name)
	var from string
	if err == nil {
		if from, err = origin(name, weightsFile); err != nil {
			return Body{}, err
		}
	} else {
		from = pinnedWeights(name) // gone, or in an image without them; "": nothing to compare with
	}
	if b, ok := built(path, from); ok {
		return b.with(o)
	}
	if err != nil {
		if b, ok := Shipped(name); ok {
			return b.with(o)
		}
		return Body{}, err
	}
	spec, err := importFrom(name, weightsFile, path, "")
	if err != nil {
		return Body{}, beforehand(name, err)
	}
	return Body{path, spec}.with(o)
}

// Shipped is the body called name in bodies/ beside the program, as an unpacked
// release has it, and whether there is one that is whole and from the pinned weights.
func Shipped(name string) (Body, bool) {
	path := home.Beside("bodies", name+".onnx")
	if path == "" {
		return Body{}, false
	}
	return built(path, pinnedWeights(name))
}

// beforehand says what helps where a body cannot be written.
func beforehand(name string, err error) error {
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w; if this folder is read-only, run `finetune fetch %s` beforehand, for example when "+
			"the container image is built", err, name)
	}
	return err
}

// built returns the body at path if it can be used as it is: from the weights
// with the digest from, or with "" from any.
func built(path, from string) (Body, bool) {
	spec, err := readSealed(SpecPath(path))
	if err != nil || spec.Revision != revision || from != "" && spec.Weights != from {
		return Body{}, false
	}
	digest, err := digest.File(path)
	return Body{path, spec}, err == nil && digest == spec.Digest
}

func resolveSeeded(text string, o Override) (Body, error) {
	parts := strings.Split(text, ":")
	var seed uint64
	err := errors.New("wrong number of parts")
	if len(parts) == 3 {
		seed, err = strconv.ParseUint(parts[2], 10, 64)
	}
	if err != nil {
		return Body{}, failure.Usage(fmt.Errorf("bodies: %s: write seed:NAME:NUMBER, such as seed:resnet18:7", text))
	}
	name := parts[1]
	path := home.Path("bodies", fmt.Sprintf("seed-%s-%d.onnx", name, seed))
	from := fmt.Sprintf("seed %d", seed)
	if b, ok := built(path, from); ok {
		return b.with(o)
	}
	state, err := Seeded(name, seed)
	if err != nil {
		return Body{}, err
	}
	spec, err := write(name, state, from, path, "")
	if err != nil {
		return Body{}, err
	}
	return Body{path, spec}.with(o)
}

// Import builds the network called name from a state dict in a file and writes
// out and, beside it, its Spec. Each appears whole or not at all. Where a model hub's files lie beside
// model.safetensors, they say how photographs are prepared (Spec.Prepared).
//
// Errors name the file: failure.Usage for an unknown network or an out that is
// no .onnx, failure.Data for a state dict that does not fit, or whose digest is
// not the one that is pinned for it or that its name states.
func Import(name, weightsFile, out string) (Spec, error) {
	beside := ""
	if filepath.Base(weightsFile) == "model.safetensors" {
		beside = weightsFile
	}
	return importFrom(name, weightsFile, out, beside)
}

// importFrom takes preprocessing from the hub's files beside the file called hub, unless that is "".
func importFrom(name, weightsFile, out, hub string) (Spec, error) {
	if _, err := find(name); err != nil {
		return Spec{}, err
	}
	if filepath.Ext(out) != ".onnx" {
		return Spec{}, failure.Usage(fmt.Errorf("bodies: %s: the body's file must end in .onnx", out))
	}
	sum, err := checkWeights(name, weightsFile)
	if err != nil {
		return Spec{}, err
	}
	state, err := weights.Read(weightsFile)
	if err != nil {
		return Spec{}, err
	}
	spec, err := write(name, state, sum, out, hub)
	if err != nil {
		return Spec{}, fmt.Errorf("%w (weights from %s)", err, weightsFile)
	}
	return spec, nil
}

// revision changes when Build makes another graph from the same weights.
const revision = 1

func write(name string, state []weights.Tensor, from, out, hub string) (Spec, error) {
	m, spec, err := Build(name, state)
	if err == nil && hub != "" {
		err = spec.prepared(hub)
	}
	if err != nil {
		return Spec{}, err
	}
	data, err := m.Bytes()
	if err != nil {
		return Spec{}, err
	}
	sum := sha256.Sum256(data)
	spec.Digest = hex.EncodeToString(sum[:])
	spec.Weights, spec.Revision = from, revision
	if strings.HasPrefix(from, "seed ") {
		spec.Source, spec.Licence = "made-up weights, for tests", "none"
	}
	if err := durable.Room(filepath.Dir(out), int64(len(data))); err != nil {
		return Spec{}, fmt.Errorf("bodies: %w", err)
	}
	if err := durable.WriteFile(out, data); err != nil {
		return Spec{}, fmt.Errorf("bodies: %w", err)
	}
	return spec, WriteSpec(SpecPath(out), spec)
}
