package cli

import (
	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/learner"
)

// Flags that commands share write straight into the learner's configuration. Its values
// when the flags are made, those of learner.DefaultConfig, are the flags' defaults.

func outputFlags(quiet, json *bool) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress: print only results, warnings and errors",
			Destination: quiet},
		&cli.BoolFlag{Name: "json", Usage: "print one JSON object and nothing else on standard output", Destination: json},
	}
}

// rawFlag turns the temperature off.
func rawFlag(raw *bool) cli.Flag {
	return &cli.BoolFlag{Name: "raw", Usage: "give the head's own probabilities, without the temperature that " +
		"held-out photographs asked for", Destination: raw}
}

// rowFlags are what the rows of score depend on besides model, photographs and machine, of the
// command itself and of jobs.
func rowFlags(o *learner.ScoreOptions, raw *bool) []cli.Flag {
	t := &o.Table
	return []cli.Flag{
		&cli.IntFlag{Name: "tta", Usage: "test-time augmentation: average over `N` augmented views and the centre view (4 " +
			"is usual)", Destination: &o.TTA},
		&cli.IntFlag{Name: "top", Usage: "write columns for the `K` most probable classes, not for every class",
			Destination: &t.Top},
		&cli.Float64Flag{Name: "threshold", Usage: "leave the column predicted empty below probability `P`; with several " +
			"labels, name all above it (default there: 0.5)", Destination: &t.Threshold},
		&cli.StringFlag{Name: "kaggle", Usage: "write the columns id,label, where label is the probability of `CLASS`",
			Destination: &t.Kaggle},
		coverageFlag(&t.Coverage),
		&cli.StringFlag{Name: "odd", Usage: "`WHAT` to do with photographs that are unlike the training photographs " +
			"(oddness above 1): flag (tell the oddness) or reject (status odd, no prediction)", Value: learner.OddFlag,
			Destination: &o.Odd},
		rawFlag(raw),
	}
}

// coverageFlag asks for prediction sets.
func coverageFlag(coverage *float64) cli.Flag {
	return &cli.Float64Flag{Name: "coverage", Usage: "prediction sets: the classes that together hold the true one " +
		"for this `SHARE` of photographs, such as 0.9; unsure where none is probable enough", Destination: coverage}
}

func dataFlags(c *learner.Config) []cli.Flag {
	return []cli.Flag{
		&cli.PathFlag{Name: "labels", Category: "Data", Usage: "read labels from CSV `FILE` with the header " +
			"path,label[,split]", Destination: &c.Data.Labels},
		&cli.StringFlag{Name: "label-sep", Category: "Data", Usage: "`SEPARATOR` between the labels of one photograph; " +
			"makes the task multi-label", Destination: &c.Data.LabelSep},
		excludeFlag(&c.Data), groupFlag(&c.Data),
		&cli.Float64Flag{Name: "valid-pct", Category: "Data", Usage: "`SHARE` (0 to 1) held out for validation if DATA has " +
			"no split `valid` (default: 0.2)", Destination: &c.Data.ValidPct},
		&cli.Float64Flag{Name: "max-bad", Category: "Data", Usage: "fail if more than this `SHARE` (0 to 1) of the " +
			"photographs is unreadable", Value: c.Data.MaxBad, Destination: &c.Data.MaxBad},
	}
}

func excludeFlag(d *learner.DataConfig) cli.Flag {
	return &cli.PathFlag{Name: "exclude", Category: "Data", Usage: "leave out the photographs that `FILE` names: a path " +
		"relative to DATA a line, or a CSV file with the column path, such as rows of audit.csv", Destination: &d.Exclude}
}

func groupFlag(d *learner.DataConfig) cli.Flag {
	return &cli.StringFlag{Name: "group", Category: "Data", Usage: "keep photographs of one group on one side where the " +
		"validation part is drawn: sequence (by the numbers in their names), cluster (by likeness) or a `COLUMN` of --labels",
		Destination: &d.Group}
}

// bodyFlags say which body, and how it and the photographs meet.
func bodyFlags(c *learner.Config) []cli.Flag {
	return append(imageFlags(c), &cli.StringFlag{Name: "body-precision", Category: "Body",
		Usage: "number `TYPE` of the frozen body: float32, float16 (for GPUs; slow on CPUs without float16 arithmetic), " +
			"bfloat16 (on OpenVINO; fast on CPUs with AMX), int8 (calibrated on training photographs; faster on CPUs with " +
			"VNNI) or auto (the fastest that costs less than 0.3 points of accuracy and 1 % of log loss on training " +
			"photographs)",
		Value: string(c.Body.Precision), Destination: (*string)(&c.Body.Precision)})
}

// imageFlags are bodyFlags for a command that looks at photographs alone.
func imageFlags(c *learner.Config) []cli.Flag {
	depth := shell.TextFlag("depth-range", "16-bit photographs: samples `MIN,MAX` that become black and white, or auto "+
		"for each photograph's own range (default: use the high byte)", &c.Images.DepthRange)
	depth.Category = "Images"
	return append(foreignFlags(c),
		&cli.StringFlag{Name: "body", Category: "Body", Usage: "pretrained body: a `NAME` (resnet18/34/50, " +
			"efficientnet-lite0/1/2, vit-s16 and others that `finetune import --help` lists), FILE.onnx or a FOLDER as a " +
			"model hub lays it out; or several with commas between, whose features lie side by side " +
			"(default: resnet34 if installed, else efficientnet-lite0)",
			Destination: &c.Body.Name},
		&cli.IntFlag{Name: "size", Category: "Images", Usage: "scale and crop photographs to this side in `PIXELS` " +
			"(default: the body's own)", Destination: &c.Images.Size},
		&cli.StringFlag{Name: "resample", Category: "Images", Usage: "scaling `METHOD`: nfnt (bilinear), area, or " +
			"as Pillow does it bilinear, bicubic or lanczos (default: the body's own, else nfnt)",
			Value: c.Images.Resample, Destination: &c.Images.Resample},
		&cli.IntFlag{Name: "resize", Category: "Images", Usage: "scale the smaller side to `PIXELS` before the centre of " +
			"--size is cropped (default: the body's own, else --size)", Destination: &c.Images.Resize},
		depth,
		&cli.StringFlag{Name: "crop", Category: "Images", Usage: "`KIND` of crop: random (centre in validation), center, " +
			"no (squash to a square) or googlenet (random area and proportions) " +
			"(default: the body's own, else random)", Value: c.Images.Crop,
			Destination: &c.Images.Crop},
	)
}

// foreignFlags describe a body that has no description beside it.
func foreignFlags(c *learner.Config) []cli.Flag {
	return shell.InCategory("Body",
		&cli.StringFlag{Name: "cut", Aliases: []string{"features"}, Usage: "`TENSOR` where the head begins: a map, tokens " +
			"or a vector (default: from BODY.json, else found as finetune inspect shows it)", Destination: &c.Body.Cut},
		shell.TextFlag("mean", "channel means `R,G,B` (0 to 1) that the body expects (default: from BODY.json)",
			&c.Body.Mean),
		shell.TextFlag("std", "channel standard deviations `R,G,B` (0 to 1) that the body expects (default: from "+
			"BODY.json)", &c.Body.Std),
		shell.TextFlag("layout", "`LAYOUT` of the body's input: nchw or nhwc (default: from BODY.json, else from the "+
			"graph)", &c.Body.Layout))
}

func machineFlags(c *learner.Config) []cli.Flag {
	return append(inferenceFlags(&c.Machine),
		&cli.IntFlag{Name: "batch-size", Aliases: []string{"bs"}, Category: "Training",
			Usage: "`N` photographs per training step", Value: c.Train.BatchSize, Destination: &c.Train.BatchSize},
		&cli.Uint64Flag{Name: "seed", Category: "Training", Usage: "`SEED` of all random choices",
			Destination: &c.Train.Seed})
}

func augmentFlags(c *learner.Config) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "augment", Category: "Images", Usage: "augmentation `POLICY` in training: none, flips (both " +
			"axes), basic (small rotations, brightness), side-on (basic and left-right flips) or top-down (basic, all flips " +
			"and quarter turns)", Value: c.Images.Augment, Destination: &c.Images.Augment},
		&cli.Float64Flag{Name: "max-zoom", Category: "Images", Usage: "largest random `ZOOM` of the augmentation",
			Value: c.Images.MaxZoom, Destination: &c.Images.MaxZoom},
		&cli.IntFlag{Name: "pad", Category: "Images", Usage: "add a reflected border of `PIXELS` before rotation",
			Destination: &c.Images.Pad},
		&cli.IntFlag{Name: "views", Category: "Images", Usage: "cache `K` augmented views of each photograph; 0 draws new " +
			"views each epoch", Value: c.Images.Views, Destination: &c.Images.Views},
	}
}

// windowFlag is for training on a job alone.
func windowFlag(c *learner.Config) []cli.Flag {
	return []cli.Flag{&cli.IntFlag{Name: "window", Category: "Training", Destination: &c.Train.Window,
		Usage: "of a JOB, shuffle about `N` rows at once (default: as many as take 256 MiB)"}}
}

func trainingFlags(c *learner.Config) []cli.Flag {
	t := &c.Train
	return shell.InCategory("Training",
		&cli.Float64Flag{Name: "lr", Usage: "learning `RATE`", Value: t.LR, Destination: &t.LR},
		&cli.StringFlag{Name: "schedule", Usage: "learning-rate `SCHEDULE`: sgdr (cosine with restarts), constant, clr " +
			"(one cycle), clr-beta (one cycle and a tail) or warm-up (default: sgdr, or constant with --epochs)",
			Destination: (*string)(&t.Schedule)},
		&cli.IntFlag{Name: "epochs", Usage: "train for `N` epochs at a constant rate, instead of cycles",
			Destination: &t.Epochs},
		&cli.IntFlag{Name: "cycles", Usage: "`N` cycles of the schedule", Value: t.Cycles,
			Destination: &t.Cycles},
		&cli.IntFlag{Name: "cycle-len", Usage: "`N` epochs in the first cycle", Value: t.CycleLen,
			Destination: &t.CycleLen},
		&cli.IntFlag{Name: "cycle-mult", Usage: "with sgdr, each cycle is `N` times as long as the one before",
			Value: t.CycleMult, Destination: &t.CycleMult},
		shell.TextFlag("clr", "`DIV,CUT[,MAX,MIN]`: clr starts at rate/DIV and rises in the first 1/CUT of a cycle; "+
			"momentum falls from MAX to MIN meanwhile; clr-beta takes its tail in percent of a cycle in "+
			"place of CUT (default: 20,10)",
			&t.CLR),
		&cli.StringFlag{Name: "optimiser", Aliases: []string{"optimizer"}, Usage: "`NAME` of the optimiser: sgd, adam or " +
			"adamw", Value: string(t.Optimiser), Destination: (*string)(&t.Optimiser)},
		&cli.Float64Flag{Name: "momentum", Usage: "momentum `M` of sgd, beta1 of adam and adamw",
			Value: t.Momentum, Destination: &t.Momentum},
		&cli.Float64Flag{Name: "wd", Usage: "weight decay `D`", Destination: &t.WeightDecay},
		&cli.BoolFlag{Name: "decoupled", Usage: "with sgd, subtract weight decay from the weights instead of adding it to " +
			"the gradient", Destination: &t.Decoupled},
		&cli.BoolFlag{Name: "norm-wd", Usage: "divide weight decay by sqrt(steps per cycle)", Destination: &t.NormDecay},
		&cli.Float64Flag{Name: "clip", Usage: "clip gradients to this global `NORM`; 0 for no clipping",
			Destination: &t.Clip},
		&cli.Float64Flag{Name: "label-smoothing", Usage: "spread share `S` of each target over all classes",
			Destination: &t.Smoothing},
		&cli.StringFlag{Name: "balance", Usage: "`METHOD` for classes of unequal size: none, weights (in the loss) or " +
			"sampling (draw all classes equally often)", Value: string(t.Balance), Destination: (*string)(&t.Balance)},
		&cli.BoolFlag{Name: "best", Usage: "keep the weights of the epoch with the best validation accuracy, not the last",
			Destination: &t.Best},
		&cli.IntFlag{Name: "patience", Usage: "stop after `N` epochs without a better one; implies --best",
			Destination: &t.Patience},
		&cli.IntFlag{Name: "swa", Usage: "average the weights of all epochs from epoch `N` on (counted from 1)",
			Destination: &t.SWA},
		&cli.BoolFlag{Name: "snapshots", Usage: "save the weights at the end of each cycle and score their ensemble",
			Destination: &t.Snapshots},
		&cli.IntFlag{Name: "tta", Usage: "also score with test-time augmentation over `N` views (4 is usual)",
			Destination: &t.TTA},
		&cli.StringFlag{Name: "head", Usage: "`KIND` of head: mlp (hidden layers, trained in cycles), linear (logistic " +
			"regression, trained until it converges; with --unfreeze, what the network starts from) or auto (the one with the " +
			"lower log loss on training photographs left out)", Value: t.HeadKind(), Destination: &t.Head},
		shell.TextFlag("hidden", "`WIDTHS` of the head's hidden layers, separated by commas, or none", &t.Hidden),
		shell.TextFlag("dropout", "dropout `PROBABILITIES` of the head, one per linear layer", &t.Dropout),
		&cli.BoolFlag{Name: "unfreeze", Usage: "train the whole network, not only the head: gently from a linear head, " +
			"unless other flags say how", Destination: &t.Unfreeze},
		shell.NumbersFlag("lrs", "with --unfreeze, learning `RATES` of the layer groups, first to last, such as "+
			"1e-4,1e-3,1e-2 (default: --lr for the head, from 1/100 to 1/10 of it for the groups of the body); of many "+
			"groups, fewer rates each take an equal run", &t.LRs),
		&cli.Float64Flag{Name: "layer-decay", Usage: "with --unfreeze, the rate of each layer group is `D` times that of " +
			"the next, the head's is --lr; 0.75 suits vision transformers", Destination: &t.LayerDecay},
		&cli.IntFlag{Name: "freeze-to", Usage: "with --unfreeze, keep the first `N` layer groups frozen; without " +
			"augmentation their outputs are cached", Destination: &t.FreezeTo},
		&cli.BoolFlag{Name: "bn-freeze", Usage: "with --unfreeze, keep the body's batch statistics frozen",
			Destination: &t.BNFreeze},
		&cli.Float64Flag{Name: "mix", Usage: "with --unfreeze, keep a share `S` of the fine-tuned weights, the rest of " +
			"those that training began from", Destination: &t.Mix},
		&cli.Float64Flag{Name: "bn-momentum", Usage: "with --unfreeze, weight `M` of the newest batch in the running batch " +
			"statistics", Value: t.BNMomentum, Destination: &t.BNMomentum},
		&cli.IntFlag{Name: "micro-batch", Usage: "with --unfreeze, hold at most `B` photographs in memory; gradients of a " +
			"larger batch are accumulated", Destination: &t.MicroBatch},
		precisionFlag(t),
		&cli.StringFlag{Name: "load", Usage: "start from the head of a `RUN`, or from a name saved in --run",
			Destination: &t.Load},
		&cli.StringFlag{Name: "save", Usage: "also save the trained head in the run under `NAME`, for --load",
			Destination: &t.Save},
	)
}

// precisionFlag is that of a network that trains whole.
func precisionFlag(t *learner.Training) cli.Flag {
	return &cli.StringFlag{Name: "precision", Usage: "in fine-tuning, `PRECISION` of the numbers between layers: " +
		"float32, bfloat16 (faster on processors that compute with it; needs oneDNN) or auto (bfloat16 on such processors)",
		Value: "float32", Destination: (*string)(&t.Precision)}
}
