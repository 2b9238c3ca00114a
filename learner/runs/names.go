package runs

// Names of what a run leaves (docs/reference, Files of a run).
const (
	ConfigFile      = "config.json"
	PhotographsFile = "photographs.csv" // what a run trains and validates on
	HistoryFile     = "history.csv"
	StepsFile       = "steps.csv"
	PredictionsFile = "predictions.csv"
	AuditFile       = "audit.json" // what is wrong with the data
	SummaryFile     = "summary.json"
	HeadFile        = "head.safetensors"
	CalibrationFile = "calibration.safetensors"
	StateFile       = "state.safetensors"
	SavedDir        = "saved"
	SkippedFile     = "skipped.csv"
	NeighboursFile  = "neighbours.csv"
	MapsFile        = "maps.csv" // where the model looks on what the report shows
	ReportDir       = "report"   // index.html and the pictures
	TensorBoardDir  = "tensorboard"
	sumsFile        = "SHA256SUMS"
	lockFile        = ".lock"
	newFile         = ".new-run" // in a run that is to take another's place, until it has
)

// Names of what full fine-tuning leaves in a run, besides what a head leaves.
const (
	ArtifactsDir   = "artifacts"              // the four files that training runs
	BodyFile       = "body.onnx"              // the fine-tuned body, with body.json
	CheckpointFile = "checkpoint.safetensors" // every parameter and running statistic
	FeaturesDir    = "features"               // of the fine-tuned body, while a run is finished
)

// Int8File is a run's copy of the 8-bit body that it was trained on: without
// the training photographs nobody could make it again.
const Int8File = "body-int8.onnx"

// Names of what a recipe leaves. Its steps live in RUN/steps/NAME, each a run of
// its own; RUN becomes the best of them.
const (
	RateFile      = "lr.csv"     // the learning-rate finder's curve
	RecipeFile    = "recipe.csv" // what each step gained
	TrialsFile    = "trials.csv" // what photographs left out say of each way to train
	ModelFile     = "model.onnx" // the one file to deploy
	StepsDir      = "steps"
	StepHead      = "head"
	StepLinear    = "linear"
	StepAugmented = "augmented"
	StepUnfrozen  = "unfrozen"
	StepTrials    = "trials"
)

// MetaClasses is the key under which the metadata of an exported file lists its
// classes, by which such a file is known.
const MetaClasses = "finetune.classes"
