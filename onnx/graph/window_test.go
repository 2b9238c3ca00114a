package graph_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

func windowOf(kernel []int64, attrs ...graph.Attr) (graph.Window, error) {
	return graph.WindowOf(&onnxpb.NodeProto{Attribute: attrs}, kernel)
}

// TestWindowsAsGiven: ONNX's defaults where an attribute is left out; the size of the filter unless it is said.
func TestWindowsAsGiven(t *testing.T) {
	w, err := windowOf([]int64{3, 2})
	if want := (graph.Window{Kernel: []int64{3, 2}, Strides: []int64{1, 1}, Dilations: []int64{1, 1},
		Pads: []int64{0, 0, 0, 0}, Group: 1, Auto: "NOTSET"}); err != nil || !reflect.DeepEqual(w, want) {
		t.Errorf("%+v, %v; want %+v", w, err, want)
	}
	attrs := []graph.Attr{graph.Ints("kernel_shape", 5), graph.Ints("strides", 2), graph.Ints("dilations", 3),
		graph.Ints("pads", 4, -1), graph.Int("group", 6), graph.Str("auto_pad", "SAME_LOWER")}
	w, err = windowOf([]int64{3, 2}, attrs...)
	if want := (graph.Window{Kernel: []int64{5}, Strides: []int64{2}, Dilations: []int64{3},
		Pads: []int64{4, -1}, Group: 6, Auto: "SAME_LOWER"}); err != nil || !reflect.DeepEqual(w, want) {
		t.Errorf("%+v, %v; want %+v", w, err, want)
	}
	if back, err := windowOf(nil, w.Attrs()...); err != nil || back.Auto != "NOTSET" ||
		!reflect.DeepEqual(back.Attrs(), w.Attrs()) || !slices.Equal(back.Pads, w.Pads) || back.Group != 6 {
		t.Errorf("from its own attributes: %+v, %v", back, err)
	}
}

// TestWindowsWithinReason: a number for each axis, none below one or above a million; paddings may be negative.
func TestWindowsWithinReason(t *testing.T) {
	const most = 1<<20 - 1
	for _, c := range []struct {
		attr graph.Attr
		ok   bool
	}{
		{graph.Ints("kernel_shape"), false}, {graph.Ints("kernel_shape", 1, most), true},
		{graph.Ints("kernel_shape", 0, 1), false}, {graph.Ints("kernel_shape", 1, most+1), false},
		{graph.Ints("strides", 1), false}, {graph.Ints("strides", 1, 1, 1), false}, {graph.Ints("strides", most, 1), true},
		{graph.Ints("strides", 1, 0), false}, {graph.Ints("strides", 1, -1), false},
		{graph.Ints("strides", most+1, 1), false},
		{graph.Ints("dilations", 1), false}, {graph.Ints("dilations", 1, 1, 1), false},
		{graph.Ints("dilations", 1, most), true}, {graph.Ints("dilations", 1, most+1), false},
		{graph.Ints("dilations", 0, 1), false},
		{graph.Ints("pads", 1, 1), false}, {graph.Ints("pads", 1, 1, 1, 1, 1), false},
		{graph.Ints("pads", -most, most, -most, most), true}, {graph.Ints("pads", 0, most+1, 0, 0), false},
		{graph.Ints("pads", 0, 0, 0, -most-1), false},
		{graph.Int("group", 0), false}, {graph.Int("group", -1), false}, {graph.Int("group", 2), true},
	} {
		w, err := windowOf([]int64{3, 2}, c.attr)
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "are no window") {
			t.Errorf("%v: %+v, %v", c.attr, w, err)
		}
	}
	for name, ok := range map[string]bool{"NOTSET": true, "VALID": true, "SAME_UPPER": true, "SAME_LOWER": true,
		"SAME": false, "": false} {
		if _, err := windowOf([]int64{3}, graph.Str("auto_pad", name)); (err == nil) != ok ||
			err != nil && !strings.Contains(err.Error(), "auto_pad") {
			t.Errorf("auto_pad %q: %v", name, err)
		}
	}
}

// everyWindow calls do with small windows of one axis, of every padding and rounding.
func everyWindow(t *testing.T, do func(w graph.Window, ceil bool, size int64)) {
	for _, auto := range []string{"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"} {
		for code := range int64(3 * 3 * 2 * 4 * 4 * 2) {
			digit := func(base int64) int64 { d := code % base; code /= base; return d }
			kernel, stride, dilation := 1+digit(3), 1+digit(3), 1+digit(2)
			begin, end, ceil := digit(4)-1, digit(4)-1, digit(2)
			w, err := windowOf(nil, graph.Ints("kernel_shape", kernel), graph.Ints("strides", stride),
				graph.Ints("dilations", dilation), graph.Ints("pads", begin, end), graph.Int("ceil_mode", ceil),
				graph.Str("auto_pad", auto))
			if err != nil {
				t.Fatal(err)
			}
			for size := range int64(9) {
				do(w, ceil != 0, size)
			}
		}
	}
}

// TestSizesBehindWindows: as many outputs as there are places, counted one by one, by ONNX's MaxPool and Conv.
func TestSizesBehindWindows(t *testing.T) {
	everyWindow(t, func(w graph.Window, ceil bool, size int64) {
		begin, end, stride := w.Pads[0], w.Pads[1], w.Strides[0]
		if w.Auto == "VALID" {
			begin, end = 0, 0
		}
		want, last := int64(0), (w.Kernel[0]-1)*w.Dilations[0] // the last pixel that a window at 0 sees
		at := -begin
		for ; at+last < size+end; at += stride {
			want++
		}
		if ceil && want > 0 && at-stride+last < size+end-1 && at < size { // one more, which ends behind the padding
			want++
		}
		if strings.HasPrefix(w.Auto, "SAME") {
			for want = 0; want*stride < size; want++ {
			}
		} else if want == 0 {
			want = -1
		}
		if got := w.Out(0, size); got != want {
			t.Errorf("%+v, ceil %v, of %d: %d outputs, want %d", w, ceil, size, got, want)
		}
		if got := w.Out(0, -1); got != -1 {
			t.Errorf("%+v of an unknown size: %d", w, got)
		}
	})
}

// TestPaddingSpeltOut: with it the same windows cover the input and its padding to the last pixel.
func TestPaddingSpeltOut(t *testing.T) {
	everyWindow(t, func(w graph.Window, _ bool, size int64) {
		out := w.Out(0, size)
		if out < 1 {
			return
		}
		before := slices.Clone(w.Pads)
		plain := w.Between([]int64{size}, []int64{out})
		begin, end := plain.Pads[0], plain.Pads[1]
		if covered := (out-1)*w.Strides[0] + (w.Kernel[0]-1)*w.Dilations[0] + 1; covered != size+begin+end ||
			plain.Reach(0, out) != covered {
			t.Errorf("%+v of %d: padding %v, but %d outputs see %d pixels", w, size, plain.Pads, out, covered)
		}
		want := map[string]int64{"NOTSET": w.Pads[0], "VALID": 0, "SAME_UPPER": max(begin+end, 0) / 2,
			"SAME_LOWER": (max(begin+end, 0) + 1) / 2}[w.Auto]
		if begin != want || plain.Auto != "NOTSET" || plain.Out(0, size) != out || !slices.Equal(w.Pads, before) {
			t.Errorf("%+v of %d is spelt out as %+v, with %d outputs; want %d before", w, size, plain, plain.Out(0, size), want)
		}
	})
}
