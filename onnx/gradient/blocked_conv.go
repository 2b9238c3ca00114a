package gradient

import (
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// serves reports whether the blocked convolution takes this geometry: whole
// blocks of filters, and of channels unless these are fewer than a block, which
// are read unblocked.
func (l *blocked) serves(w window) bool {
	if w.depthwise() {
		return w.channels%l.size == 0
	}
	return w.group == 1 && w.filters%l.size == 0 && (w.channels%l.size == 0 || w.channels < l.size)
}

func (l *blocked) conv(n *onnxpb.NodeProto) bool {
	x, w, y := n.Input[0], n.Input[1], n.Output[0]
	if l.fixed[w] || len(l.shape[x]) != 4 {
		return false // ORT itself moves a convolution with constant weights
	}
	win, err := windowOf(n, l.shape[x], l.shape[y], l.shape[w][2:])
	if err != nil || !l.serves(win) {
		return false
	}
	in := []string{"", l.filter(w, win, false)}
	if win.depthwise() || win.channels >= l.size {
		in[0] = l.asBlocked(x)
	} else {
		in[0] = l.asPlain(x)
	}
	for _, bias := range n.Input[2:] {
		in = append(in, l.asPlain(bias))
	}
	l.emit(nchwc+".Conv", y, in, win.positive().attrs()...)
	return true
}

// filter lays weights [o, i, kh, kw] out for the kernel:
//
//	[o/b, i/b, kh, kw, b of i, b of o]   and turned, for dx: [i/b, o/b, kh, kw reversed, b of o, b of i]
//	[o/b, i, kh, kw, b of o]             for fewer channels than a block; depthwise is this with i = 1
func (l *blocked) filter(w string, win window, turned bool) string {
	s := l.shape[w]
	o, i, k, b := s[0], s[1], s[2]*s[3], l.size
	switch {
	case win.depthwise() || i < b:
		if turned {
			w = l.turn(w)
		}
		if i*k == 1 {
			return w
		}
		r := l.op(nchwc+".ReorderInput", []int64{1, o, i * k, 1}, []string{l.reshape(w, 1, o, i*k, 1)})
		return l.reshape(r, s...)
	case turned:
		// blocks of i first: [o, i/b, k, b of i], then whole blocks move
		r := l.op(nchwc+".ReorderInput", []int64{o, i, k, 1}, []string{l.reshape(l.turn(w), o, i, k, 1)})
		r = l.transpose(l.reshape(r, o/b, b, i/b, k, b), 2, 0, 3, 1, 4)
		return l.reshape(r, i, o, s[2], s[3])
	default:
		// blocks of o first: [o/b, i*k, b of o]
		r := l.op(nchwc+".ReorderInput", []int64{1, o, i * k, 1}, []string{l.reshape(w, 1, o, i*k, 1)})
		if k > 1 {
			r = l.transpose(l.reshape(r, o/b, i/b, b, k, b), 0, 1, 3, 2, 4)
		}
		return l.reshape(r, s...)
	}
}

// gradInput is a convolution of dy with the filter turned round. A strided
// pointwise one works at dy's size and spreads its result; a strided depthwise
// one spreads dy; other strided ones are left to ConvTranspose, which does not
// multiply by the zeros between.
func (l *blocked) gradInput(n *onnxpb.NodeProto) bool {
	dy, w, dx := n.Input[0], n.Input[1], n.Output[0]
	win := l.windowFor(n, dx, dy)
	turned, ok := win.turned()
	if !ok || !l.serves(win) || win.channels < l.size || !win.unit() && !win.depthwise() && !win.pointwise() {
		return false
	}
	l.asPlain(w)
	if win.pointwise() && !win.unit() {
		s := l.shape[dy]
		small := l.op(nchwc+".Conv", []int64{s[0], win.channels, s[2], s[3]}, []string{l.asBlocked(dy), l.filter(w, win, true)}, graph.Ints("kernel_shape", 1, 1), graph.Int("group", win.group))
		l.block[dx] = l.spreadBlocked(small, win, [4]int64{-win.pads[0], -win.pads[1], turned.pads[2], turned.pads[3]})
		return true
	}
	from := l.asBlocked(dy)
	if !win.unit() {
		from = l.spreadBlocked(from, win, [4]int64{0, 0, min(turned.pads[2], 0), min(turned.pads[3], 0)})
	}
	l.emit(nchwc+".Conv", dx, []string{from, l.filter(w, win, true)}, turned.positive().attrs()...)
	return true
}

// spreadBlocked is spread for a blocked tensor; cut adds to or, negative, takes
// from its borders.
func (l *blocked) spreadBlocked(x string, w window, cut [4]int64) string {
	s, b := l.shape[x], l.size
	x = l.reshape(x, -1, s[2], 1, s[3], b)
	x = l.pad(x, 0, 0, 0, 0, 0, 0, 0, w.stride[0]-1, 0, (w.stride[1]-1)*b)
	h, wide := s[2]*w.stride[0], s[3]*w.stride[1]
	if cut != [4]int64{} {
		x = l.pad(l.reshape(x, -1, h, wide*b), 0, cut[0], cut[1]*b, 0, cut[2], cut[3]*b)
	}
	return l.reshape(x, -1, s[1], h+cut[0]+cut[2], wide+cut[1]+cut[3])
}

// gradFilter is a convolution too: the images of a channel, one below the
// other, seen by a kernel that is dy, its images one below the other. Borders
// of zeros keep the images apart; the kernel's dilation is the stride.
func (l *blocked) gradFilter(n *onnxpb.NodeProto) bool {
	x, dy, dw := n.Input[0], n.Input[1], n.Output[0]
	w := l.windowFor(n, x, dy)
	if !l.serves(w) || w.pointwise() {
		return false
	}
	rows := w.in[0] + w.pads[0] + w.pads[2] // one image with its border
	more := roundUp(rows, w.stride[0]) - rows
	rows += more
	w.pads[2] += more
	images, kernel, outRows := l.column(x, w, rows), l.kernelOf(dy, w, rows), w.kernelRows()
	attrs := []graph.Attr{graph.Ints("dilations", w.stride[:]...), graph.Ints("strides", w.dilation[:]...), graph.Ints("pads", 0, 0, 0, 0)}
	b := l.size
	if w.depthwise() {
		s := []int64{1, w.channels, outRows, w.kernel[1]}
		r := l.op(nchwc+".Conv", s, []string{images, kernel}, append(attrs, graph.Int("group", w.channels))...)
		if outRows > w.kernel[0] {
			r = l.reshape(l.slice(l.reshape(r, w.channels/b, outRows, w.kernel[1]*b), 1, 0, w.kernel[0], 1), 1, w.channels, w.kernel[0], w.kernel[1])
		}
		r = l.op(nchwc+".ReorderOutput", l.shape[r], []string{r}, graph.Int("channels", w.channels))
		l.opTo("Reshape", dw, nil, []string{r, l.ints(l.shape[dw]...)})
	} else {
		s := []int64{w.channels, w.filters, outRows, w.kernel[1]}
		r := l.op(nchwc+".Conv", s, []string{images, kernel}, attrs...)
		r = l.op(nchwc+".ReorderOutput", s, []string{r}, graph.Int("channels", w.filters))
		if outRows > w.kernel[0] {
			r = l.slice(r, 2, 0, w.kernel[0], 1)
		}
		l.opTo("Transpose", dw, nil, []string{r}, graph.Ints("perm", 1, 0, 2, 3))
	}
	l.plain[dw] = true
	return true
}

// spare is how many rows of zeros the column of dy leaves out at its end, so
// that the result has at least as many rows as the filter.
func (w window) spare() int64 { return (w.kernel[0] - 1) * w.dilation[0] / w.stride[0] }

// kernelRows is how many rows the result of gradFilter has, some of which may be too many.
func (w window) kernelRows() int64 {
	return (w.stride[0]*(1+w.spare())-1)/w.dilation[0] + 1
}

// column puts the padded images of each channel one below the other: plain
// [channels, 1, n*rows, width], blocked [1, channels, n*rows, width] if depthwise.
func (l *blocked) column(x string, w window, rows int64) string {
	b := l.size
	wide := w.in[1] + w.pads[1] + w.pads[3]
	if w.depthwise() {
		x = l.reshape(l.asBlocked(x), -1, w.channels/b, w.in[0], w.in[1]*b)
		x = l.pad(x, 0, 0, w.pads[0], w.pads[1]*b, 0, 0, w.pads[2], w.pads[3]*b)
		return l.reshape(l.transpose(x, 1, 0, 2, 3), 1, w.channels, -1, wide)
	}
	return l.reshape(l.transpose(l.padded(l.asPlain(x), w), 1, 0, 2, 3), w.channels, 1, -1, wide)
}

// kernelOf puts the images of blocked dy one below the other, as far apart as
// column does, as a filter: [filters, 1, n*rows/stride - spare, width].
func (l *blocked) kernelOf(dy string, w window, rows int64) string {
	b := l.size
	wide := w.out[1] * b
	k := l.reshape(l.asBlocked(dy), -1, w.filters/b, w.out[0], wide)
	k = l.transpose(k, 1, 0, 2, 3)
	k = l.pad(k, 0, 0, 0, 0, 0, 0, rows/w.stride[0]-w.out[0], 0)
	k = l.reshape(k, w.filters/b, -1, wide)
	if e := w.spare(); e > 0 {
		k = l.op("Slice", []int64{w.filters / b, -1, wide}, []string{k, l.ints(0), l.ints(-e), l.ints(1)})
	}
	return l.reshape(k, w.filters, 1, -1, w.out[1])
}

func roundUp(n, multiple int64) int64 { return (n + multiple - 1) / multiple * multiple }
