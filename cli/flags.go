package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/learner"
)

// Flags shared by commands write straight into the learner's configuration, and
// start from its defaults.
var defaults = learner.Defaults()

func outputFlags(quiet, json *bool) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress, only results and errors",
			Destination: quiet},
		&cli.BoolFlag{Name: "json", Usage: "print one JSON object and nothing else on standard output", Destination: json},
	}
}

func dataFlags(c *learner.Config) []cli.Flag {
	return []cli.Flag{
		&cli.PathFlag{Name: "labels", Category: "Data", Usage: "labels from a CSV `FILE` with the header path,label[,split]",
			Destination: &c.Data.Labels},
		&cli.StringFlag{Name: "label-sep", Category: "Data", Usage: "`SEPARATOR` between the labels of one photograph; " +
			"makes the task multi-label", Destination: &c.Data.LabelSep},
		&cli.Float64Flag{Name: "valid-pct", Category: "Data", Usage: "`SHARE` held out for validation where DATA has no " +
			"valid folder (default: 0.2)", Destination: &c.Data.ValidPct},
		&cli.Float64Flag{Name: "max-bad", Category: "Data", Usage: "largest `SHARE` of unreadable photographs that is " +
			"tolerated", Value: defaults.Data.MaxBad, Destination: &c.Data.MaxBad},
	}
}

// bodyFlags say which body, and how it and the photographs meet.
func bodyFlags(c *learner.Config) []cli.Flag {
	return append(imageFlags(c), &cli.StringFlag{Name: "body-precision", Category: "Body", Usage: "`TYPE` the frozen " +
		"body computes in: float32; float16 (for GPUs; slow on processors without its arithmetic); or int8, calibrated on " +
		"training photographs (faster where the processor has VNNI). train prints what fewer bits cost",
		Value: defaults.Body.Precision, Destination: &c.Body.Precision})
}

// imageFlags are bodyFlags for a command that looks at photographs alone.
func imageFlags(c *learner.Config) []cli.Flag {
	return append(foreignFlags(c),
		&cli.StringFlag{Name: "body", Category: "Body", Usage: "frozen body: a `NAME` (resnet18/34/50, " +
			"efficientnet-lite0/1/2) or FILE.onnx; default resnet34 where installed, else efficientnet-lite0",
			Destination: &c.Body.Name},
		&cli.IntFlag{Name: "size", Category: "Images", Usage: "side in `PIXELS` that photographs are scaled and cropped " +
			"to (default: the body's own)", Destination: &c.Images.Size},
		&cli.StringFlag{Name: "resample", Category: "Images", Usage: "`METHOD` of scaling: nfnt (bilinear) or area",
			Value: defaults.Images.Resample, Destination: &c.Images.Resample},
		&cli.StringFlag{Name: "depth-range", Category: "Images", Usage: "samples `MIN,MAX` of photographs of 16 bits that " +
			"become black and white, or auto: each photograph's own (default: the high byte is kept)",
			Destination: &c.Images.DepthRange},
		&cli.StringFlag{Name: "crop", Category: "Images", Usage: "`KIND` of crop: random (centre when validating), " +
			"center, no (squash), googlenet", Value: defaults.Images.Crop, Destination: &c.Images.Crop},
	)
}

// foreignFlags describe a body that has no description beside it.
func foreignFlags(c *learner.Config) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "cut", Category: "Body", Usage: "`TENSOR` of a foreign body to pool (default: what enters " +
			"the last global pooling)", Destination: &c.Body.Cut},
		&cli.StringFlag{Name: "mean", Category: "Body", Usage: "channel means `R,G,B` (0 to 1) a foreign body expects",
			Destination: &c.Body.Mean},
		&cli.StringFlag{Name: "std", Category: "Body", Usage: "channel deviations `R,G,B` (0 to 1) a foreign body expects",
			Destination: &c.Body.Std},
		&cli.StringFlag{Name: "layout", Category: "Body", Usage: "input `LAYOUT` of a foreign body: nchw or nhwc",
			Destination: &c.Body.Layout},
	}
}

func machineFlags(c *learner.Config) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "device", Category: "Machine", Usage: "`DEVICE` for the body: auto, cpu or cuda",
			Value: defaults.Machine.Device, Destination: &c.Machine.Device},
		&cli.IntFlag{Name: "threads", Category: "Machine", Usage: "`N` threads for ONNX Runtime (default: one a core)",
			Destination: &c.Machine.Threads},
		&cli.IntFlag{Name: "workers", Category: "Machine", Usage: "`N` photographs decoded at once (default: one a core)",
			Destination: &c.Machine.Workers},
		tf32Flag(&c.Machine),
		pixelsFlag(&c.Machine),
		&cli.PathFlag{Name: "cache", Category: "Machine", Usage: "`DIR` of cached activations (default: cache in " +
			"FINETUNE_HOME)", Destination: &c.Machine.Cache},
		&cli.IntFlag{Name: "batch-size", Aliases: []string{"bs"}, Category: "Training",
			Usage: "photographs `N` a training step", Value: defaults.Train.BatchSize, Destination: &c.Train.BatchSize},
		&cli.Uint64Flag{Name: "seed", Category: "Training", Usage: "`SEED` of every random choice",
			Destination: &c.Train.Seed},
	}
}

// augmentFlags have the policy that a command starts from.
func augmentFlags(c *learner.Config, policy string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "augment", Category: "Images", Usage: "random changes in training, by `POLICY`: none, " +
			"flips, basic, side-on or top-down", Value: policy, Destination: &c.Images.Augment},
		&cli.Float64Flag{Name: "max-zoom", Category: "Images", Usage: "largest random `ZOOM`", Value: defaults.Images.MaxZoom,
			Destination: &c.Images.MaxZoom},
		&cli.IntFlag{Name: "pad", Category: "Images", Usage: "reflected border of `PIXELS` before rotation",
			Destination: &c.Images.Pad},
		&cli.IntFlag{Name: "views", Category: "Images", Usage: "`K` cached augmented views of each photograph",
			Value: defaults.Images.Views, Destination: &c.Images.Views},
	}
}

func trainingFlags(c *learner.Config) []cli.Flag {
	t := &c.Train
	return inCategory("Training",
		&cli.Float64Flag{Name: "lr", Usage: "learning `RATE`", Value: defaults.Train.LR, Destination: &t.LR},
		&cli.StringFlag{Name: "schedule", Usage: "`COURSE` of the rate: sgdr, constant, clr, clr-beta or warm-up " +
			"(default: sgdr, or constant with --epochs)", Destination: &t.Schedule},
		&cli.IntFlag{Name: "epochs", Usage: "`N` epochs at a constant rate, instead of cycles", Destination: &t.Epochs},
		&cli.IntFlag{Name: "cycles", Usage: "`N` cycles, for sgdr of cosine annealing with restarts",
			Value: defaults.Train.Cycles, Destination: &t.Cycles},
		&cli.IntFlag{Name: "cycle-len", Usage: "`N` epochs in the first cycle", Value: defaults.Train.CycleLen,
			Destination: &t.CycleLen},
		&cli.IntFlag{Name: "cycle-mult", Usage: "each cycle of sgdr is `N` times as long as the one before",
			Value: defaults.Train.CycleMult, Destination: &t.CycleMult},
		numbersFlag("clr", "`DIV,CUT[,MAX,MIN]` of clr (or DIV,TAIL% of clr-beta) and, when given, the momentum it moves "+
			"between; default 20,10", &t.CLR),
		&cli.StringFlag{Name: "optimiser", Aliases: []string{"optimizer"}, Usage: "`NAME` sgd, adam or adamw",
			Value: defaults.Train.Optimiser, Destination: &t.Optimiser},
		&cli.Float64Flag{Name: "momentum", Usage: "momentum `M` of sgd, first beta of adam", Value: defaults.Train.Momentum,
			Destination: &t.Momentum},
		&cli.Float64Flag{Name: "wd", Usage: "weight decay `D`", Destination: &t.WeightDecay},
		&cli.BoolFlag{Name: "decoupled", Usage: "sgd: take the decay off the weights instead of adding it to the gradient",
			Destination: &t.Decoupled},
		&cli.BoolFlag{Name: "norm-wd", Usage: "divide the decay by the root of the cycle's steps", Destination: &t.NormDecay},
		&cli.Float64Flag{Name: "clip", Usage: "largest global gradient `NORM`, 0 for none", Destination: &t.Clip},
		&cli.Float64Flag{Name: "label-smoothing", Usage: "share `S` of the target spread over all classes",
			Destination: &t.Smoothing},
		&cli.StringFlag{Name: "balance", Usage: "`WAY` to treat classes of unequal size: none, weights (of the loss) or " +
			"sampling", Value: defaults.Train.Balance, Destination: &t.Balance},
		&cli.BoolFlag{Name: "best", Usage: "keep the weights of the best epoch instead of the last", Destination: &t.Best},
		&cli.IntFlag{Name: "patience", Usage: "stop after `N` epochs without a better one, and keep the best",
			Destination: &t.Patience},
		&cli.IntFlag{Name: "swa", Usage: "average the weights from epoch `N` on (counted from 1)", Destination: &t.SWA},
		&cli.BoolFlag{Name: "snapshots", Usage: "save each cycle's weights and score their ensemble",
			Destination: &t.Snapshots},
		&cli.IntFlag{Name: "tta", Usage: "also score the trained head by `N` augmented views of each photograph (4 is usual)",
			Destination: &t.TTA},
		&cli.StringFlag{Name: "hidden", Usage: "`WIDTHS` of the head's hidden layers, such as 512",
			Value: defaults.Train.Hidden, Destination: &t.Hidden},
		&cli.StringFlag{Name: "dropout", Usage: "dropout `SHARES` of the head, one a linear layer",
			Value: defaults.Train.Dropout, Destination: &t.Dropout},
		&cli.BoolFlag{Name: "unfreeze", Usage: "train the whole network, not the head alone", Destination: &t.Unfreeze},
		numbersFlag("lrs", "with --unfreeze, `RATES` of the layer groups, first to last, such as 1e-4,1e-3,1e-2 (default: "+
			"from a hundredth to a tenth of --lr for the body, --lr for the head)", &t.LRs),
		&cli.IntFlag{Name: "freeze-to", Usage: "with --unfreeze, keep the first `N` layer groups as they are; without " +
			"augmentation their outputs are cached", Destination: &t.FreezeTo},
		&cli.BoolFlag{Name: "bn-freeze", Usage: "with --unfreeze, keep the body's batch statistics as they are",
			Destination: &t.BNFreeze},
		&cli.Float64Flag{Name: "bn-momentum",
			Usage: "with --unfreeze, the `SHARE` of a batch in the running batch statistics", Value: defaults.Train.BNMomentum,
			Destination: &t.BNMomentum},
		&cli.IntFlag{Name: "micro-batch", Usage: "with --unfreeze, at most `B` photographs in memory at once; gradients " +
			"of a batch add up", Destination: &t.MicroBatch},
		&cli.StringFlag{Name: "load", Usage: "start from the head of a `RUN`, or from a name saved in the current --run",
			Destination: &t.Load},
		&cli.StringFlag{Name: "save", Usage: "also keep the trained head as `NAME` in the run, for --load",
			Destination: &t.Save},
	)
}

// inCategory heads flags in the help text.
func inCategory(name string, flags ...cli.Flag) []cli.Flag {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.BoolFlag:
			f.Category = name
		case *cli.IntFlag:
			f.Category = name
		case *cli.Float64Flag:
			f.Category = name
		case *cli.StringFlag:
			f.Category = name
		case *cli.GenericFlag:
			f.Category = name
		case *cli.Int64Flag:
			f.Category = name
		case *cli.DurationFlag:
			f.Category = name
		}
	}
	return flags
}

// numbers is a flag of numbers with commas between.
type numbers struct{ into *[]float64 }

// Set implements flag.Value.
func (n numbers) Set(text string) error {
	var out []float64
	for _, part := range strings.Split(text, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", part)
		}
		out = append(out, v)
	}
	*n.into = out
	return nil
}

// Get implements flag.Getter.
func (n numbers) Get() any { return *n.into }

// String implements flag.Value.
func (n numbers) String() string { return "" }

func numbersFlag(name, usage string, into *[]float64) cli.Flag {
	return &cli.GenericFlag{Name: name, Usage: usage, Value: numbers{into}}
}
