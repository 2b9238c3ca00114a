package gradient_test

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/gradient"
	"finetune/onnx/graph"
	"finetune/onnx/plain"
	"finetune/onnx/shape"
)

// nodeTest is one of the ONNX project's node tests, as testdata/reference/nodes.py writes it.
type nodeTest struct {
	Name                   string
	Ops                    []string
	Inputs, Outputs        map[string][]int64
	Declared, Held, Sloped []byte // models
	Slopes                 map[string]nodeSlope
	Unsloped               string
	Value                  float64 // of the objective
}

// nodeSlope is the derivative of a test's loss along a direction of one input, or why there is none.
type nodeSlope struct {
	Along    []float64
	Slope    float64
	Unsteady string
}

// nodeTests reads the tests: all of them, which make test-node wrote, or the sample.
func nodeTests(t *testing.T) []nodeTest {
	t.Helper()
	f, err := os.Open(cmp.Or(os.Getenv("FINETUNE_NODES"), "../../testdata/reference/nodes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []nodeTest
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		var one nodeTest
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatal(err)
		}
		list = append(list, one)
	}
}

// parse reads a packed model.
func parse(t *testing.T, packed []byte) (*graph.Model, error) {
	t.Helper()
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return graph.Parse(data)
}

// ruled are the operators that training differentiates: by a rule, by another form of forward or of package plain.
func ruled() map[string]bool {
	known := map[string]bool{}
	for _, op := range []string{"BatchNormalization", "Dropout", "GlobalMaxPool", "ReduceL2"} {
		known[op] = true
	}
	for op := range gradient.Rules() {
		if op.Domain == "" {
			known[op.Name] = true
		}
	}
	return known
}

// TestNodeShapes: of the ONNX project's node tests, whose outputs say nothing of their shapes, no shape that is
// inferred is wrong; and where all operators have gradients, none is unknown.
func TestNodeShapes(t *testing.T) {
	known, counts, missing := ruled(), map[string]int{}, map[string]int{}
	for _, c := range nodeTests(t) {
		trains := !slices.ContainsFunc(c.Ops, func(op string) bool { return !known[op] })
		for form, packed := range map[string][]byte{"declared": c.Declared, "held": c.Held} {
			m, err := parse(t, packed)
			if err != nil {
				counts[form+" refused"]++
				t.Logf("%s: %v", c.Name, err)
				continue
			}
			inputs := maps.Clone(c.Inputs)
			maps.DeleteFunc(inputs, func(name string, _ []int64) bool { return !slices.Contains(m.InputNames(), name) })
			got, err := shape.Shapes(m, inputs)
			if err != nil {
				t.Errorf("%s, %s: %v", c.Name, form, err)
				continue
			}
			for name, want := range c.Outputs {
				verdict := judged(got, name, want)
				counts[form+" "+verdict]++
				switch {
				case verdict == "wrong" || verdict == "unknown" && trains:
					t.Errorf("%s, %s: %s has shape %v, inferred is %v", c.Name, form, name, want, got[name])
				case verdict != "right":
					missing[form+" "+verdict+" "+strings.Join(c.Ops, ",")]++
				}
			}
		}
	}
	logCounts(t, counts)
	if testing.Verbose() {
		logCounts(t, missing)
	}
}

func logCounts(t *testing.T, counts map[string]int) {
	t.Helper()
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%5d %s", counts[what], what)
	}
}

// judged compares an inferred shape with the true one.
func judged(got map[string][]int64, name string, want []int64) string {
	have, ok := got[name]
	switch {
	case !ok:
		return "unknown"
	case len(have) != len(want):
		return "wrong"
	}
	verdict := "right"
	for i, d := range have {
		switch {
		case d < 0:
			verdict = "open"
		case d != want[i]:
			return "wrong"
		}
	}
	return verdict
}

// nodeLimits are refusals of operators that have a gradient: what a message must say, and so what people are told.
var nodeLimits = regexp.MustCompile("only two-dimensional|only one of them|GatherND.*only those of one axis|" +
	"LayerNormalization.*only the last|only matrices and stacks|computed or name axes|Pow.*is computed|" +
	"Resize.*(crops too|with antialias|keeps the aspect ratio)")

var untrainable = regexp.MustCompile(`(?:its input|limit|scales|exponent) "([^"]+)" ` +
	`(?:cannot be trained|is not a constant|are computed|is computed)`)
var lastPart = regexp.MustCompile("operator .*")
var independent = regexp.MustCompile(`does not depend on parameter "([^"]+)"`)

// TestNodeGradients: of the node tests whose operators have gradients, each derivative is that of ONNX's reference
// evaluator in float64.
func TestNodeGradients(t *testing.T) {
	onnxtest.Start(t)
	known, counts, refused := ruled(), map[string]int{}, map[string]int{}
	for _, c := range nodeTests(t) {
		trains := !slices.ContainsFunc(c.Ops, func(op string) bool { return !known[op] })
		switch {
		case c.Unsloped != "":
			if trains {
				t.Logf("%s: %s", c.Name, c.Unsloped)
				counts["no reference: "+c.Unsloped]++
			}
			continue
		case c.Sloped == nil:
			counts["not of float32"]++
			continue
		case strings.HasPrefix(c.Name, "test_training_dropout"):
			counts["random"]++
			continue
		}
		verdict, err := checkNode(t, c)
		switch {
		case err == nil:
		case strings.Contains(err.Error(), "has no gradient rule"):
			verdict = "no rule"
			if trains {
				t.Errorf("%s: %v", c.Name, err)
			}
		default:
			verdict = "refused"
			if strings.HasSuffix(c.Name, "expanded") || strings.Contains(c.Name, "_expanded_") {
				verdict = "refused, several operators"
				refused[lastPart.FindString(err.Error())]++
				break
			}
			if !nodeLimits.MatchString(err.Error()) {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
		counts[verdict]++
	}
	logCounts(t, counts)
	logCounts(t, refused)
	least := 25 // of the sample
	if os.Getenv("FINETUNE_NODES") != "" {
		least = 390
	}
	if counts["right"] < least {
		t.Errorf("%d gradients were compared, of which %d were to be right", counts["right"], least)
	}
}

// checkNode compares the gradient of a test's loss with the slopes, and says what came of it.
func checkNode(t *testing.T, c nodeTest) (string, error) {
	t.Helper()
	m, err := parse(t, c.Sloped)
	if err != nil {
		return "", err
	}
	if m.Opset() < 13 {
		return "operator set below 13", nil
	}
	if m, err = plain.Model(m); err != nil {
		return "", err
	}
	params := slices.Sorted(maps.Keys(c.Slopes))
	inits := m.Initializers()
	params = slices.DeleteFunc(params, func(name string) bool { return inits[name] == nil || len(inits[name].Dims) == 0 })
	var g *gradient.Graph
	for {
		if len(params) == 0 {
			return "nothing to differentiate", nil
		}
		g, err = gradient.Build(m, "objective", gradient.Options{Trainable: params,
			FrozenStats: func(string) bool { return !strings.Contains(c.Name, "training_mode") }})
		if err == nil {
			break
		}
		if found := untrainable.FindStringSubmatch(err.Error()); found != nil && slices.Contains(params, found[1]) {
			params = slices.DeleteFunc(params, func(name string) bool { return name == found[1] })
			continue
		}
		if found := independent.FindStringSubmatch(err.Error()); found != nil {
			if s := c.Slopes[found[1]]; math.Abs(s.Slope) > 1e-6 {
				t.Errorf("%s: %v; its derivative is %g", c.Name, err, s.Slope)
			}
			params = slices.DeleteFunc(params, func(name string) bool { return name == found[1] })
			continue
		}
		return "", err
	}
	s := newSample(t, m, g)
	s.outputs[0] = "objective"
	for _, k := range g.Masks {
		for i := range s.values[k.Name] {
			s.values[k.Name][i] = 1
		}
	}
	grads, err := runNode(s, g.Model)
	if err != nil {
		own := sample{outputs: []string{"objective"}, values: s.values, shapes: s.shapes}
		if _, err := runNode(own, gradient.WithInputs(m, params)); err != nil {
			return "ONNX Runtime has not the operator", nil
		}
		return "", err
	}
	if got := float64(grads["objective"][0]); math.Abs(got-c.Value) > 1e-3*(1+math.Abs(c.Value)) {
		t.Logf("%s: ONNX Runtime computes %g, the reference evaluator %g", c.Name, got, c.Value)
		return "ONNX Runtime computes something else", nil
	}
	verdict := "right"
	for _, p := range g.Params {
		want := c.Slopes[p.Name]
		if want.Unsteady != "" {
			verdict = "right or no reference"
			t.Logf("%s: %s: %s", c.Name, p.Name, want.Unsteady)
			continue
		}
		got := 0.0
		for i, v := range grads[p.Grad] {
			got += float64(v) * want.Along[i]
		}
		if size := norm(grads[p.Grad]); !(math.Abs(got-want.Slope) <= 1e-3*size+2e-3*math.Abs(want.Slope)+1e-5) {
			t.Errorf("%s (%s): the derivative of %s along a direction is %g, the reference evaluator's is %g; its norm is %g",
				c.Name, strings.Join(c.Ops, ","), p.Name, got, want.Slope, size)
			verdict = "wrong"
		}
	}
	return verdict, nil
}

// runNode runs a model on the sample's numbers.
func runNode(s sample, m *graph.Model) (map[string][]float32, error) {
	data, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	var in []string
	for _, v := range m.Inputs() {
		in = append(in, v.Name)
	}
	session, err := onnx.OpenBytes("case", data, in, s.outputs, onnx.Options{Threads: 1})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	inputs, outputs := make([]*onnx.Tensor, len(in)), make([]*onnx.Tensor, len(s.outputs))
	for i, name := range in {
		if inputs[i], err = onnx.Float32(s.values[name], s.shapes[name]...); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		defer inputs[i].Close()
	}
	if err := session.Run(inputs, outputs); err != nil {
		return nil, err
	}
	got := map[string][]float32{}
	for i, name := range s.outputs {
		got[name] = slices.Clone(outputs[i].Float32())
		outputs[i].Close()
	}
	return got, nil
}
