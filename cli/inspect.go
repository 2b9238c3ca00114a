package cli

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/term"
	"finetune/internal/plural"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/inspect"
)

func inspectCommand(s Streams) *cli.Command {
	var quiet, json bool
	return &cli.Command{
		Name: "inspect", Usage: "show the inputs, outputs, cut, layer groups, parameters and digest of an ONNX file",
		ArgsUsage: "FILE.onnx",
		Flags:     outputFlags(&quiet, &json),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("inspect takes one FILE.onnx")
			}
			return runInspect(c.Args().First(), term.New(s, quiet, json))
		},
	}
}

func runInspect(path string, out *term.Console) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return usagef("inspect: %s: there is no such file; name an .onnx file", path)
	}
	m, err := graph.Read(path)
	if err != nil {
		return err
	}
	info, err := inspect.Describe(m)
	if err != nil {
		return err
	}
	line := func(name, format string, args ...any) { out.Print("%-11s %s", name, fmt.Sprintf(format, args...)) }
	line("file", "%s", info.Path)
	line("digest", "%s", info.Digest)
	line("made by", "%s, IR version %d, operator sets %s", orDash(info.Producer), info.IRVersion, opsets(info.Opsets))
	for _, in := range info.Inputs {
		line("input", "%s", tensor(in))
	}
	for _, o := range info.Outputs {
		line("output", "%s", tensor(o))
	}
	if info.CutError != "" {
		line("cut", "none found: %s", info.CutError)
	} else {
		line("cut", "%s", info.Cut)
		line("features", "%s", info.Features)
	}
	if info.Training != "" {
		out.Warn("%s", info.Training)
	}
	for _, g := range info.Groups {
		line("group", "%s, from %s: %s", g.Name, g.First, plural.Count(g.Count, "parameter"))
	}
	line("parameters", "%d: --unfreeze trains %d and leaves %d; the rest stands behind the cut", info.Total, info.Trained,
		info.NotTrained)
	line("operators", "%s: %s", plural.Count(info.Nodes, "node"), operators(info.Operators))
	if spec, err := bodies.ReadSpec(bodies.SpecPath(path)); err == nil {
		line("sidecar", "%s, %d px, mean %v, std %v, %s, licence %s", spec.Name, spec.Size, spec.Mean, spec.Std, spec.Layout,
			orDash(spec.Licence))
	}
	return out.Object(info)
}

// tensor shows a name, an element type and a shape, "?" where it is open.
func tensor(t graph.Input) string {
	dims := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		if dims[i] = "?"; d >= 0 {
			dims[i] = strconv.FormatInt(d, 10)
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s [%s] %s", t.Name, strings.ToLower(t.Type), strings.Join(dims, " × "),
		t.Layout))
}

func orDash(s string) string {
	if strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}

func opsets(m map[string]int64) string {
	var parts []string
	for name, v := range m {
		parts = append(parts, fmt.Sprintf("%s %d", name, v))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

func operators(counts []inspect.OperatorCount) string {
	var parts []string
	for _, c := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", c.Count, c.Name))
	}
	return strings.Join(parts, ", ")
}
