package gradient_test

import (
	"maps"
	"math"

	"finetune/onnx/graph"
)

// resize is one of a map [2, 2, 4, 5] to sizes, or by scales where these are no whole numbers.
func resize(height, width float32, attrs ...any) func(m *maker) string {
	return func(m *maker) string {
		x := m.p("x", 2, 2, 4, 5)
		whole := math.Trunc(float64(height)) == float64(height)
		in := []any{x, "", m.Init("", []int64{4}, []float32{1, 1, height, width})}
		if whole {
			in = []any{x, "", "", m.ints(2, 2, int64(height), int64(width))}
		}
		return m.op("Resize", append(in, attrs...)...)
	}
}

var (
	linear  = graph.Str("mode", "linear")
	cubic   = graph.Str("mode", "cubic")
	corners = graph.Str("coordinate_transformation_mode", "align_corners")

	symmetric = graph.Str("coordinate_transformation_mode", "half_pixel_symmetric")
	pytorch   = graph.Str("coordinate_transformation_mode", "pytorch_half_pixel")
)

// arrangements are how networks of tokens take values, put them elsewhere and repeat them.
var arrangements = map[string]func(m *maker) string{
	"gather, some places twice": func(m *maker) string { return m.op("Gather", m.p("x", 4, 3), m.ints(2, -1, 2, 0, 2)) },
	"powers": func(m *maker) string {
		return m.op("Pow", m.within("x", .5, 2, 4, 3), m.Init("", []int64{3}, []float32{2.5, -1, 0}))
	},
	"gather of a batch":         func(m *maker) string { return rows("Gather", m.ints(3, 1, 3), i("axis", -1))(m) },
	"gather of rows of a batch": func(m *maker) string { return rows("Gather", m.ints(2, 0), i("axis", 1))(m) },
	"gather of one place": func(m *maker) string {
		return rows("Gather", m.Ints("", nil, []int64{1}), i("axis", 1))(m)
	},
	"gather of a table": func(m *maker) string {
		return m.op("Gather", m.p("x", 5, 2), m.Ints("", []int64{2, 3}, []int64{0, 4, 1, 1, 4, 4}))
	},
	"gather nd": func(m *maker) string {
		return m.op("GatherND", m.p("x", 5, 2), m.Ints("", []int64{4, 1}, []int64{3, 1, -1, 1}))
	},
	"expand": func(m *maker) string { return m.op("Expand", m.p("x", 3, 1, 2), m.ints(2, 3, 4, 1)) },
	"expand to a batch": func(m *maker) string {
		x := m.batch("rows", 3, 4)
		size := m.op("Concat", m.op("Gather", m.op("Shape", x), m.ints(0)), m.ints(1, 4), i("axis", 0))
		return m.op("Concat", x, m.op("Expand", m.p("token", 1, 1, 4), size), i("axis", 1))
	},
	"tile":            func(m *maker) string { return m.op("Tile", m.p("x", 2, 1, 3), m.ints(1, 4, 2)) },
	"tile of a batch": func(m *maker) string { return rows("Tile", m.ints(1, 2, 1))(m) },
	"tile to a batch": func(m *maker) string {
		x := m.batch("rows", 3, 4)
		size := m.op("Concat", m.op("Gather", m.op("Shape", x), m.ints(0)), m.ints(1, 1), i("axis", 0))
		return m.op("Add", x, m.op("Tile", m.p("table", 1, 3, 4), size))
	},
	"cast to what it is": rows("Cast", i("to", int64(graph.Float32))),
	"where": func(m *maker) string {
		x, y := m.p("x", 3, 4), m.p("y", 4)
		return m.op("Where", m.op("Greater", m.fixed("c", 3, 4), m.floats(0)), x, y)
	},
	"where a softmax is no number": func(m *maker) string {
		p := rows("Softmax")(m)
		return m.op("Where", m.op("IsNaN", p), m.floats(0), p)
	},
	"slice of every second": func(m *maker) string {
		return rows("Slice", m.ints(0, 1), m.ints(math.MaxInt64, math.MaxInt64), m.ints(1, 2), m.ints(2, 2))(m)
	},
	"slice of every third, from behind": func(m *maker) string {
		return m.op("Slice", m.p("x", 2, 8), m.ints(-1), m.ints(math.MinInt64), m.ints(1), m.ints(-3))
	},
	"slice backwards": func(m *maker) string { return rows("Slice", m.ints(2), m.ints(0), m.ints(2), m.ints(-1))(m) },
	"slice of steps larger than all": func(m *maker) string {
		return rows("Slice", m.ints(1), m.ints(4), m.ints(2), m.ints(9))(m)
	},
	"matmul, one stack repeated": func(m *maker) string {
		return m.op("MatMul", m.p("x", 2, 3, 2, 4), m.p("w", 1, 3, 4, 2))
	},
	"matmul, a matrix before a stack": func(m *maker) string {
		return m.op("MatMul", m.p("w", 2, 3), rows("Identity")(m))
	},
	"largest of rows":      func(m *maker) string { return rows("ReduceMax", m.ints(1))(m) },
	"largest of all":       rows("ReduceMax", i("keepdims", 0)),
	"smallest of the last": func(m *maker) string { return rows("ReduceMin", m.ints(-1), i("keepdims", 0))(m) },
	"resize, nearest":      resize(8, 10),
	"resize, nearest, asymmetric": resize(6, 5, graph.Str("coordinate_transformation_mode", "asymmetric"),
		graph.Str("nearest_mode", "floor")),
	"resize, linear":                    resize(7, 3, linear),
	"resize, linear, corners":           resize(7, 3, linear, corners),
	"resize, linear, by scales":         resize(2.3, 1.5, linear),
	"resize, linear, symmetric":         resize(2.3, 1.5, linear, symmetric),
	"resize, cubic":                     resize(6, 9, cubic),
	"resize, cubic, smaller":            resize(3, 2, cubic, graph.Float("cubic_coeff_a", -.5)),
	"resize, cubic, outside excluded":   resize(6, 9, cubic, i("exclude_outside", 1)),
	"resize, cubic, to the same":        resize(4, 5, cubic),
	"resize, linear, as PyTorch has it": resize(1, 8, linear, pytorch),
}

func init() { maps.Copy(chains, arrangements) }
