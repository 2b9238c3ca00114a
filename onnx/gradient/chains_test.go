package gradient_test

import (
	"math"

	"finetune/onnx/graph"
)

// pixels are images of 16 channels, small enough for central differences.
func (m *maker) pixels() string { return m.images(16, 4, 5) }

// layer is a convolution of 16 channels to 16.
func (m *maker) layer(x, w string) string {
	return m.conv(x, m.within(w, -.3, .3, 16, 16, 3, 3), p1)
}

// after is a convolution, then an operator.
func after(kind string, more ...any) func(m *maker) string {
	return func(m *maker) string {
		in := []any{m.layer(m.pixels(), "w")}
		for _, v := range more {
			if f, ok := v.(float32); ok {
				v = m.floats(f)
			}
			in = append(in, v)
		}
		return m.op(kind, in...)
	}
}

// rows is an operator on a row a picture.
func rows(kind string, more ...any) func(m *maker) string {
	return func(m *maker) string {
		return m.op(kind, append([]any{m.op("Mul", m.batch("rows", 3, 4), m.p("s", 3, 4))}, more...)...)
	}
}

// contribGelu is the chain of ONNX Runtime's Gelu, which is the exact form.
const contribGelu = "gelu of com.microsoft"

// pooled is a maximum whose node has its second output, under a name or none.
func pooled(m *maker, at string) string {
	m.NodeN("MaxPool", []string{m.p("x", 1, 2, 4, 5)}, []string{"largest", at}, ints("kernel_shape", 2, 2),
		ints("strides", 2, 1))
	if at != "" {
		m.Output(at, graph.Int64, 1, 2, 2, 4)
	}
	return "largest"
}

// chains are what the reference of PyTorch has not: operators beside each other in the blocked layout, defaults of
// attributes, batches that only the run knows.
var chains = map[string]func(m *maker) string{
	contribGelu:                 func(m *maker) string { return m.op("com.microsoft.Gelu", m.p("x", 3, 4)) },
	"conv, abs":                 after("Abs"),
	"conv, clip":                after("Clip", float32(-.7), float32(.8)),
	"conv, clip from below":     after("Clip", float32(-.2)),
	"conv, clip from above":     after("Clip", "", float32(.2)),
	"conv, elu":                 after("Elu"),
	"conv, exp":                 after("Exp"),
	"conv, hard sigmoid":        after("HardSigmoid"),
	"conv, steep hard sigmoid":  after("HardSigmoid", graph.Float("alpha", 1.5), graph.Float("beta", .3)),
	"conv, hard swish":          after("HardSwish"),
	"conv, identity":            after("Identity"),
	"conv, leaky relu":          after("LeakyRelu"),
	"conv, leaky relu, steeper": after("LeakyRelu", graph.Float("alpha", .4)),
	"conv, neg":                 after("Neg"),
	"conv, relu":                after("Relu"),
	"conv, sigmoid":             after("Sigmoid"),
	"conv, softplus":            after("Softplus"),
	"conv, tanh":                after("Tanh"),
	"conv, exp, sqrt, log": func(m *maker) string {
		return m.op("Log", m.op("Sqrt", m.op("Exp", m.layer(m.pixels(), "w"))))
	},
	"conv, relu, relu":    func(m *maker) string { return m.op("Relu", m.op("Relu", m.layer(m.pixels(), "w"))) },
	"conv, relu, sigmoid": func(m *maker) string { return m.op("Sigmoid", m.op("Relu", m.layer(m.pixels(), "w"))) },
	"conv, sigmoid, relu": func(m *maker) string { return m.op("Relu", m.op("Sigmoid", m.layer(m.pixels(), "w"))) },
	"conv, neg, relu":     func(m *maker) string { return m.op("Relu", m.op("Neg", m.layer(m.pixels(), "w"))) },
	"conv, and its relu": func(m *maker) string {
		y := m.layer(m.pixels(), "w")
		return m.op("Add", m.op("Relu", y), y)
	},
	"conv and conv": func(m *maker) string {
		x := m.pixels()
		return m.op("Add", m.layer(x, "w"), m.layer(x, "v"))
	},
	"conv and itself": func(m *maker) string {
		y := m.layer(m.pixels(), "w")
		return m.op("Add", y, y)
	},
	"conv and conv, relu": func(m *maker) string {
		x := m.pixels()
		return m.op("Relu", m.op("Add", m.layer(x, "w"), m.layer(x, "v")))
	},
	"relu of conv, and conv": func(m *maker) string {
		x := m.pixels()
		return m.op("Add", m.op("Relu", m.layer(x, "w")), m.layer(x, "v"))
	},
	"conv, and relu of conv": func(m *maker) string {
		x := m.pixels()
		y := m.layer(x, "w")
		return m.op("Add", y, m.op("Relu", m.layer(x, "v")))
	},
	"relu of conv, and relu of conv": func(m *maker) string {
		x := m.pixels()
		return m.op("Add", m.op("Relu", m.layer(x, "w")), m.op("Relu", m.layer(x, "v")))
	},
	"three convs": func(m *maker) string {
		x := m.pixels()
		return m.op("Relu", m.op("Add", m.op("Add", m.layer(x, "w"), m.layer(x, "v")), m.layer(x, "u")))
	},
	"a conv of a sum, and the sum": func(m *maker) string {
		x := m.pixels()
		y := m.op("Add", m.layer(x, "w"), m.layer(x, "v"))
		return m.op("Add", m.layer(y, "u"), y)
	},
	"bottleneck": func(m *maker) string {
		x := m.op("Relu", m.layer(m.pixels(), "w"))
		y := m.op("Relu", m.layer(x, "v"))
		return m.op("Relu", m.op("Add", m.op("Conv", y, m.within("u", -.3, .3, 16, 16, 1, 1), m.p("b", 16)), x))
	},
	"conv less conv": func(m *maker) string {
		x := m.pixels()
		return m.op("Sub", m.layer(x, "w"), m.layer(x, "v"))
	},
	"conv by conv": func(m *maker) string {
		x := m.pixels()
		return m.op("Mul", m.layer(x, "w"), m.layer(x, "v"))
	},
	"conv over exp of conv": func(m *maker) string {
		x := m.pixels()
		return m.op("Div", m.layer(x, "w"), m.op("Exp", m.layer(x, "v")))
	},
	"conv and pixels": func(m *maker) string { x := m.pixels(); return m.op("Add", m.layer(x, "w"), x) },
	"conv less a number": func(m *maker) string {
		return m.op("Sub", m.layer(m.pixels(), "w"), m.p("number", 1))
	},
	"a number less conv": func(m *maker) string { return m.op("Sub", m.p("number", 1), m.layer(m.pixels(), "w")) },
	"conv over a number": func(m *maker) string {
		return m.op("Div", m.layer(m.pixels(), "w"),
			m.within("number", .5, 1, 1, 1))
	},
	"conv by channels": func(m *maker) string {
		return m.op("Mul", m.layer(m.pixels(), "w"),
			m.p("channel", 16, 1, 1))
	},
	"channels of a picture": func(m *maker) string {
		return m.op("Mul", m.layer(m.pixels(), "w"),
			m.batch("channel", 16, 1, 1))
	},
	"conv by rows": func(m *maker) string { return m.op("Mul", m.layer(m.pixels(), "w"), m.p("row", 4, 1)) },
	"conv, max pool": func(m *maker) string {
		return m.op("MaxPool", m.layer(m.pixels(), "w"), ints("kernel_shape", 2, 2), ints("strides", 2, 2))
	},
	"max pool that says where": func(m *maker) string { return pooled(m, "at") },
	"max pool, unasked where":  func(m *maker) string { return pooled(m, "") },
	"conv, average pool, same": func(m *maker) string {
		return m.op("AveragePool", m.layer(m.pixels(), "w"), ints("kernel_shape", 2, 3), ints("strides", 2, 1),
			graph.Str("auto_pad", "SAME_LOWER"))
	},
	"average pool of few channels, padded": func(m *maker) string {
		return m.op("AveragePool", m.images(3, 5, 4), ints("kernel_shape", 3, 2), ints("strides", 2, 1),
			ints("pads", 1, 0, 1, 1))
	},
	"average pool, ceil": func(m *maker) string {
		return m.op("AveragePool", m.images(3, 5, 4), ints("kernel_shape", 2, 3), ints("strides", 2, 2), i("ceil_mode", 1))
	},
	"conv, global max":     after("GlobalMaxPool"),
	"conv, global average": after("GlobalAveragePool"),
	"classifier": func(m *maker) string {
		x := m.op("Flatten", m.op("GlobalAveragePool", m.layer(m.pixels(), "w")))
		return m.op("Gemm", x, m.p("last", 16, 3), m.p("b", 3))
	},
	"squeeze and excite": func(m *maker) string {
		x := m.layer(m.pixels(), "w")
		small := m.op("Relu", m.op("Conv", m.op("GlobalAveragePool", x), m.p("squeeze", 4, 16, 1, 1), m.p("b", 4)))
		return m.op("Mul", x, m.op("Sigmoid", m.conv(small, m.p("excite", 16, 4, 1, 1))))
	},
	"conv to two": func(m *maker) string {
		x := m.layer(m.pixels(), "w")
		return m.op("Concat", m.layer(x, "v"), x, m.op("MaxPool", x, ints("kernel_shape", 1, 1)), i("axis", -3))
	},
	"batch norm of a sum": func(m *maker) string {
		x := m.pixels()
		return m.norm(m.op("Add", m.layer(x, "w"), x))
	},
	"frozen batch norm of a sum": func(m *maker) string {
		x := m.pixels()
		return m.norm(m.op("Add", m.layer(x, "w"), x))
	},
	"batch norm of what two read": func(m *maker) string {
		y := m.layer(m.pixels(), "w")
		return m.op("Add",
			m.norm(y), y)
	},
	"frozen batch norm of what two read": func(m *maker) string {
		y := m.layer(m.pixels(), "w")
		return m.op("Add", y,
			m.norm(y))
	},
	"frozen beginning": func(m *maker) string {
		x := m.conv(m.batch("image", 3, 4, 5), m.fixed("k", 16, 3, 3, 3), p1)
		mean, variance := m.Init("m", []int64{16}, seeded(m.name, "m", 16, -1, 1)),
			m.Init("v", []int64{16}, seeded(m.name, "v", 16, .5, 1.5))
		return m.layer(m.op("Relu", m.op("BatchNormalization", x, m.fixed("ga", 16), m.fixed("be", 16), mean, variance)), "w")
	},
	"images of numbers": func(m *maker) string { return m.norm(m.op("Mul", m.batch("rows", 16), m.p("s", 16))) },

	"softmax of the last":         rows("Softmax"),
	"softmax of the middle":       rows("Softmax", i("axis", 1)),
	"log softmax of the last":     rows("LogSoftmax"),
	"log softmax of the middle":   rows("LogSoftmax", i("axis", -2)),
	"transpose of all":            rows("Transpose"),
	"mean of all":                 rows("ReduceMean", i("keepdims", 0)),
	"mean of all, kept":           rows("ReduceMean"),
	"squeeze of nothing":          rows("Flatten", i("axis", 2)),
	"mean of the batch":           func(m *maker) string { return rows("ReduceMean", m.ints(0))(m) },
	"mean of the batch and a row": func(m *maker) string { return rows("ReduceMean", m.ints(-1, 0), i("keepdims", 0))(m) },
	"sum of rows":                 func(m *maker) string { return rows("ReduceSum", m.ints(-2), i("keepdims", 0))(m) },
	"sum of rows, kept":           func(m *maker) string { return rows("ReduceSum", m.ints(2))(m) },
	"sum of all":                  rows("ReduceSum"),
	"slice without axes": func(m *maker) string {
		return m.op("Slice", m.p("x", 4, 5), m.ints(1, -3), m.ints(-1, 9))
	},
	"slice from before the start": func(m *maker) string { return rows("Slice", m.ints(-9), m.ints(2), m.ints(-1))(m) },
	"slice between Constants": func(m *maker) string {
		limit := func(v int64) string {
			return m.Node("Constant", "", nil, graph.Tensor("value", graph.IntTensor("", []int64{1}, []int64{v})))
		}
		return rows("Slice", limit(1), limit(3), limit(2))(m)
	},
	"slice to the end": func(m *maker) string {
		return rows("Slice", m.ints(2), m.ints(math.MaxInt64), m.ints(2),
			m.ints(1))(m)
	},
	"split of the first axis": func(m *maker) string {
		m.NodeN("Split", []string{m.p("x", 5, 3), m.ints(2, 3)}, []string{"one", "two"})
		return m.op("Exp", "two")
	},
	"split of a batch": func(m *maker) string {
		m.NodeN("Split", []string{m.op("Mul", m.batch("rows", 4), m.p("s", 4)), m.ints(1, 3)}, []string{"one", "two"},
			i("axis", -1))
		return m.op("Exp", "one")
	},
	"pad and cut": func(m *maker) string { return rows("Pad", m.ints(0, 1, -1, 0, 0, 2))(m) },
	"concat along the first axis": func(m *maker) string {
		return m.op("Concat", m.p("x", 2, 3), m.fixed("c", 1, 3), m.p("z", 3, 3), i("axis", 0))
	},
	"clip of a row": rows("Clip"),
	"layer norm of a batch": func(m *maker) string {
		return rows("LayerNormalization", m.within("ga", .5, 1.5, 4), m.p("be", 4), i("axis", 2))(m)
	},
	"layer norm without bias": func(m *maker) string {
		return rows("LayerNormalization", m.within("ga", .5, 1.5, 4), graph.Float("epsilon", .3))(m)
	},
	"gemm, first transposed": func(m *maker) string {
		return m.op("Gemm", m.p("x", 3, 2), m.p("w", 3, 4),
			i("transA", 1))
	},
	"gemm, both transposed": func(m *maker) string {
		return m.op("Gemm", m.p("x", 3, 2), m.p("w", 4, 3), m.p("b", 1, 4), i("transA", 1), i("transB", 1),
			graph.Float("alpha", 1.5))
	},
	"gemm, none transposed": func(m *maker) string {
		return m.op("Gemm", m.p("x", 2, 3), m.p("w", 3, 4), m.p("b", 2, 1), graph.Float("beta", .5))
	},
	"gemm, a number": func(m *maker) string {
		return m.op("Gemm", m.p("x", 2, 3), m.p("w", 3, 4), m.p("b", 1), graph.Float("beta", 3))
	},
	"matmul of fixed rows":  func(m *maker) string { return m.op("MatMul", m.batch("rows", 3, 4), m.p("w", 4, 2)) },
	"matmul by a fixed one": func(m *maker) string { return rows("MatMul", m.fixed("w", 4, 2))(m) },
	"matmul, four axes":     func(m *maker) string { return m.op("MatMul", m.p("x", 2, 3, 2, 4), m.p("w", 2, 3, 4, 2)) },
	"sum over leading axes": func(m *maker) string { return m.op("Add", m.batch("rows", 3, 4), m.p("b", 4)) },
	"sum over inner axes":   func(m *maker) string { return m.op("Add", m.batch("rows", 3, 4), m.p("b", 3, 1)) },
	"quotient of rows":      func(m *maker) string { return m.op("Div", m.p("x", 3, 4), m.within("d", .5, 1, 1, 4)) },
	"difference of rows":    func(m *maker) string { return m.op("Sub", m.batch("rows", 3, 4), m.p("b", 1, 3, 1)) },
	"a parameter of one size": func(m *maker) string {
		return m.op("Mul", m.p("x", 1, 1),
			m.op("Add", m.p("z", 1), m.p("y", 1, 1)))
	},
	"names that are taken": func(m *maker) string {
		x := m.op("Mul", m.batch("rows", 4), m.p("s", 4))
		for _, prefix := range []string{"Mul", "const", "Shape", "Reshape", "Sigmoid"} {
			for k := range 9 {
				x = m.Node("Neg", prefix+"."+string(rune('1'+k)), []string{x})
			}
		}
		return x
	},
}
