package gradient_test

import (
	"math"

	"finetune/onnx/graph"
)

// maker builds the graph of a case.
type maker struct {
	*graph.Builder
	name   string
	params []string
}

func newMaker(name string) *maker {
	opset := int64(17)
	if name == "gelu" {
		opset = 20 // where it came
	}
	return &maker{Builder: graph.NewBuilder(name, opset), name: name}
}

func count(shape []int64) int {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return int(n)
}

// p is a trainable parameter of values from [-1, 1).
func (m *maker) p(name string, shape ...int64) string { return m.within(name, -1, 1, shape...) }

func (m *maker) within(name string, lo, hi float64, shape ...int64) string {
	m.params = append(m.params, name)
	return m.Init(name, shape, seeded(m.name, name, count(shape), lo, hi))
}

func (m *maker) op(kind string, in ...any) string {
	var inputs []string
	var attrs []graph.Attr
	for _, v := range in {
		switch v := v.(type) {
		case string:
			inputs = append(inputs, v)
		case graph.Attr:
			attrs = append(attrs, v)
		}
	}
	return m.Node(kind, "", inputs, attrs...)
}

func (m *maker) x() string { return m.p("x", 2, 16, 7, 6) }
func (m *maker) w() string { return m.p("w", 16, 16, 3, 3) }

func (m *maker) conv(x, w string, attrs ...graph.Attr) string {
	return m.Node("Conv", "", []string{x, w}, attrs...)
}

// norm is BatchNormalization; its parameters are made after those before it, as in the script.
func (m *maker) norm(x string) string {
	ga, be := m.within("ga", .5, 1.5, 16), m.p("be", 16)
	mean := m.Init("m", []int64{16}, seeded(m.name, "m", 16, -1, 1))
	variance := m.Init("v", []int64{16}, seeded(m.name, "v", 16, .5, 1.5))
	return m.op("BatchNormalization", x, ga, be, mean, variance)
}

func (m *maker) ints(v ...int64) string { return m.Ints("", []int64{int64(len(v))}, v) }

var (
	ints = graph.Ints
	i    = graph.Int
	p1   = ints("pads", 1, 1, 1, 1)
)

var cases = map[string]func(m *maker) string{
	"conv": func(m *maker) string { return m.op("Conv", m.x(), m.w(), m.p("b", 16), p1) },
	"conv strided, asymmetric": func(m *maker) string {
		return m.conv(m.x(), m.w(), ints("strides", 2, 2),
			ints("pads", 0, 1, 1, 2))
	},
	"conv strided, rows left over": func(m *maker) string {
		return m.conv(m.p("x", 2, 16, 8, 8), m.w(),
			ints("strides", 3, 2))
	},
	"conv dilated": func(m *maker) string {
		return m.conv(m.x(), m.w(), ints("dilations", 2, 2),
			ints("pads", 2, 2, 1, 2))
	},
	"conv strided and dilated": func(m *maker) string {
		return m.conv(m.p("x", 2, 16, 9, 9), m.w(), ints("strides", 2, 2), ints("dilations", 2, 2), ints("pads", 2, 1, 2, 2))
	},
	"conv grouped": func(m *maker) string { return m.conv(m.x(), m.p("w", 32, 8, 3, 3), i("group", 2), p1) },
	"conv grouped, strided": func(m *maker) string {
		return m.conv(m.x(), m.p("w", 32, 8, 3, 3), i("group", 2), p1, ints("strides", 2, 2))
	},
	"conv pointwise": func(m *maker) string { return m.conv(m.x(), m.p("w", 32, 16, 1, 1)) },
	"conv pointwise, strided": func(m *maker) string {
		return m.conv(m.x(), m.p("w", 32, 16, 1, 1),
			ints("strides", 2, 2))
	},
	"conv from 3 channels": func(m *maker) string {
		return m.conv(m.p("x", 2, 3, 13, 12), m.p("w", 16, 3, 7, 7), ints("strides", 2, 2), ints("pads", 3, 3, 3, 3))
	},
	"conv to 5 channels": func(m *maker) string { return m.conv(m.x(), m.p("w", 5, 16, 3, 3), p1) },
	"conv depthwise":     func(m *maker) string { return m.conv(m.x(), m.p("w", 16, 1, 3, 3), i("group", 16), p1) },
	"conv depthwise, strided, asymmetric": func(m *maker) string {
		return m.conv(m.p("x", 2, 16, 8, 8), m.p("w", 16, 1, 5, 5), i("group", 16), ints("strides", 2, 2),
			ints("pads", 1, 1, 2, 2))
	},
	"conv depthwise, odd": func(m *maker) string {
		return m.conv(m.p("x", 2, 16, 9, 7), m.p("w", 16, 1, 3, 3), i("group", 16), ints("strides", 2, 2), p1)
	},
	"conv depthwise, multiplied": func(m *maker) string {
		return m.conv(m.x(), m.p("w", 32, 1, 3, 3), i("group", 16),
			p1)
	},
	"batch norm frozen after conv": func(m *maker) string { return m.norm(m.conv(m.x(), m.w(), p1)) },
	"batch norm frozen":            func(m *maker) string { return m.norm(m.x()) },
	"batch norm after conv":        func(m *maker) string { return m.norm(m.conv(m.x(), m.w(), p1)) },
	"batch norm":                   func(m *maker) string { return m.norm(m.x()) },
	"batch norm of rows":           func(m *maker) string { return m.norm(m.p("x", 5, 16)) },
	"residual": func(m *maker) string {
		x := m.x()
		return m.op("Relu",
			m.op("Add", m.norm(m.conv(x, m.w(), p1)), x))
	},
	"relu": func(m *maker) string { return m.op("Relu", m.x()) },
	"clip": func(m *maker) string {
		return m.op("Clip", m.within("x", -3, 9, 2, 16, 7, 6), m.Init("lo", nil, []float32{0}),
			m.Init("hi", nil, []float32{6}))
	},
	"leaky relu": func(m *maker) string { return m.op("LeakyRelu", m.x(), graph.Float("alpha", 0.1)) },
	"sigmoid":    func(m *maker) string { return m.op("Sigmoid", m.x()) },
	"tanh":       func(m *maker) string { return m.op("Tanh", m.x()) },
	"swish":      func(m *maker) string { x := m.x(); return m.op("Mul", x, m.op("Sigmoid", x)) },
	"hard sigmoid": func(m *maker) string {
		return m.op("HardSigmoid", m.within("x", -5, 5, 2, 16, 7, 6), graph.Float("alpha", 1.0/6))
	},
	"hard swish": func(m *maker) string { return m.op("HardSwish", m.within("x", -5, 5, 2, 16, 7, 6)) },
	"softplus":   func(m *maker) string { return m.op("Softplus", m.x()) },
	"elu": func(m *maker) string {
		return m.op("Elu", m.within("x", -3, 3, 2, 16, 7, 6), graph.Float("alpha", .5))
	},
	"exp":           func(m *maker) string { return m.op("Exp", m.x()) },
	"log":           func(m *maker) string { return m.op("Log", m.within("x", .5, 2, 3, 4)) },
	"sqrt":          func(m *maker) string { return m.op("Sqrt", m.within("x", .5, 2, 3, 4)) },
	"gelu":          func(m *maker) string { return m.op("Gelu", m.x()) },
	"erf":           func(m *maker) string { return m.op("Erf", m.x()) },
	"abs":           func(m *maker) string { return m.op("Abs", m.x()) },
	"neg":           func(m *maker) string { return m.op("Neg", m.x()) },
	"add":           func(m *maker) string { return m.op("Add", m.x(), m.p("c", 16, 1, 1)) },
	"sub":           func(m *maker) string { return m.op("Sub", m.p("c", 6), m.x()) },
	"mul":           func(m *maker) string { return m.op("Mul", m.x(), m.p("c", 2, 16, 1, 1)) },
	"mul by itself": func(m *maker) string { x := m.x(); return m.op("Mul", x, x) },
	"div":           func(m *maker) string { return m.op("Div", m.x(), m.within("c", .5, 2, 1, 16, 1, 1)) },
	"max pool": func(m *maker) string {
		return m.op("MaxPool", m.x(), ints("kernel_shape", 3, 3), ints("strides", 2, 2), p1)
	},
	"max pool, ceil": func(m *maker) string {
		return m.op("MaxPool", m.x(), ints("kernel_shape", 2, 2), ints("strides", 2, 2), i("ceil_mode", 1))
	},
	"average pool": func(m *maker) string {
		return m.op("AveragePool", m.x(), ints("kernel_shape", 2, 2), ints("strides", 2, 2))
	},
	"average pool, padding counted": func(m *maker) string {
		return m.op("AveragePool", m.x(), ints("kernel_shape", 3, 3), ints("strides", 2, 2), p1, i("count_include_pad", 1))
	},
	"average pool, padding not counted": func(m *maker) string {
		return m.op("AveragePool", m.x(), ints("kernel_shape", 3, 3), ints("strides", 2, 2), p1)
	},
	"global average pool": func(m *maker) string { return m.op("GlobalAveragePool", m.x()) },
	"global max pool":     func(m *maker) string { return m.op("GlobalMaxPool", m.x()) },
	"concat": func(m *maker) string {
		x := m.x()
		return m.op("Concat", x, m.p("z", 2, 8, 7, 6), x,
			i("axis", 1))
	},
	"flatten": func(m *maker) string { return m.op("Flatten", m.x()) },
	"reshape, transpose": func(m *maker) string {
		return m.op("Transpose", m.op("Reshape", m.x(), m.ints(2, 8, 2, -1)), ints("perm", 2, 0, 3, 1))
	},
	"squeeze, unsqueeze": func(m *maker) string {
		return m.op("Unsqueeze", m.op("Squeeze", m.p("x", 3, 1, 4), m.ints(1)), m.ints(0))
	},
	"slice": func(m *maker) string {
		return m.op("Slice", m.x(), m.ints(3, 1), m.ints(math.MaxInt64, -2), m.ints(1, -2))
	},
	"slice, computed limits": func(m *maker) string { // as PyTorch exports x.chunk(2, 1)[0]
		x := m.x()
		half := m.op("Div", m.op("Gather", m.op("Shape", x), m.ints(1)), m.ints(2))
		return m.op("Slice", x, m.ints(0), half, m.ints(1))
	},
	"split": func(m *maker) string {
		m.NodeN("Split", []string{m.x(), m.ints(4, 7, 5)}, []string{"one", "two", "three"}, i("axis", 1))
		return m.op("Concat", "three", "one", i("axis", 1))
	},
	"layer norm": func(m *maker) string {
		x := m.p("x", 2, 5, 16)
		return m.op("LayerNormalization", x, m.within("ga", .5, 1.5, 16), m.p("be", 16), graph.Float("epsilon", 1e-6))
	},
	"pad":         func(m *maker) string { return m.op("Pad", m.x(), m.ints(0, 0, 1, 0, 0, 0, 2, 3)) },
	"reduce mean": func(m *maker) string { return m.op("ReduceMean", m.x(), ints("axes", 2, 3), i("keepdims", 0)) },
	"reduce sum":  func(m *maker) string { return m.op("ReduceSum", m.x(), m.ints(1)) },
	"gemm": func(m *maker) string {
		return m.op("Gemm", m.p("x", 3, 5), m.p("w", 4, 5), m.p("b", 4), i("transB", 1))
	},
	"gemm, transposed": func(m *maker) string {
		return m.op("Gemm", m.p("x", 5, 3), m.p("w", 5, 4), m.p("b", 3, 4), i("transA", 1), graph.Float("alpha", .5),
			graph.Float("beta", 2))
	},
	"matmul, bias": func(m *maker) string {
		return m.op("Add", m.op("MatMul", m.p("x", 3, 5), m.p("w", 5, 4)),
			m.p("b", 4))
	},
	"matmul, stacks":          func(m *maker) string { return m.op("MatMul", m.p("x", 2, 3, 5), m.p("w", 2, 5, 4)) },
	"matmul, stack by matrix": func(m *maker) string { return m.op("MatMul", m.p("x", 2, 3, 5), m.p("w", 5, 4)) },
	"softmax":                 func(m *maker) string { return m.op("Softmax", m.p("x", 3, 5), i("axis", 1)) },
	"log softmax":             func(m *maker) string { return m.op("LogSoftmax", m.p("x", 3, 5), i("axis", 1)) },
}
