package tape

import (
	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// serves reports whether the blocked convolution takes this geometry: whole
// blocks of filters, and of channels unless these are fewer than a block, which
// are read unblocked.
func (l *blocked) serves(w Window) bool {
	if w.depthwise() {
		return w.Channels%l.size == 0
	}
	return w.Group == 1 && w.Filters%l.size == 0 && (w.Channels%l.size == 0 || w.Channels < l.size)
}

func (l *blocked) conv(n *onnxpb.NodeProto) bool {
	x, w, y := n.Input[0], n.Input[1], n.Output[0]
	if l.fixed[w] || len(l.Shape[x]) != 4 {
		return false // ORT itself moves a convolution with constant weights
	}
	win, err := WindowOf(n, l.Shape[x], l.Shape[y], l.Shape[w][2:])
	if err != nil || !l.serves(win) {
		return false
	}
	in := []string{"", l.filter(w)}
	if win.depthwise() || win.Channels >= l.size {
		in[0] = l.asBlocked(x)
	} else {
		in[0] = l.asPlain(x)
	}
	for _, bias := range n.Input[2:] {
		in = append(in, l.asPlain(bias))
	}
	l.emit(nchwc+".Conv", y, in, win.positive().Attrs()...)
	return true
}

// filter lays weights [o, i, kh, kw] out for the kernel. With b channels a block that is
//
//	[o/b, i/b, kh, kw, b of i, b of o]
//	[o/b, i, kh, kw, b of o]              for fewer channels than a block; depthwise is this with i = 1
//
// where a name of an axis stands for its blocks, in both for all of its numbers.
func (l *blocked) filter(w string) string {
	s := l.Shape[w]
	o, i, k, b := s[0], s[1], s[2]*s[3], l.size
	if k*i == 1 {
		return w // [o, 1, 1, 1] lies as [o/b, 1, 1, 1, b of o]
	}
	// blocks of o first: [o/b, i*k, b of o]
	r := l.Op(nchwc+".ReorderInput", []int64{1, o, i * k, 1}, []string{l.Reshape(w, 1, o, i*k, 1)})
	if k > 1 && i >= b {
		r = l.Transpose(l.Reshape(r, o/b, i/b, b, k, b), 0, 1, 3, 2, 4)
	}
	return l.Reshape(r, s...)
}

// filterOfGradient is the filter of the convolution that carries dy back to dx:
// rotated, and from o to i:
//
//	[i/b, o/b, kh, kw, b of o, b of i]
func (l *blocked) filterOfGradient(w string, win Window) string {
	s := l.Shape[w]
	o, i, k, b := s[0], s[1], s[2]*s[3], l.size
	if win.depthwise() {
		return l.filter(l.flip180(w))
	}
	// blocks of i first: [o, i/b, k, b of i]; then whole blocks move. Rotated
	// there, where b numbers lie together.
	r := l.Op(nchwc+".ReorderInput", []int64{o, i, k, 1}, []string{l.Reshape(w, o, i, k, 1)})
	r = l.Reshape(r, o/b, b, i/b, k, b)
	if k > 1 {
		r = l.Op("Gather", []int64{o / b, b, i / b, k, b}, []string{r, l.Ints(downTo0(k)...)}, graph.Int("axis", 3))
	}
	return l.Reshape(l.Transpose(r, 2, 0, 3, 1, 4), i, o, s[2], s[3])
}

// downTo0 lists n-1, n-2, … 0.
func downTo0(n int64) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = n - 1 - int64(i)
	}
	return list
}

// gradInput is a convolution of dy with the rotated filter. A strided
// pointwise one works at dy's size and puts zeros into its result; a strided
// depthwise one puts them into dy; other strided ones are left to ConvTranspose, which does not
// multiply by the zeros between.
func (l *blocked) gradInput(n *onnxpb.NodeProto, win Window) bool {
	dy, w, dx := n.Input[0], n.Input[1], n.Output[0]
	conv, ok := win.transposed()
	if !ok || !l.serves(win) || win.Channels < l.size || !win.unit() && !win.depthwise() && !win.pointwise() {
		return false
	}
	l.asPlain(w)
	if win.pointwise() && !win.unit() {
		s := l.Shape[dy]
		small := l.Op(nchwc+".Conv", []int64{s[0], win.Channels, s[2], s[3]},
			[]string{l.asBlocked(dy), l.filterOfGradient(w, win)}, graph.Ints("kernel_shape", 1, 1),
			graph.Int("group", win.Group))
		l.block[dx] = l.zeroStuffBlocked(small, win, conv.Pads[2], conv.Pads[3]) // above and left none were padded
		return true
	}
	from := l.asBlocked(dy)
	if !win.unit() {
		from = l.zeroStuffBlocked(from, win, min(conv.Pads[2], 0), min(conv.Pads[3], 0))
	}
	l.emit(nchwc+".Conv", dx, []string{from, l.filterOfGradient(w, win)}, conv.positive().Attrs()...)
	return true
}

// zeroStuffBlocked is zeroStuff for a blocked tensor; below and right add to its lower and right borders or, negative,
// take from them.
func (l *blocked) zeroStuffBlocked(x string, w Window, below, right int64) string {
	s, b := l.Shape[x], l.size
	x = l.Reshape(x, -1, s[2], 1, s[3], b)
	x = l.Pad(x, 0, 0, 0, 0, 0, 0, 0, w.Strides[0]-1, 0, (w.Strides[1]-1)*b)
	h, wide := s[2]*w.Strides[0], s[3]*w.Strides[1]
	if below != 0 || right != 0 {
		x = l.Pad(l.Reshape(x, -1, h, wide*b), 0, 0, 0, 0, below, right*b)
	}
	return l.Reshape(x, -1, s[1], h+below, wide+right)
}

// gradFilter is a sum of convolutions too, one an image: its channels seen by a
// kernel that is dy, whose dilation is the stride. The kernel of an image stays
// in the processor's cache while the channels pass; and neither images nor dy
// have to be copied side by side.
func (l *blocked) gradFilter(n *onnxpb.NodeProto, w Window) bool {
	x, dy, dw := n.Input[0], n.Input[1], n.Output[0]
	if !l.serves(w) || w.pointwise() {
		return false
	}
	kernel := []int64{w.Filters, 1, w.Out[0], w.Out[1]}
	attrs := []graph.Attr{graph.Ints("dilations", w.Strides...), graph.Ints("strides", w.Dilations...)}
	if w.depthwise() {
		pads := w.positive().Pads
		sum := []int64{1, w.Channels, w.Kernel[0] + w.tooMany(0), w.Kernel[1] + w.tooMany(1)}
		r := l.sumOverImages(l.asBlocked(x), l.asBlocked(dy), []int64{1, w.Channels, w.In[0], w.In[1]}, kernel, sum,
			append(attrs, graph.Ints("pads", pads...), graph.Int("group", w.Channels))...)
		r = l.Op(nchwc+".ReorderOutput", sum, []string{r}, graph.Int("channels", w.Channels))
		for i := range w.Kernel {
			if w.tooMany(i) > 0 {
				r = l.Slice(r, int64(2+i), 0, w.Kernel[i], 1)
			}
		}
		l.OpTo("Reshape", dw, nil, []string{r, l.Ints(l.Shape[dw]...)})
	} else {
		images := l.padded(l.asPlain(x), w) // with borders in place three places of a filter are computed at once
		sum := []int64{w.Channels, w.Filters, w.Kernel[0], w.Kernel[1]}
		r := l.sumOverImages(images, l.asBlocked(dy), []int64{w.Channels, 1, l.Shape[images][2], l.Shape[images][3]},
			kernel, sum, attrs...)
		r = l.Op(nchwc+".ReorderOutput", sum, []string{r}, graph.Int("channels", w.Filters))
		l.OpTo("Transpose", dw, nil, []string{r}, graph.Ints("perm", 1, 0, 2, 3))
	}
	l.plain[dw] = true
	return true
}

// tooMany is how many rows or columns gradFilter computes beyond the kernel's
// where the convolution did not read the end of its input.
func (w Window) tooMany(axis int) int64 { return max(-w.Pads[2+axis], 0) / w.Dilations[axis] }

// sumOverImages adds up convolutions of each image of a batch, shaped in, with a
// kernel of its own: a Scan whose state is the sum.
func (l *blocked) sumOverImages(images, kernels string, in, kernel, sum []int64, attrs ...graph.Attr) string {
	vector := func(name string, v []int64) *onnxpb.TensorProto {
		return graph.IntTensor(name, []int64{int64(len(v))}, v)
	}
	node := func(kind, domain string, inputs []string, out string, attrs ...graph.Attr) *onnxpb.NodeProto {
		return &onnxpb.NodeProto{OpType: proto.String(kind), Domain: proto.String(domain), Name: proto.String(out),
			Input: inputs, Output: []string{out}, Attribute: attrs}
	}
	local := map[string]string{} // a name in the body must not be one outside
	for _, what := range []string{"x", "dy", "image", "filter", "in", "kernel", "before", "after"} {
		local[what] = l.Name("scan." + what)
	}
	float := func(what string, shape []int64) *onnxpb.ValueInfoProto {
		return graph.ValueInfo(local[what], graph.Float32, shape)
	}
	body := &onnxpb.GraphProto{
		Name:        proto.String("image"),
		Initializer: []*onnxpb.TensorProto{vector(local["in"], in), vector(local["kernel"], kernel)},
		Input: []*onnxpb.ValueInfoProto{float("before", sum), float("x", l.Shape[images][1:]),
			float("dy", l.Shape[kernels][1:])},
		Node: []*onnxpb.NodeProto{
			node("Reshape", "", []string{local["x"], local["in"]}, local["image"]),
			node("Reshape", "", []string{local["dy"], local["kernel"]}, local["filter"]),
			node("Conv", nchwc, []string{local["image"], local["filter"], "", local["before"]}, local["after"],
				append(attrs, graph.Ints("kernel_shape", kernel[2:]...))...),
		},
		Output: []*onnxpb.ValueInfoProto{float("after", sum)},
	}
	return l.Op("Scan", sum, []string{l.zeros(sum, kernels), images, kernels}, graph.Int("num_scan_inputs", 2),
		graph.Graph("body", body))
}

// zeros depend on the run, or ORT would compute them once and keep them: as
// many bytes as all filters have.
func (l *blocked) zeros(shape []int64, run string) string {
	if l.zero == "" {
		none := l.Op("Mul", []int64{1}, []string{l.Op("Size", []int64{}, []string{run}), l.Ints(0)})
		l.zero = l.Op("Cast", []int64{1}, []string{none}, graph.Int("to", int64(graph.Float32)))
	}
	return l.Op("Expand", shape, []string{l.zero, l.Ints(shape...)})
}
