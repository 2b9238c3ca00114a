package augment

import (
	"fmt"
	"image"
	"slices"
	"strings"
	"sync"

	"finetune/augment/picture"
	"finetune/internal/colour"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/rng"
)

// Resamplers, as flags spell them.
const (
	NFNT = "nfnt" // github.com/nfnt/resize, bilinear, antialiased when shrinking; the default
	Area = "area" // OpenCV's INTER_AREA on float32, the reference's
)

// Resamplers are all of them.
var Resamplers = []string{NFNT, Area, Bilinear, Bicubic, Lanczos}

// Preprocess turns images into normalised tensors: scale the smaller side to
// Size, or to Resize where that is more, crop Size × Size, (x-Mean)/Std per channel, [3, Size, Size].
//
// Units: Mean and Std are those of RGB on 0..1. Crop and Pad belong to the
// validation view; training views take theirs from a Policy.
type Preprocess struct {
	Size      int
	Mean, Std [3]float32
	Resize    int           // what the smaller side becomes before the crop of the validation view; 0 means Size
	Floor     bool          // the offset of Pillow's crop is rounded down, else a half to the even neighbour
	Resample  string        // one of Resamplers; "" means NFNT
	Crop      string        // one of Crops; "", random and googlenet mean center
	Pad       int           // shows with the crops no and noop only
	Depth     picture.Depth // of photographs of more than 8 bits; Load alone looks at it
}

// Len returns the number of values of one image, 3*Size*Size.
func (p Preprocess) Len() int { return 3 * p.Size * p.Size }

// String is canonical: equal strings make equal tensors. It enters the cache key.
func (p Preprocess) String() string {
	p = p.canonical()
	text := fmt.Sprintf("v1 size=%d mean=%v std=%v resample=%s crop=%s pad=%d jpeg=%s",
		p.Size, p.Mean, p.Std, p.Resample, p.Crop, p.Pad, picture.Decoder())
	if p.Resize != 0 {
		text += fmt.Sprintf(" resize=%d", p.Resize)
	}
	if p.Floor {
		text += " floor"
	}
	if p.Depth != (picture.Depth{}) { // else the key is that of earlier versions
		text += " depth=" + p.Depth.String()
	}
	return text
}

// Words say how a photograph becomes a tensor.
func (p Preprocess) Words() string {
	p = p.canonical()
	how := fmt.Sprintf("smaller side to %d, %s", p.side(), p.Resample)
	if p.Crop == "no" {
		how = fmt.Sprintf("squashed to %d × %[1]d, %s", p.side(), p.Resample)
	}
	if p.side() > p.Size {
		how += fmt.Sprintf(", the middle %d × %[1]d", p.Size)
	}
	return fmt.Sprintf("%s; mean %.4g, std %.4g", how, p.Mean, p.Std)
}

func (p Preprocess) canonical() Preprocess {
	if p.Resample == "" {
		p.Resample = NFNT
	}
	if p.Crop == "" || p.Crop == "random" || p.Crop == "googlenet" {
		p.Crop = "center"
	}
	if p.Resize == p.Size {
		p.Resize = 0
	}
	p.Floor = p.Floor && p.Pillow()
	if p.Crop == "center" { // a border that the centre crop cuts away again
		p.Pad = 0
	}
	return p
}

// Check reports a wrong field, before any image is read, as a usage error.
func (p Preprocess) Check() error { return failure.Usage(p.canonical().check()) }

func (p Preprocess) check() error {
	if p.Size < 1 || p.Size > 4096 {
		return fmt.Errorf("augment: size %d: must be from 1 to 4096 pixels", p.Size)
	}
	if !slices.Contains(Resamplers, p.Resample) {
		return fmt.Errorf("augment: no resampler %q; choose one of %s", p.Resample, strings.Join(Resamplers, ", "))
	}
	if p.Resize != 0 && (p.Resize < p.Size || p.Resize > 8192) {
		return fmt.Errorf("augment: scaled to %d before a crop of %d: must be from %d to 8192 pixels", p.Resize, p.Size,
			p.Size)
	}
	if err := colour.Check(p.Mean, p.Std); err != nil {
		return fmt.Errorf("augment: %w", err)
	}
	return checkCrop(p.Crop, p.Pad)
}

// side is what the smaller side becomes before the crop of the validation view.
func (p Preprocess) side() int { return max(p.Resize, p.Size) }

// exact reports whether the resampler is one of those that need the file's own pixels.
func (p Preprocess) exact() bool { return p.Resample == Area || p.Pillow() }

// Pillow reports whether the resampler is one of Pillow's.
func (p Preprocess) Pillow() bool { return pillow[p.Resample].at != nil }

func (p Preprocess) ready(dst []float32) error {
	if err := p.Check(); err != nil {
		return err
	}
	if len(dst) != p.Len() {
		return fmt.Errorf("augment: room for %s; [3, %d, %d] takes %d", plural.Count(len(dst), "value"), p.Size, p.Size,
			p.Len())
	}
	return nil
}

func (p Preprocess) accepts(im *picture.Image, zoom float64) error {
	if err := im.Check(); err != nil {
		return err
	}
	return fits(im, int(zoom*float64(p.Size)))
}

// maxScaled limits the pixels of a scaled picture: its smaller side may grow.
const maxScaled = 1 << 24

// fits refuses strips: 50,000 × 10 pixels would become 1,120,000 × 224.
func fits(pic picture.Source, size int) error {
	g := pic.Geometry()
	if w, h := scaledSize(g.FullW, g.FullH, size); w > maxScaled/h {
		return &picture.DecodeError{Status: picture.TooLarge,
			Reason: fmt.Sprintf("%d × %d pixels would become %d × %d with the smaller side at %d; crop the strip first",
				g.FullW, g.FullH, w, h, size)}
	}
	return nil
}

// Load decodes data and writes its validation view to dst [3, Size, Size]:
// picture.Decode and Valid in one, without the pixels that nobody needs.
// Errors: *picture.DecodeError for the file, others for p and dst.
func (p Preprocess) Load(dst []float32, data []byte, l picture.Limits) error {
	if err := p.ready(dst); err != nil {
		return err
	}
	p = p.canonical()
	pic, done, err := picture.Open(data, p.limits(l))
	if err != nil {
		return err
	}
	defer done()
	if err := fits(pic, p.side()); err != nil {
		return err
	}
	return p.valid(dst, pic)
}

// limits are those of a decode for p: the file may be shrunk to twice the size that p takes.
func (p Preprocess) limits(l picture.Limits) picture.Limits {
	l.Depth = p.Depth
	if l.MinSide = 2 * p.side(); p.exact() {
		l.MinSide = 0
	}
	return l
}

// Valid writes the validation view of im to dst [3, Size, Size].
func (p Preprocess) Valid(dst []float32, im *picture.Image) error {
	if err := p.ready(dst); err != nil {
		return err
	}
	if err := p.accepts(im, float64(p.side())/float64(p.Size)); err != nil {
		return err
	}
	return p.canonical().valid(dst, im)
}

// Augmented writes a training view of im to dst [3, Size, Size], drawn from s:
// scale (MaxZoom), border, transforms, crop, in that order. The crop "googlenet"
// has no scale before it.
func (p Preprocess) Augmented(dst []float32, im *picture.Image, pol Policy, s *rng.Stream) error {
	if err := p.ready(dst); err != nil {
		return err
	}
	if err := pol.check(); err != nil {
		return err
	}
	if err := p.accepts(im, max(pol.MaxZoom, 1)); err != nil {
		return err
	}
	w := workers.Get().(*worker)
	defer workers.Put(w)
	if pol.Crop == "googlenet" {
		w.cur.setImage(im)
	} else {
		w.scale(im, pol.target(p.Size, s), p.canonical().Resample)
	}
	for _, t := range pol.transforms(p.Size) {
		t(&w.canvas, s)
	}
	return p.tensor(dst, &w.cur)
}

// worker is the memory that one image at a time passes through.
type worker struct {
	canvas
	packed packed
}

var workers = sync.Pool{New: func() any { return new(worker) }}

func (p Preprocess) valid(dst []float32, pic picture.Source) error {
	w := workers.Get().(*worker)
	defer workers.Put(w)
	if p.Pillow() && p.Pad == 0 && (p.Crop == "center" || p.Crop == "no") {
		p.pillowView(dst, pic.RGB())
		return nil
	}
	if p.Crop == "center" && p.Resample == NFNT && p.fused(dst, pic, &w.packed) {
		return nil
	}
	w.scale(pic.RGB(), p.side(), p.Resample)
	if p.Pad > 0 {
		addPadding(p.Pad)(&w.canvas, nil)
	}
	for _, t := range cropTo(p.Crop, p.Size) {
		t(&w.canvas, nil)
	}
	return p.tensor(dst, &w.cur)
}

// fused scales, crops, normalises and reorders in one pass over the rows of pic.
func (p Preprocess) fused(dst []float32, pic picture.Source, r *packed) bool {
	g := pic.Geometry()
	w, h := scaledSize(g.FullW, g.FullH, p.side())
	win := window{w: w, h: h, x0: centred(w, p.Size), y0: centred(h, p.Size), nx: p.Size, ny: p.Size}
	table := p.table()
	plane := p.Size * p.Size
	return r.resize(pic, win, func(y int, row []uint64) {
		red, green, blue := dst[y*p.Size:][:len(row)], dst[plane+y*p.Size:][:len(row)], dst[2*plane+y*p.Size:][:len(row)]
		for x, v := range row {
			red[x], green[x], blue[x] = table[0][uint8(v)], table[1][uint8(v>>lane)], table[2][uint8(v>>(2*lane))]
		}
	})
}

// table holds the normalised value of every sample, per channel.
func (p Preprocess) table() *[3][256]float32 {
	var t [3][256]float32
	for c := range t {
		for i := range t[c] {
			t[c][i] = (unit[i] - p.Mean[c]) / p.Std[c]
		}
	}
	return &t
}

// scale leaves im in w.cur, its smaller side t pixels.
func (w *worker) scale(im *picture.Image, t int, resample string) {
	g := im.Geometry()
	if k, ok := pillow[resample]; ok {
		sw, sh := pillowSize(im.Width, im.Height, t)
		w.cur.setImage(k.resize(im, window{w: sw, h: sh, nx: sw, ny: sh}))
		return
	}
	sw, sh := scaledSize(g.FullW, g.FullH, t)
	if resample == Area {
		w.spare.shape(im.Width, 1)
		area(&w.cur, &imageRows{im, w.spare.pix}, sw, sh)
		return
	}
	w.cur.shape(sw, sh)
	win := window{w: sw, h: sh, nx: sw, ny: sh}
	done := w.packed.resize(im, win, func(y int, row []uint64) {
		out := w.cur.row(y)
		for x, v := range row {
			o := out[3*x : 3*x+3 : 3*x+3]
			o[0], o[1], o[2] = unit[uint8(v)], unit[uint8(v>>lane)], unit[uint8(v>>(2*lane))]
		}
	})
	if !done {
		small := &picture.Image{Width: sw, Height: sh, Pix: make([]uint8, 3*sw*sh)}
		nfntLibrary(small.Pix, im, sw, sh)
		w.cur.setImage(small)
	}
}

// tensor normalises r and writes its channels one after the other.
func (p Preprocess) tensor(dst []float32, r *raster) error {
	if r.w != p.Size || r.h != p.Size {
		return fmt.Errorf("augment: the picture is %d × %d after its transforms, not %d × %d; choose a crop other than noop",
			r.w, r.h, p.Size, p.Size)
	}
	plane := p.Size * p.Size
	for c := range 3 {
		out, mean, std := dst[c*plane:][:plane], p.Mean[c], p.Std[c]
		for i := range out {
			out[i] = (r.pix[3*i+c] - mean) / std
		}
	}
	return nil
}

// ToImage makes a picture of a tensor [3, Size, Size], for previews; x is only read.
func (p Preprocess) ToImage(x []float32) *image.RGBA {
	im := image.NewRGBA(image.Rect(0, 0, p.Size, p.Size))
	plane := p.Size * p.Size
	for i := range plane {
		for c := range 3 {
			v := x[c*plane+i]*p.Std[c] + p.Mean[c]
			im.Pix[4*i+c] = uint8(max(0, min(v, 1))*255 + 0.5)
		}
		im.Pix[4*i+3] = 255
	}
	return im
}
