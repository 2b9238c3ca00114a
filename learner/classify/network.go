package classify

import (
	"finetune/audit"
	"finetune/augment"
	"finetune/augment/picture"
	"finetune/head"
	"finetune/internal/parallel"
	"finetune/learner/features"
	"finetune/onnx"
)

// network is what a Classifier is of: the head of a run, an exported file, or an
// exported file that scales and crops photographs itself.
type network interface {
	// load makes the input [3, size, size] of a photograph's file.
	load(dst []float32, data []byte, l picture.Limits) error
	// Unscaled makes the input of a photograph that has the right size already.
	Unscaled(dst []float32, im *picture.Image) error
	// finish turns the body's rows into log-probabilities [len(rows), classes], and how odd
	// each is; nil where that is not known.
	finish(rows [][]float32) (logp, odd []float32, err error)
	// wrong says what is wrong with a row and its log-probabilities, "" for nothing.
	wrong(row, logp []float32) string
}

// runNetwork is the head of a run, behind a body that makes features.
type runNetwork struct {
	pre   augment.Preprocess
	head  *head.Head
	plane *audit.Plane // nil: of an older run
}

func (n runNetwork) load(dst []float32, data []byte, l picture.Limits) error {
	return n.pre.Load(dst, data, l)
}

func (n runNetwork) Unscaled(dst []float32, im *picture.Image) error { return n.pre.Valid(dst, im) }

func (n runNetwork) finish(rows [][]float32) (logp, odd []float32, err error) {
	if logp, err = n.head.Predict(rows); err != nil || n.plane == nil {
		return logp, nil, err
	}
	odd = make([]float32, len(rows))
	parallel.For(len(rows), 0, func(i int) { odd[i] = n.plane.Oddness(rows[i]) })
	return logp, odd, nil
}

// The head's ReLU can turn what is no number into 0, so features count as well.
func (n runNetwork) wrong(row, logp []float32) string {
	if reason := features.NotNumbers(row); reason != "" {
		return reason
	}
	return features.NotProbabilities(n.head.Config.Multi)(logp)
}

// fileNetwork is an exported file, whose body's rows are log-probabilities and, of a file
// that knows it, the oddness behind them.
type fileNetwork struct {
	pre     augment.Preprocess
	classes int
	multi   bool
}

func (n fileNetwork) load(dst []float32, data []byte, l picture.Limits) error {
	return n.pre.Load(dst, data, l)
}

func (n fileNetwork) Unscaled(dst []float32, im *picture.Image) error {
	plane := im.Width * im.Height
	for i, v := range im.Pix {
		dst[i%3*plane+i/3] = float32(v) / 255
	}
	return nil
}

func (n fileNetwork) finish(rows [][]float32) (logp, odd []float32, err error) {
	logp, odd = apart(rows, n.classes)
	return logp, odd, nil
}

// apart takes log-probabilities and oddness of rows apart.
func apart(rows [][]float32, classes int) (logp, odd []float32) {
	for _, r := range rows {
		logp, odd = append(logp, r[:classes]...), append(odd, r[classes:]...)
	}
	return logp, odd
}

func (n fileNetwork) wrong(_, logp []float32) string { return features.NotProbabilities(n.multi)(logp) }

// wholeNetwork is an exported file that takes whole photographs: load runs it, and
// leaves the log-probabilities at the start of the input.
type wholeNetwork struct {
	pre     augment.Preprocess
	session *onnx.Session
	classes int
	width   int // of a row: the classes, and the oddness where the file knows it
	multi   bool
}

func (n wholeNetwork) load(dst []float32, data []byte, l picture.Limits) error {
	l.Depth = n.pre.Depth
	im, err := picture.Decode(data, l)
	if err != nil {
		return err
	}
	return n.Unscaled(dst, im)
}

func (n wholeNetwork) Unscaled(dst []float32, im *picture.Image) error {
	x, err := onnx.Uint8(im.Pix, 1, int64(im.Height), int64(im.Width), 3)
	if err != nil {
		return err
	}
	defer x.Close()
	y, err := onnx.Float32(dst[:n.width], 1, int64(n.width))
	if err != nil {
		return err
	}
	defer y.Close()
	return n.session.Run([]*onnx.Tensor{x}, []*onnx.Tensor{y})
}

func (n wholeNetwork) finish(rows [][]float32) (logp, odd []float32, err error) {
	logp, odd = apart(rows, n.classes)
	return logp, odd, nil
}

func (n wholeNetwork) wrong(_, logp []float32) string {
	return features.NotProbabilities(n.multi)(logp)
}

// TakesPhotographs reports whether the file scales and crops photographs itself.
func (c *Classifier) TakesPhotographs() bool {
	_, whole := c.Network.(wholeNetwork)
	return whole
}

// Head is the head of a run, nil for an exported file.
func (c *Classifier) Head() *head.Head {
	n, ok := c.Network.(runNetwork)
	if !ok {
		return nil
	}
	return n.head
}
