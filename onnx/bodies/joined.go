package bodies

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/home"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// joinedCut is the tensor of a joined body in which the features of its parts lie side by side.
const joinedCut = "joined"

// several reports whether text names bodies, as in resnet34,dino.onnx, and no file.
func several(text string) bool {
	if !strings.Contains(text, ",") {
		return false
	}
	_, err := os.Stat(text)
	return err != nil
}

// resolveJoined makes one network of several bodies: each gets the photograph with its own mean, deviation and order of
// colours, and its features lie beside those of the others. Photographs are scaled and cropped once, as the first body
// has it (Spec.Prepared says so); all must take them at one size. It is kept in $FINETUNE_HOME/bodies.
func resolveJoined(text string, o Override) (Body, error) {
	for flag, said := range map[string]bool{"--mean": len(o.Mean) > 0, "--std": len(o.Std) > 0, "--layout": o.Layout != "",
		"--cut": o.Cut != "" && o.Cut != joinedCut} {
		if said {
			return Body{}, failure.Usage(fmt.Errorf("bodies: %s: several bodies, and %s is of one; "+
				"write it into the description beside each (BODY.json)", text, flag))
		}
	}
	var parts []Body
	var names, digests, licences []string
	for _, name := range strings.Split(text, ",") {
		b, err := Resolve(strings.TrimSpace(name), Override{Size: o.Size})
		if err != nil {
			return Body{}, err
		}
		parts = append(parts, b)
		names, digests = append(names, b.Spec.Name), append(digests, b.Spec.Digest+" "+b.Spec.Pooled())
		if !slices.Contains(licences, b.Spec.Licence) {
			licences = append(licences, b.Spec.Licence)
		}
	}
	first := parts[0].Spec
	spec := Spec{Name: strings.Join(names, "+"), Size: first.Size, Std: [3]float32{1, 1, 1}, Layout: NCHW, Cut: joinedCut,
		Kind: VectorFeatures, Resize: first.Resize, Resample: first.Resample, Floor: first.Floor, Squash: first.Squash,
		Licence: strings.Join(licences, "; "), Source: "joined of " + strings.Join(names, " and "), Revision: revision,
		Weights: "joined " + strings.Join(digests, ", ")}
	var others []string
	for _, p := range parts[1:] {
		if p.Spec.Size != first.Size {
			return Body{}, failure.Usage(fmt.Errorf("bodies: %s takes photographs of %d px and %s of %d; bodies beside each "+
				"other take one size: add --size, if one of them takes others", first.Name, first.Size, p.Spec.Name, p.Spec.Size))
		}
		if p.Spec.scaling() != first.scaling() {
			others = append(others, fmt.Sprintf("%s alone would have %s", p.Spec.Name, p.Spec.scaling()))
		}
		spec.Channels += int64(p.Spec.Features())
	}
	spec.Channels += int64(first.Features())
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %+v", revision, spec.Weights, first.scaling()))
	path := home.Path("bodies", "joined-"+hex.EncodeToString(sum[:6])+".onnx")
	body, ok := built(path, spec.Weights)
	if !ok {
		var err error
		if body, err = join(parts, spec, path); err != nil {
			return Body{}, err
		}
	}
	body.Spec.Prepared = "the first body (" + strings.Join(append([]string{"mean and std are each body's own"}, others...),
		"; ") + ")"
	return body.with(Override{Split: o.Split})
}

// scaling names how photographs are scaled, to compare two bodies.
func (s Spec) scaling() string {
	text := fmt.Sprintf("%d px", s.Size)
	if s.Resize > s.Size {
		text = fmt.Sprintf("the smaller side at %d px, %d of it", s.Resize, s.Size)
	}
	if s.Squash {
		text += ", squashed"
	}
	if s.Resample != "" {
		text += ", " + s.Resample
	}
	return text
}

// join writes the network of several bodies and its description.
func join(parts []Body, spec Spec, path string) (Body, error) {
	var whole *graph.Model
	var outputs []string
	for i, p := range parts {
		m, err := FeatureModel(p)
		if err != nil {
			return Body{}, err
		}
		if i == 0 {
			whole = front(parts, m.Opset())
		}
		own := fmt.Sprintf("body%d/%s", i+1, surgery.FeaturesName)
		g := graph.Renamed(m.Graph, func(s string) string {
			if s == surgery.FeaturesName {
				return own
			}
			return s
		})
		renamed := &graph.Model{ModelProto: graph.Shallow(m.ModelProto), Path: m.Path}
		renamed.Graph = g
		in := renamed.Graph.Input[0].GetName()
		whole, err = surgery.Join(whole, renamed, map[string]string{in: prepared(i)}, fmt.Sprintf("body%d/", i+1))
		if err != nil {
			return Body{}, fmt.Errorf("bodies: %s beside %s: %w", p.Spec.Name, parts[0].Spec.Name, err)
		}
		outputs = append(outputs, own)
	}
	whole, err := beside(whole, outputs, parts, spec)
	if err != nil {
		return Body{}, err
	}
	data, err := whole.Bytes()
	if err != nil {
		return Body{}, err
	}
	sum := sha256.Sum256(data)
	spec.Digest = hex.EncodeToString(sum[:])
	if err := durable.Room(filepath.Dir(path), int64(len(data))); err != nil {
		return Body{}, fmt.Errorf("bodies: %w", err)
	}
	if err := durable.WriteFile(path, data); err != nil {
		return Body{}, fmt.Errorf("bodies: %w", err)
	}
	b, err := Body{path, spec}.with(Override{})
	return b, errors.Join(err, WriteSpec(SpecPath(path), b.Spec))
}

// prepared is the tensor of colours as body i takes them.
func prepared(i int) string { return fmt.Sprintf("body%d/image", i+1) }

// front takes colours from 0 to 1 to what each body expects.
func front(parts []Body, opset int64) *graph.Model {
	size := parts[0].Spec.Size
	b := graph.NewBuilder("joined", opset)
	image := b.Input("image", graph.Float32, "N", 3, size, size)
	for i, p := range parts {
		mean := b.Init(prepared(i)+".mean", []int64{1, 3, 1, 1}, p.Spec.Mean[:])
		std := b.Init(prepared(i)+".std", []int64{1, 3, 1, 1}, p.Spec.Std[:])
		x := b.Node("Sub", prepared(i)+".centred", []string{image, mean})
		b.Output(b.Node("Div", prepared(i), []string{x, std}), graph.Float32, "N", 3, size, size)
	}
	return b.Model()
}

// beside ends the network with the features of all parts in one row.
func beside(whole *graph.Model, outputs []string, parts []Body, spec Spec) (*graph.Model, error) {
	b := graph.NewBuilder("joined", whole.Opset())
	connect := map[string]string{}
	var inputs []string
	for i, name := range outputs {
		in := b.Input(fmt.Sprintf("part%d", i+1), graph.Float32, "N", parts[i].Spec.Features())
		connect[in] = name
		inputs = append(inputs, in)
	}
	b.Output(b.Node("Concat", joinedCut, inputs, graph.Int("axis", 1)), graph.Float32, "N", spec.Channels)
	return surgery.Join(whole, b.Model(), connect, "")
}
