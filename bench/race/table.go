package main

import "strings"

// part is one kind of work.
type part struct {
	name  string
	title string
	unit  string
	scale func(o options) float64 // from seconds, or what a contestant reports, to the unit
}

func perPhoto(o options) float64     { return 1e3 / float64(o.count) }
func asItIs(options) float64         { return 1 }
func milliseconds(options) float64   { return 1e3 }
func perImageOf32(o options) float64 { return 1e3 / 32 }

var parts = []part{
	{"decode", "Decode, scale, crop and normalise", "ms/image", perPhoto},
	{"forward", "Frozen body, batches of 32 at 224 px", "ms/image", perImageOf32},
	{"precompute", "Precompute: photographs to features", "ms/image", perPhoto},
	{"again", "Precompute a second time, the whole command", "s", asItIs},
	{"head", "Epoch of the head, batch 64, 1,024 features", "s", asItIs},
	{"find", "lr-find on cached features, 150 rates", "s", asItIs},
	{"step", "Fine-tuning step of the whole network, batch 8 at 224 px", "s", asItIs},
	{"score", "Score a folder", "ms/image", perPhoto},
	{"help", "Cold start: --help, and importing PyTorch", "ms", milliseconds},
	{"one", "Cold start: score one photograph", "s", asItIs},
	{"size", "Installed size, without Python and weights", "MB", asItIs},
}

func partNames() []string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
	}
	return names
}

// contestant is one program in one part. The first of a part is what the others
// are compared with.
type contestant struct {
	part, name string
	command    string // words; {name} stands for a path or number of the setup
	served     bool   // one process, a turn for each line it reads; else a process a turn
	field      string // of the JSON that a process prints, instead of the clock
}

// torchStep is a fine-tuning step in PyTorch.
const torchStep = "{peers} bench/step_pytorch.py --body {step-body} --threads {threads} --batch {step-batch}"

// contestants race in this order. {fresh} is a new empty folder each turn.
var contestants = []contestant{
	{"decode", "finetune", "{self} -turn decode {photos}", true, ""},
	{"decode", "", "{peers} bench/decode_pytorch.py {photos} --threads {threads}", true, ""},

	{"forward", "finetune", "{self} -turn forward", true, ""},
	{"forward", "", "{peers} bench/body_pytorch.py --engine eager --body {body} --threads {threads}", true, ""},
	{"forward", "", "{peers} bench/body_pytorch.py --engine compile --body {body} --threads {threads}", true, ""},
	{"forward", "", "{peers} bench/body_pytorch.py --engine onnxruntime --model {features} --threads {threads}", true, ""},
	{"forward", "finetune, OpenVINO, float32", "{self} -turn forward {openvino} float32", true, ""},
	{"forward", "finetune, OpenVINO, bfloat16", "{self} -turn forward {openvino} bfloat16", true, ""},
	{"forward", "", "{peers} bench/body_pytorch.py --engine eager --bfloat16 --body {body} --threads {threads}", true, ""},
	{"forward", "", "{peers} bench/body_pytorch.py --engine compile --bfloat16 --body {body} --threads {threads}", true,
		""},
	{"forward", "", "{openvino-python} bench/body_pytorch.py --engine openvino --model {features} --threads {threads}",
		true, ""},
	{"forward", "", "{openvino-python} bench/body_pytorch.py --engine openvino --bfloat16 --model {features} --threads " +
		"{threads}", true, ""},

	{"precompute", "finetune", "{finetune} precompute {data} --body {body} --cache {fresh} --threads {threads} --json " +
		"--quiet", false, "seconds"},
	{"precompute", "finetune, --body-precision int8", "{finetune} precompute {data} --body {body} --body-precision " +
		"int8 --cache {fresh} --threads {threads} --json --quiet", false, "seconds"},
	{"precompute", "finetune, OpenVINO, float32", "{finetune} precompute {data} --body {body} --device {openvino} " +
		"--cache {fresh} --threads {threads} --json --quiet", false, "seconds"},
	{"precompute", "finetune, OpenVINO, bfloat16", "{finetune} precompute {data} --body {body} --device {openvino} " +
		"--body-precision bfloat16 --cache {fresh} --threads {threads} --json --quiet", false, "seconds"},
	{"precompute", "finetune, OpenVINO, int8", "{finetune} precompute {data} --body {body} --device {openvino} " +
		"--body-precision int8 --cache {fresh} --threads {threads} --json --quiet", false, "seconds"},
	{"precompute", "", "{peers} bench/precompute_pytorch.py {photos} --engine eager --body {body} --threads {threads}",
		true, ""},
	{"precompute", "", "{peers} bench/precompute_pytorch.py {photos} --engine compile --body {body} --threads {threads}",
		true, ""},
	{"precompute", "", "{peers} bench/precompute_pytorch.py {photos} --engine eager --bfloat16 --body {body} --threads " +
		"{threads}", true, ""},
	{"precompute", "", "{peers} bench/precompute_pytorch.py {photos} --engine compile --bfloat16 --body {body} " +
		"--threads {threads}", true, ""},
	{"precompute", "", "{peers} bench/precompute_pytorch.py {photos} --engine onnxruntime --model {features} --threads " +
		"{threads}", true, ""},

	{"again", "finetune; the others keep no features", "{finetune} precompute {data} --body {body} --cache {cache} " +
		"--threads {threads} --quiet", false, ""},

	{"head", "finetune", "{self} -turn head", true, ""},
	{"head", "", "{peers} bench/head_pytorch.py --rows {rows} --threads {threads}", true, ""},
	{"head", "", "{peers} bench/head_pytorch.py --rows {rows} --threads {threads} --engine compile", true, ""},

	{"find", "finetune, the whole command with its plot", "{finetune} lr-find {data} --body {body} --cache {cache} -o " +
		"{fresh}/lr.png --tries 150 --quiet", false, ""},
	{"find", "the loop alone,", "{peers} bench/head_pytorch.py --rows {count} --features {width} --find 150 --threads " +
		"{threads}", true, ""},

	{"step", "finetune, ONNX Runtime's kernels", "{self} -turn step", true, ""},
	{"step", "finetune, oneDNN", "{self} -turn step float32", true, ""},
	{"step", "finetune, oneDNN, bfloat16", "{self} -turn step bfloat16", true, ""},
	{"step", "", torchStep, true, ""},
	{"step", "", torchStep + " --channels-last", true, ""},
	{"step", "", torchStep + " --channels-last --engine compile", true, ""},
	{"step", "", torchStep + " --channels-last --precision bfloat16", true, ""},
	{"step", "", torchStep + " --channels-last --precision bfloat16 --engine compile", true, ""},
	{"step", "", "{ort-training} bench/step_ort_training.py --body {step-body} --threads {threads}", true, ""},

	{"score", "finetune", "{finetune} score {model} {photos} -o {fresh}/scores.csv --no-cache --threads {threads} " +
		"--json --quiet", false, "seconds"},
	{"score", "", "{peers} bench/score_pytorch.py {photos} --engine eager --body {body} --threads {threads}", true, ""},
	{"score", "", "{peers} bench/score_pytorch.py {photos} --engine onnxruntime --model {model} --threads {threads}", true,
		""},

	{"help", "finetune --help", "{finetune} --help", false, ""},
	{"help", "import torch, torchvision", "{peers} bench/imports.py torch torchvision", false, ""},
	{"help", "import onnxruntime", "{peers} bench/imports.py onnxruntime", false, ""},

	{"one", "finetune", "{finetune} score {model} {photo} -o {fresh}/scores.csv --no-cache --quiet", false, ""},
	{"one", "PyTorch", "{peers} bench/score_pytorch.py {photo} --once --engine eager --body {body} --threads {threads}",
		false, ""},
	{"one", "ONNX Runtime from Python", "{peers} bench/score_pytorch.py {photo} --once --engine onnxruntime --model " +
		"{model} --threads {threads}", false, ""},

	{"size", "finetune and ONNX Runtime's library", "{self} -turn size {finetune}", false, "megabytes"},
	{"size", "torch, torchvision, pillow, as installed by default",
		"{peers} bench/size_python.py torch torchvision pillow", false, "megabytes"},
	{"size", "onnxruntime, numpy, pillow", "{peers} bench/size_python.py onnxruntime numpy pillow", false, "megabytes"},
}

// needs reports whether one of the parts to race has a contestant that names what.
func (o options) needs(what string) bool {
	for _, c := range contestants {
		for _, p := range o.only {
			if c.part == p && strings.Contains(c.command, "{"+what+"}") {
				return true
			}
		}
	}
	return false
}
