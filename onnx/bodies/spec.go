package bodies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"finetune/internal/colour"
	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/plural"
)

// Layouts of an image batch.
const (
	NCHW = "NCHW" // [N, channels, height, width]
	NHWC = "NHWC" // [N, height, width, channels]
)

// Spec is what a body's file does not say about it: BODY.json beside BODY.onnx.
type Spec struct {
	Name     string     // for people; the file's name if nothing better is known
	Digest   string     // SHA-256 of the .onnx file, in hexadecimal
	Size     int        // height and width of the images it was trained on
	Mean     [3]float32 // subtracted from red, green and blue, which are 0 to 1
	Std      [3]float32 // then divided by this
	Layout   string     // NCHW or NHWC
	Cut      string     // tensor where a new head begins, such as [N, Channels, h, w]
	Channels int64
	Kind     Kind    // of what is there
	Prefix   int64   // of tokens: how many stand for no patch
	Groups   []Group // input side first; the last is the head
	Resize   int     // what the smaller side becomes before the centre is cropped; 0 means Size
	Resample string  // one of augment.Resamplers; "" leaves the choice open
	Floor    bool    // the offset of the crop is rounded down, as transformers does
	Squash   bool    // scaled to a square whatever the proportions
	BGR      bool    // it takes blue, green, red
	Prepared string  // the file that said how photographs are prepared, where that is not BODY.json; it is not written
	Licence  string
	Source   string
	Weights  string // what filled it: digest of the state dict, or "seed N"
	Revision int    // of the code that built it, 0 for a foreign file
}

// Group is a run of layers that trains at one rate.
type Group struct {
	Name string `json:"name"`
	// Layers are names, or beginnings of names up to a dot, of parameters and
	// nodes. Where several groups fit, the longest decides.
	Layers []string `json:"layers"`
}

// Kind is what the tensor at the cut holds, and so how it is pooled; see surgery.Kind.
type Kind string

// Kinds of features.
const (
	MapFeatures    Kind = "" // a map [N, C, H, W]
	LastFeatures   Kind = "map-nhwc"
	TokenFeatures  Kind = "tokens"
	VectorFeatures Kind = "vector"
)

// Features is the number of pooled activations: maximum and mean of each channel of a map, the first token and the
// mean of the others, the mean where there is no prefix, or a vector as it is.
func (s Spec) Features() int {
	if s.Kind == VectorFeatures || s.Kind == TokenFeatures && s.Prefix == 0 {
		return int(s.Channels)
	}
	return int(2 * s.Channels)
}

// Pooled names the features for caches: the cut, and how it is pooled where that is not as a map.
func (s Spec) Pooled() string {
	switch s.Kind {
	case MapFeatures: // the key of earlier versions
		return s.Cut
	case TokenFeatures:
		return fmt.Sprintf("%s %s %d", s.Cut, s.Kind, s.Prefix)
	}
	return fmt.Sprintf("%s %s", s.Cut, s.Kind)
}

// Group is the index in s.Groups of a parameter or node, -1 if none has it.
func (s Spec) Group(name string) int {
	best, length := -1, -1
	for i, g := range s.Groups {
		for _, l := range g.Layers {
			if len(l) > length && (name == l || strings.HasPrefix(name, l+".")) {
				best, length = i, len(l)
			}
		}
	}
	return best
}

// wire is a Spec as JSON; slices tell what is absent or of a wrong length.
type wire struct {
	Name     string    `json:"name"`
	Digest   string    `json:"digest"`
	Size     int       `json:"size"`
	Mean     []float32 `json:"mean"`
	Std      []float32 `json:"std"`
	Layout   string    `json:"layout"`
	Cut      string    `json:"cut"`
	Channels int64     `json:"channels"`
	Kind     Kind      `json:"features,omitempty"`
	Prefix   int64     `json:"prefix,omitempty"`
	Groups   []Group   `json:"groups"`
	Resize   int       `json:"resize,omitempty"`
	Resample string    `json:"resample,omitempty"`
	Floor    bool      `json:"crop_floor,omitempty"`
	Squash   bool      `json:"squash,omitempty"`
	BGR      bool      `json:"bgr,omitempty"`
	Licence  string    `json:"licence"`
	Source   string    `json:"source"`
	Weights  string    `json:"weights,omitempty"`
	Revision int       `json:"revision,omitempty"`
	Sum      string    `json:"crc32c,omitempty"` // of the rest; a description written by hand has none
}

// sum is the CRC-32C of a description without its sum.
func (w wire) sum() string {
	w.Sum = ""
	data, err := json.Marshal(w)
	if err != nil {
		return "" // numbers that are no numbers: check refuses them
	}
	return fmt.Sprintf("%08x", digest.CRC32C(data))
}

const maxSpec = 4 << 20 // bytes; a foreign body lists its parameters by name

// ReadSpec reads BODY.json. Size, mean and std must be there; what else is
// missing is left empty for Resolve to find in the model. Errors name path and
// are failure.Data, except those of the file system (os.ErrNotExist).
func ReadSpec(path string) (Spec, error) {
	s, _, err := readSpec(path)
	return s, err
}

// readSpec also says whether the description has a checksum, as ours have.
func readSpec(path string) (s Spec, sealed bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return Spec{}, false, fmt.Errorf("bodies: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSpec+1))
	if err != nil {
		return Spec{}, false, fmt.Errorf("bodies: %s: %w", path, err)
	}
	s, err = parseSpec(data)
	if err != nil {
		return Spec{}, false, failure.Data(fmt.Errorf("bodies: %s: %w", path, err))
	}
	var sum struct {
		Of string `json:"crc32c"`
	}
	err = json.Unmarshal(data, &sum)
	return s, sum.Of != "", err
}

func parseSpec(data []byte) (Spec, error) {
	if len(data) > maxSpec {
		return Spec{}, fmt.Errorf("more than %d bytes; not the description of a body", maxSpec)
	}
	var w wire
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		return Spec{}, fmt.Errorf("%w; docs/reference/body-json.md lists the fields of BODY.json", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Spec{}, errors.New("text after the JSON object")
	}
	if sum := w.sum(); w.Sum != "" && w.Sum != sum {
		return Spec{}, fmt.Errorf("damaged, or changed by hand: its checksum is %s, not %q; "+
			"import the body again, or remove the line \"crc32c\" if the change is yours", sum, w.Sum)
	}
	if len(w.Mean) != 3 || len(w.Std) != 3 {
		return Spec{}, fmt.Errorf("mean has %s and std %d; "+
			"give three each, for red, green and blue from 0 to 1", plural.Count(len(w.Mean), "number"), len(w.Std))
	}
	s := Spec{w.Name, w.Digest, w.Size, [3]float32(w.Mean), [3]float32(w.Std), w.Layout, w.Cut, w.Channels, w.Kind,
		w.Prefix, w.Groups, w.Resize, w.Resample, w.Floor, w.Squash, w.BGR, "", w.Licence, w.Source, w.Weights, w.Revision}
	return s, s.check()
}

// check looks at what a Spec must have in any case.
func (s Spec) check() error {
	switch {
	case s.Size < 1 || s.Size > 1<<14:
		return fmt.Errorf("size %d; give the side of the images in pixels", s.Size)
	case s.Layout != "" && s.Layout != NCHW && s.Layout != NHWC:
		return fmt.Errorf("layout %q; give %s or %s", s.Layout, NCHW, NHWC)
	case s.Resize != 0 && (s.Resize < s.Size || s.Resize > 8192):
		return fmt.Errorf("resize %d; it is what the smaller side becomes before the crop to size %d", s.Resize, s.Size)
	case s.Channels < 0 || s.Channels > 1<<20:
		return errors.New(plural.Count(s.Channels, "channel"))
	case !slices.Contains([]Kind{MapFeatures, LastFeatures, TokenFeatures, VectorFeatures}, s.Kind):
		return fmt.Errorf("features %q; give map-nhwc, tokens or vector, or leave it out", s.Kind)
	case s.Prefix < 0 || s.Prefix > 1<<10 || s.Prefix > 0 && s.Kind != TokenFeatures:
		return fmt.Errorf("prefix %d; it is the number of tokens before those of the patches", s.Prefix)
	}
	return colour.Check(s.Mean, s.Std)
}

// MarshalJSON writes the fields of BODY.json in their order.
func (s Spec) MarshalJSON() ([]byte, error) {
	w := wire{s.Name, s.Digest, s.Size, s.Mean[:], s.Std[:], s.Layout, s.Cut, s.Channels, s.Kind, s.Prefix, s.Groups,
		s.Resize, s.Resample, s.Floor, s.Squash, s.BGR, s.Licence, s.Source, s.Weights, s.Revision, ""}
	w.Sum = w.sum()
	return json.Marshal(w)
}

// WriteSpec writes BODY.json, whole or not at all.
func WriteSpec(path string, s Spec) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("bodies: %s: %w", path, err)
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("bodies: %s: %w", path, err)
	}
	if err := durable.WriteFile(path, append(data, '\n')); err != nil {
		return fmt.Errorf("bodies: %w", err)
	}
	return nil
}

// SpecPath is where the Spec of an .onnx file lies: FILE.json for FILE.onnx.
func SpecPath(model string) string { return strings.TrimSuffix(model, filepath.Ext(model)) + ".json" }
