package config

import (
	"finetune/augment"
	"finetune/onnx"
)

// Words that fields take. Which of them, words says; an empty one is the default.
type (
	Precision string // what a body's numbers are
	Layout    string // of a body's input
	Schedule  string // of the learning rate
	Optimiser string // of the head or the whole network
	Balance   string // of classes of unequal size
)

// Precisions, schedules, optimisers, kinds of head and balances, by the names that config.json and flags have.
const (
	Float32  = "float32"
	Float16  = "float16"
	BFloat16 = "bfloat16" // on OpenVINO
	Int8     = "int8"

	AutoPrecision = "auto" // the fastest whose accuracy is near float32's: opening the data puts that in its place

	SGDR     = "sgdr" // cosine with restarts
	Constant = "constant"
	CLR      = "clr"      // one cycle
	CLRBeta  = "clr-beta" // one cycle and a tail
	WarmUp   = "warm-up"

	SGD   = "sgd"
	Adam  = "adam"
	AdamW = "adamw"

	HeadMLP    = "mlp"    // the lesson's: hidden layers, trained with SGDR
	HeadLinear = "linear" // logistic regression, trained until it converges
	HeadAuto   = "auto"   // whichever predicts training photographs better that it has not seen

	NoBalance = "none"
	Weights   = "weights"  // in the loss
	Sampling  = "sampling" // all classes are drawn equally often
)

// words are what fields of few words may hold, by their place in config.json.
var words = map[string][]string{
	"body.layout":      {"nchw", "nhwc"},
	"body.precision":   {Float32, Float16, BFloat16, Int8, AutoPrecision},
	"images.augment":   augment.Policies,
	"images.crop":      augment.Crops,
	"images.resample":  augment.Resamplers,
	"machine.device":   onnx.Devices,
	"recipe.augment":   augment.Policies,
	"recipe.precision": {Float32, BFloat16, AutoPrecision},
	"train.balance":    {NoBalance, Weights, Sampling},
	"train.head":       {HeadMLP, HeadLinear, HeadAuto},
	"train.optimiser":  {SGD, Adam, AdamW},
	"train.precision":  {Float32, BFloat16, AutoPrecision},
	"train.schedule":   {SGDR, Constant, CLR, CLRBeta, WarmUp},
}

// needed are those of words that have no default.
var needed = []string{"images.augment", "recipe.augment"}
