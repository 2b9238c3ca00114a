package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"finetune/activations"
	"finetune/internal/durable"
	"finetune/internal/tfevents"
	"finetune/onnx/artifacts"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/plots/page"
)

// Nothing is removed from a run's folder but files that finetune made there,
// one by one, by their names. All else belongs to somebody else.

// always are the files of any run, those last by which it is known as one.
var always = []string{
	HistoryFile, StepsFile, PredictionsFile, SummaryFile, HeadFile, StateFile, SkippedFile, NeighboursFile,
	MapsFile,
	PhotographsFile, AuditFile, CalibrationFile,
	sumsFile, ConfigFile, newFile, lockFile,
}

// ownNames lists what a run of its kind writes, without what is in folders.
// Where config.json cannot be read, it lists what any kind does.
func ownNames(dir string) []string {
	c, err := ReadConfig(dir)
	var names []string
	if err != nil || c.Recipe != nil {
		names = append(names, RecipeFile, TrialsFile, RateFile, ModelFile)
	} else if exportedByUs(filepath.Join(dir, ModelFile)) {
		names = append(names, ModelFile)
	}
	if err != nil || c.Recipe != nil || c.Train.Unfreeze {
		names = append(names, BodyFile, bodies.SpecPath(BodyFile), CheckpointFile)
	}
	if err != nil || c.Body.Precision == Int8 {
		names = append(names, Int8File)
	}
	return append(names, always...)
}

func exportedByUs(path string) bool {
	if !there(path) {
		return false
	}
	m, err := graph.Read(path)
	if err != nil {
		return false
	}
	_, ok := m.Meta(MetaClasses)
	return ok
}

// trialsDir has what trials said.
var trialsDir = filepath.Join(StepsDir, StepTrials)

// ownFolders are the folders of a run, each with the names of our files in it.
var ownFolders = map[string]func(name string) bool{
	ReportDir:      page.OwnFile,
	ArtifactsDir:   artifacts.OwnFile,
	TensorBoardDir: func(name string) bool { return name == tfevents.FileName },
	FeaturesDir:    func(string) bool { return false }, // a cache: see owned
	SavedDir:       func(string) bool { return false }, // kept for --load until another run saves under that name
	trialsDir:      ownTrial.MatchString,
}

// ownTrial are the names of what a recipe's trials keep: a way to train and a fold.
var ownTrial = regexp.MustCompile(`^(head|linear|augmented|gentle)-[0-9]\.safetensors$`)

var stepNames = []string{StepHead, StepLinear, StepAugmented, StepUnfrozen}

// owned lists the plain files below dir, a run or what is left of one, that
// finetune made, by paths relative to dir.
func owned(dir string) []string {
	names := ownNames(dir)
	out := below(dir, "", func(name string) bool { return slices.Contains(names, name) })
	slices.SortStableFunc(out, func(a, b string) int { return slices.Index(names, a) - slices.Index(names, b) })
	var inner []string
	for folder, ours := range ownFolders {
		inner = append(inner, below(dir, folder, ours)...)
	}
	for _, key := range folders(filepath.Join(dir, FeaturesDir)) {
		inner = append(inner, below(dir, filepath.Join(FeaturesDir, key), activations.OwnFile)...)
	}
	for _, step := range stepNames {
		if at := filepath.Join(StepsDir, step); isRun(filepath.Join(dir, at)) {
			for _, name := range owned(filepath.Join(dir, at)) {
				inner = append(inner, filepath.Join(at, name))
			}
		}
	}
	return append(inner, out...)
}

// below lists the files of dir/folder that are ours or were to become so.
func below(dir, folder string, ours func(name string) bool) (out []string) {
	if info, err := os.Lstat(filepath.Join(dir, folder)); err != nil || folder != "" && !info.IsDir() {
		return nil
	}
	entries, _ := os.ReadDir(filepath.Join(dir, folder))
	for _, e := range entries {
		if e.Type().IsRegular() && (ours(e.Name()) || durable.Temporary(e.Name(), ours)) {
			out = append(out, filepath.Join(folder, e.Name()))
		}
	}
	return out
}

func folders(dir string) (out []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

// sweep removes what a killed process left half written in a run. The caller holds it.
func sweep(dir string) {
	names := append(ownNames(dir), RecipeFile, TrialsFile, RateFile, ModelFile, BodyFile, bodies.SpecPath(BodyFile),
		CheckpointFile, Int8File)
	durable.Sweep(dir+string(filepath.Separator)+".", func(name string) bool { return slices.Contains(names, name) })
	for folder, ours := range ownFolders {
		durable.Sweep(filepath.Join(dir, folder), ours)
	}
	durable.Sweep(filepath.Join(dir, SavedDir), func(name string) bool { return filepath.Ext(name) == ".safetensors" })
}

// removeOwned removes what finetune made in a run's folder, and the folders
// that this leaves empty but dir itself.
func removeOwned(dir string) error {
	for _, name := range owned(dir) {
		if err := durable.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("learner: %w", err)
		}
	}
	dirs := []string{ReportDir, ArtifactsDir, SavedDir, TensorBoardDir}
	for _, key := range folders(filepath.Join(dir, FeaturesDir)) {
		dirs = append(dirs, filepath.Join(FeaturesDir, key))
	}
	dirs = append(dirs, FeaturesDir)
	for _, step := range stepNames {
		for _, inner := range []string{ReportDir, ArtifactsDir, SavedDir, FeaturesDir, ""} {
			dirs = append(dirs, filepath.Join(StepsDir, step, inner))
		}
	}
	for _, d := range append(dirs, trialsDir, StepsDir) {
		if d = filepath.Join(dir, d); !isLink(d) {
			os.Remove(d) // only if it is empty
		}
	}
	return nil
}

// giveUp is removeOwned of a folder that this process holds. release lets go of
// it where the system, as Windows does, removes no file that is open.
func giveUp(dir string, release func() error) error {
	err := removeOwned(dir)
	if err != nil && runtime.GOOS == "windows" {
		release()
		err = removeOwned(dir)
	}
	return err
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// carry moves what finetune did not make from a replaced run to the one in its
// place, and removes the rest of it. It may be done again after a kill.
func carry(to, from string) error {
	ours := map[string]bool{}
	for _, name := range owned(from) {
		ours[name] = true
	}
	if err := merge(to, from, "", ours); err != nil {
		return err
	}
	if err := removeOwned(from); err != nil {
		return err
	}
	if err := os.Remove(from); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// merge moves what is below from/rel, but for the files that are ours, to the
// same place below to.
func merge(to, from, rel string, ours map[string]bool) error {
	entries, err := os.ReadDir(filepath.Join(from, rel))
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(rel, e.Name())
		old, fresh := filepath.Join(from, name), filepath.Join(to, name)
		switch {
		case ours[name]:
		case e.IsDir() && (holds(ours, name) || isFolder(fresh)):
			if err := os.MkdirAll(filepath.Dir(fresh), 0o777); err != nil {
				return err
			}
			if err := merge(to, from, name, ours); err != nil {
				return err
			}
			os.Remove(old) // only if it is empty
		// saved again, under the same name
		case there(fresh) && savedName.MatchString(filepath.ToSlash(name)) && e.Type().IsRegular():
			if err := durable.Remove(old); err != nil {
				return err
			}
		default:
			if err := os.MkdirAll(filepath.Dir(fresh), 0o777); err != nil {
				return err
			}
			if err := durable.Move(free(fresh), old); err != nil {
				return err
			}
		}
	}
	return nil
}

var savedName = regexp.MustCompile(`^saved/[^/]+\.safetensors$`)

func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// holds reports whether a folder holds files of ours.
func holds(ours map[string]bool, folder string) bool {
	for name := range ours {
		if strings.HasPrefix(name, folder+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// free is path, or where something is there path.old, path.old-2 …
func free(path string) string {
	for n, p := 1, path; ; n++ {
		if !there(p) {
			return p
		}
		p = path + ".old"
		if n > 1 {
			p += "-" + strconv.Itoa(n)
		}
	}
}
