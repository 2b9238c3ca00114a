package bodies

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/onnx/forms"
	"finetune/onnx/graph"
	"finetune/onnx/hub"
	"finetune/onnx/surgery"
	"finetune/onnx/trainable"
)

// resolveFile takes an .onnx file, described by its BODY.json or by o.
func resolveFile(path string, o Override) (Body, error) {
	digest, err := digest.File(path)
	if err != nil {
		return Body{}, failure.Data(err)
	}
	spec, err := ReadSpec(SpecPath(path))
	switch {
	case errors.Is(err, os.ErrNotExist):
		if spec, err = describe(path, o); err != nil {
			return Body{}, err
		}
	case err != nil:
		return Body{}, err
	case spec.Digest != "" && spec.Digest != digest:
		return Body{}, failure.Data(fmt.Errorf("bodies: %s: its digest is %.12s, but %s says %.12s; the file was "+
			"changed or replaced: import it again, or correct the description", path, digest,
			SpecPath(path), spec.Digest))
	}
	spec.Digest = digest
	if spec.Name == "" {
		spec.Name = called(path)
	}
	return Body{path, spec}.with(o)
}

// called is the name of an .onnx file, or of the folder that says more: dinov2-small/onnx/model.onnx is dinov2-small.
func called(path string) string {
	stem := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	abs, err := filepath.Abs(path)
	if err != nil || stem != "model" && stem != "vision_model" {
		return stem
	}
	dir := filepath.Dir(abs)
	if filepath.Base(dir) == "onnx" {
		dir = filepath.Dir(dir)
	}
	if dir == filepath.Dir(dir) { // the root has no name
		return stem
	}
	return filepath.Base(dir)
}

// describe makes the Spec of a file without BODY.json from what the user says
// and the graph states.
func describe(path string, o Override) (Spec, error) {
	raw, err := graph.Read(path)
	if err != nil {
		return Spec{}, err
	}
	m, err := forms.Model(raw)
	if err != nil {
		return Spec{}, err
	}
	in, err := m.ImageAmong()
	if err != nil {
		return Spec{}, err
	}
	if err := takesFloats(in); err != nil {
		return Spec{}, failure.Usage(fmt.Errorf("bodies: %s: %w", path, err))
	}
	s := Spec{Size: o.Size, Layout: o.Layout, Source: "file " + filepath.Base(path), Licence: "unknown"}
	said := len(o.Mean) > 0 && len(o.Std) > 0 && o.Size > 0 // all of it: then no file needs to
	if !said {
		if err := s.prepared(path); err != nil {
			return Spec{}, err
		}
	}
	bare, err := forms.Bare(raw, o.Mean, o.Std, SpecPath(path))
	if err != nil {
		return Spec{}, failure.Usage(fmt.Errorf("bodies: %s: %w", path, err))
	}
	if bare > 0 {
		s.Mean, s.Std = [3]float32{}, [3]float32{bare, bare, bare}
	}
	said = s.Std[0] > 0
	if height, width := in.Size(); s.Size == 0 && height == width && height > 0 {
		s.Size = int(height)
	}
	if s.Layout == "" {
		s.Layout = in.Layout
	}
	var need []string
	if len(o.Mean) == 0 && !said {
		need = append(need, "--mean R,G,B")
	}
	if len(o.Std) == 0 && !said {
		need = append(need, "--std R,G,B")
	}
	if s.Size <= 0 {
		need = append(need, "--size PIXELS")
	}
	if s.Layout == "" {
		need = append(need, "--layout NCHW|NHWC")
	}
	if need != nil {
		return Spec{}, failure.Usage(fmt.Errorf("bodies: %s: its preprocessing is not known; add %s (for pixels "+
			"from 0 to 1), or write it into %s, or put the preprocessor_config.json or config.json of its hub beside it", path,
			strings.Join(need, " "), SpecPath(path)))
	}
	return s, nil
}

// prepared takes what a hub's files beside the network say of its preprocessing, where there are some.
func (s *Spec) prepared(path string) error {
	p, err := hub.Read(path)
	if err != nil || p == nil {
		return err
	}
	s.Prepared, s.Mean, s.Std, s.Resample = p.File, p.Mean, p.Std, p.Resample
	s.Floor, s.Squash, s.BGR = p.Floor, p.Squash, p.BGR
	if s.Size == 0 {
		s.Size = p.Size
	}
	if s.Resize = (p.Resize*s.Size + p.Size/2) / p.Size; s.Resize == s.Size { // of another size in proportion
		s.Resize = 0
	}
	s.Licence = cmp.Or(p.Licence, s.Licence)
	return nil
}

// with applies what the user says, and reads the model for what is still open.
func (b Body) with(o Override) (Body, error) {
	s := &b.Spec
	for _, v := range []struct {
		flag string
		from []float32
		to   *[3]float32
	}{{"--mean", o.Mean, &s.Mean}, {"--std", o.Std, &s.Std}} {
		if len(v.from) == 0 {
			continue
		}
		if len(v.from) != 3 {
			return Body{}, failure.Usage(fmt.Errorf("bodies: %s has %s; give three, for red, green and blue",
				v.flag, plural.Count(len(v.from), "number")))
		}
		*v.to = [3]float32(v.from)
	}
	if o.Size != 0 && o.Size != s.Size {
		s.Resize = (s.Resize*o.Size + s.Size/2) / max(s.Size, 1)
		s.Size = o.Size
	}
	if o.Layout != "" {
		s.Layout = strings.ToUpper(o.Layout)
	}
	if o.Cut != "" && o.Cut != s.Cut {
		s.Cut, s.Channels, s.Groups, s.Kind, s.Prefix = o.Cut, 0, nil, MapFeatures, 0
	}
	if o.Split != "" {
		s.Groups = nil
	}
	if err := s.check(); err != nil {
		return Body{}, failure.Usage(fmt.Errorf("bodies: %s: %w", b.Path, err))
	}
	if s.Cut != "" && s.Channels > 0 && s.Groups != nil && s.Layout != "" {
		return b, b.checkInference()
	}
	return b, b.complete(o.Split)
}

// checkInference refuses a foreign network that was exported in training mode.
// What lies behind the cut does not matter.
func (b *Body) checkInference() error {
	if b.Spec.Revision > 0 { // built by this package
		return nil
	}
	m, err := forms.Read(b.Path)
	if err != nil || surgery.CheckInference(m) == nil {
		return err
	}
	if m, err = surgery.CutAt(m, b.Spec.Cut); err != nil {
		return err
	}
	return surgery.CheckInference(m)
}

// complete finds cut, channels, layer groups and layout in the model.
func (b *Body) complete(split string) error {
	m, err := forms.Read(b.Path)
	if err != nil {
		return err
	}
	in, err := m.ImageAmong()
	if err != nil {
		return err
	}
	s := &b.Spec
	if err := s.agrees(in); err != nil {
		return failure.Usage(fmt.Errorf("bodies: %s: %w", b.Path, err))
	}
	if s.Cut == "" {
		if s.Cut, _, err = surgery.FindCut(m); err != nil {
			return err
		}
	}
	cut, err := surgery.At(m, s.Cut) // an error here tells what is wrong with the cut
	if err != nil {
		return err
	}
	if s.Kind == MapFeatures { // not stated
		s.Kind, s.Prefix = kindOf(cut), cut.Prefix
	}
	s.Channels = cut.Channels
	features, err := surgery.FeaturesOf(m, s.as(cut))
	if err != nil {
		return err
	}
	if err := surgery.CheckInference(features); err != nil {
		return err
	}
	if s.Groups == nil || split != "" {
		surgery.UnshareInitializers(m) // as FeatureModel does: what is apart there needs a group
		s.Groups, err = groupsOf(m, s.Cut, split)
	}
	return err
}

// takesFloats refuses an input of pixels in any type that forms.Read does not make float32 of.
func takesFloats(in graph.Input) error {
	if in.Elem == graph.Float32 {
		return nil
	}
	return fmt.Errorf("input %q is of type %s; a body takes FLOAT, FLOAT16 or UINT8: export the network in float32",
		in.Name, in.Type)
}

// agrees compares a description with what the graph states about its input.
func (s *Spec) agrees(in graph.Input) error {
	if err := takesFloats(in); err != nil {
		return err
	}
	if s.Layout == "" {
		s.Layout = in.Layout
	}
	if s.Layout == "" {
		return errors.New("the order of its axes is not known; add --layout NCHW or NHWC, or put it into BODY.json")
	}
	if in.Layout != "" && in.Layout != s.Layout {
		return fmt.Errorf("input %q %v is %s, not %s; correct --layout or BODY.json", in.Name, in.Shape, in.Layout,
			s.Layout)
	}
	if c := in.Channels(s.Layout); c > 0 && c != 3 {
		return fmt.Errorf("input %q %v takes images of %s; "+
			"a body takes three, red, green and blue: put a layer in front that makes %d of them, and export again",
			in.Name, in.Shape, plural.Count(c, "channel"), c)
	}
	if h, w := in.Size(); h > 0 && h != int64(s.Size) || w > 0 && w != int64(s.Size) {
		return fmt.Errorf("input %q %v takes images of %dx%d, not %d; "+
			"correct --size, or export it with open height and width", in.Name, in.Shape, h, w, s.Size)
	}
	return nil
}

// groupsOf divides a body as graph.Groups does and adds the head, which is what
// the model has after the cut.
func groupsOf(m *graph.Model, cut, split string) ([]Group, error) {
	body, err := surgery.CutAt(m, cut)
	if err != nil {
		return nil, err
	}
	var splits []string
	if split != "" {
		splits = []string{split}
	}
	parts, err := trainable.Groups(body, splits...)
	if err != nil {
		return nil, err
	}
	var groups []Group
	for _, p := range parts {
		groups = append(groups, Group{p.Name, slices.Clone(p.Parameters)})
	}
	return append(groups, Group{"head", nil}), nil
}

// kindOf is a cut's kind as a description states it.
func kindOf(c surgery.Cut) Kind {
	switch {
	case c.Kind == surgery.Tokens:
		return TokenFeatures
	case c.Kind == surgery.Vector:
		return VectorFeatures
	case c.Layout == surgery.ChannelsLast:
		return LastFeatures
	}
	return MapFeatures
}

// as is a cut with the prefix that the description states.
func (s Spec) as(c surgery.Cut) surgery.Cut {
	c.Prefix, c.Channels, c.Width = s.Prefix, cmp.Or(s.Channels, c.Channels), 0
	s.Channels = c.Channels
	c.Width = int64(s.Features())
	return c
}

// FeatureModel reads the body and cuts it: a batch of normalised images
// [N, 3, Size, Size] in, float32 [N, Spec.Features()] out, maxima before means.
// The model has one input and one output, "features"; a body of layout NHWC gets
// a transposition in front. Tensors that an exporter tied are apart (graph.UnshareInitializers).
func FeatureModel(b Body) (*graph.Model, error) {
	m, _, err := b.features()
	return m, err
}

// features is FeatureModel, and what it is cut at.
func (b Body) features() (*graph.Model, surgery.Cut, error) {
	m, err := forms.Read(b.Path)
	if err != nil {
		return nil, surgery.Cut{}, err
	}
	surgery.UnshareInitializers(m)
	cut, err := surgery.At(m, b.Spec.Cut)
	if err != nil {
		return nil, cut, err
	}
	if k := kindOf(cut); k != b.Spec.Kind {
		return nil, cut, failure.Data(fmt.Errorf("bodies: %s: tensor %q holds %s, its description says otherwise; take the "+
			"field \"features\" out of %s", b.Path, cut.Tensor, cut, SpecPath(b.Path)))
	}
	f, err := surgery.FeaturesOf(m, b.Spec.as(cut))
	if err != nil {
		return nil, cut, err
	}
	in, err := f.Image()
	if err != nil {
		return nil, cut, err
	}
	if err := b.Spec.agrees(in); err != nil {
		return nil, cut, failure.Usage(fmt.Errorf("bodies: %s: %w", b.Path, err))
	}
	if b.Spec.BGR {
		if f, err = blueFirst(f, in); err != nil {
			return nil, cut, err
		}
	}
	if b.Spec.Layout == NHWC {
		if in, err = f.Image(); err != nil {
			return nil, cut, err
		}
		f, err = channelsFirst(f, in)
	}
	return f, cut, err
}

// blueFirst puts a model's colours in the order that its weights expect.
func blueFirst(m *graph.Model, in graph.Input) (*graph.Model, error) {
	axis := int64(1)
	shape := []any{"N", 3, "height", "width"}
	if in.Layout == NHWC {
		axis, shape = 3, []any{"N", "height", "width", 3}
	}
	for i, d := range in.Shape {
		if d >= 0 {
			shape[i] = d
		}
	}
	b := graph.NewBuilder("bgr", m.Opset())
	image := b.Input("image/rgb", graph.Float32, shape...)
	order := b.Ints("image/order", []int64{3}, []int64{2, 1, 0})
	b.Output(b.Node("Gather", "image/bgr", []string{image, order}, graph.Int("axis", axis)), graph.Float32, shape...)
	return surgery.Join(b.Model(), m, map[string]string{in.Name: "image/bgr"}, "")
}

// channelsFirst puts a transposition from NCHW in front of an NHWC model.
func channelsFirst(m *graph.Model, in graph.Input) (*graph.Model, error) {
	open := func(d int64, name string) any {
		if d < 0 {
			return name
		}
		return d
	}
	n, h, w := open(in.Shape[0], "N"), open(in.Shape[1], "height"), open(in.Shape[2], "width")
	b := graph.NewBuilder("nchw", m.Opset())
	image := b.Input("image/nchw", graph.Float32, n, 3, h, w)
	b.Output(b.Node("Transpose", "image/nhwc", []string{image}, graph.Ints("perm", 0, 2, 3, 1)), graph.Float32, n, h, w,
		3)
	return surgery.Join(b.Model(), m, map[string]string{in.Name: "image/nhwc"}, "")
}
