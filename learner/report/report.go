// Package report writes the report of a run. It reads only the run's files.
package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"finetune/augment/picture"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/internal/remote"
	"finetune/learner/runs"
	"finetune/plots"
	"finetune/plots/page"
	"finetune/schedule"
	"finetune/scores"
)

// Write writes RUN/report from what the run left, and returns the page's
// path. Photographs are read from the data's own place; those that are gone are
// named without a picture.
func Write(run string) (string, error) {
	r, err := gather(run)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(run, runs.ReportDir)
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		return "", failure.Usage(fmt.Errorf("learner: %s: is a link or a file, not a folder; move it away", dir))
	}
	return filepath.Join(dir, "index.html"), page.WriteReport(dir, r)
}

// gather reads a finished run back as a report's input.
func gather(run string) (page.Report, error) {
	c, err := runs.ReadConfig(run)
	if err != nil {
		return page.Report{}, err
	}
	sum, err := runs.ReadSummary(run)
	if err != nil {
		return page.Report{}, err
	}
	if err := runs.CheckSums(run, runs.HistoryFile, runs.StepsFile, runs.PredictionsFile, runs.SkippedFile,
		runs.NeighboursFile, runs.MapsFile); err != nil {
		return page.Report{}, err
	}
	r := page.Report{
		Title: filepath.Base(c.Data.Path), Classes: c.Classes, Multi: c.Multi, Seed: c.Train.Seed,
		Command: strings.Join(c.Command, " "), Distance: "cosine distance of features",
		Body: page.Body{Name: c.Body.Name, Digest: c.Body.Digest, Licence: c.Body.Licence},
		Timings: []page.Timing{{Part: "features", Seconds: sum.Seconds.Precompute},
			{Part: "training", Seconds: sum.Seconds.Train}, {Part: "all", Seconds: sum.Seconds.Total}},
		Versions: []page.Fact{
			{Name: "finetune", Value: c.Version}, {Name: "ONNX Runtime", Value: c.Machine.Runtime},
			{Name: "Go", Value: runtime.Version()},
			{Name: "machine", Value: fmt.Sprintf("%s/%s, %s, device %s", runtime.GOOS, runtime.GOARCH,
				plural.Count(c.Machine.Threads, "thread"), c.Machine.Device)},
		},
	}
	if sum.TTA != nil {
		r.TTA = &page.TTA{Views: c.Train.TTA, Loss: sum.TTA.Loss, Accuracy: sum.TTA.Accuracy}
	}
	if a := sum.Aside; a != nil {
		r.Aside = &page.Aside{Images: a.Images, Accuracy: a.Accuracy, Interval: a.Interval}
	}
	if sum.Calibration != nil && !c.Multi {
		r.Temperature = sum.Calibration.Temperature
		if sum.Calibration.Valid {
			r.CrossedError = sum.Calibration.ECE
		}
	}
	audit, err := runs.ReadAudit(run)
	if err != nil {
		return page.Report{}, err
	}
	r.Audit, r.Load = audit.Sections, Opener(c)
	r.MoreLabels, r.LabelNote = moreLabels(audit.Curve)
	r.TrainCount = make([]int, len(c.Classes))
	if c.Data.Job != "" { // too many for predictions.csv
		for i, n := range sum.Counts {
			r.TrainCount[i] = n.Train
		}
	}
	return r, errors.Join(gatherHistory(run, &r), gatherSteps(run, &r), gatherPredictions(run, c, &r),
		gatherSkipped(run, &r), gatherNeighbours(run, c, &r), gatherRecipe(run, &r), gatherMaps(run, c, &r))
}

// Shown lists the photographs that the report of a run will show with their predictions, as soon as those are
// written.
func Shown(run string) ([]string, error) {
	c, err := runs.ReadConfig(run)
	if err != nil {
		return nil, err
	}
	r := page.Report{Classes: c.Classes, Multi: c.Multi, Seed: c.Train.Seed, TrainCount: make([]int, len(c.Classes))}
	err = errors.Join(gatherPredictions(run, c, &r), gatherNeighbours(run, c, &r))
	return page.Shown(r), err
}

// gatherMaps reads where the model looks.
func gatherMaps(run string, c runs.Config, r *page.Report) error {
	maps, err := runs.ReadMaps(run, c.Classes)
	if err != nil {
		return err
	}
	r.Looks = map[string]page.Look{}
	for _, m := range maps {
		r.Looks[m.Path] = page.Look{Class: runs.ClassName(c.Classes, m.Class), Rows: m.Rows, Columns: m.Columns,
			Levels: m.Levels}
	}
	r.View = page.View{Whole: c.Images.Crop == "no", Share: 1}
	if im := c.Images; im.Resize > im.Size {
		r.View.Share = float64(im.Size) / float64(im.Resize)
	}
	return nil
}

func gatherHistory(run string, r *page.Report) error {
	return runs.ReadTable(runs.TableOf(run, runs.HistoryFile), []string{"epoch", "trn_loss", "val_loss", "accuracy"},
		func(cells map[string]string, _ []string) error {
			c := runs.CellReader{Cells: cells}
			r.History = append(r.History, plots.Epoch{
				Epoch: c.Int("epoch") + 1, TrainLoss: c.Float("trn_loss"), ValidLoss: c.Float("val_loss"),
				Accuracy: c.Float("accuracy"), Seconds: c.Float("seconds"),
			})
			return c.Err
		})
}

func gatherSteps(run string, r *page.Report) error {
	var columns []string
	return runs.ReadTable(runs.TableOf(run, runs.StepsFile), []string{"step", "momentum", "loss"},
		func(cells map[string]string, header []string) error {
			if columns == nil {
				for _, h := range header {
					if h == "lr" || strings.HasPrefix(h, "lr_") {
						columns = append(columns, h)
						r.Groups = append(r.Groups, strings.TrimPrefix(strings.TrimPrefix(h, "lr"), "_"))
					}
				}
				r.Rates = make([][]float64, len(columns))
			}
			c := runs.CellReader{Cells: cells}
			for i, h := range columns {
				r.Rates[i] = append(r.Rates[i], c.Float(h))
			}
			r.Momentum, r.StepLoss = append(r.Momentum, c.Float("momentum")), append(r.StepLoss, c.Float("loss"))
			return c.Err
		})
}

func gatherPredictions(run string, c runs.Config, r *page.Report) error {
	index := map[string]int{}
	for i, name := range c.Classes {
		index[name] = i
	}
	return runs.ReadTable(runs.TableOf(run, runs.PredictionsFile), []string{"split", "path", "label"},
		func(cells map[string]string, header []string) error {
			p, err := reportPrediction(cells, header, index, c)
			if err != nil {
				return err
			}
			switch cells["split"] {
			case "valid":
				r.Valid = append(r.Valid, p)
			case "train":
				for _, y := range append(p.Labels, p.Label) {
					if y >= 0 {
						r.TrainCount[y]++
					}
				}
			}
			return nil
		})
}

func reportPrediction(cells map[string]string, header []string, index map[string]int,
	c runs.Config) (plots.Prediction, error) {
	p, cell := plots.Prediction{Path: scores.Rearm(cells["path"]), Label: -1}, runs.CellReader{Cells: cells}
	if text := cells["oddness"]; text != "" {
		p.Oddness = float32(cell.Float("oddness"))
	}
	if cells["split"] == "valid" {
		for _, h := range header {
			if strings.HasPrefix(h, "logp_") {
				p.LogProbs = append(p.LogProbs, float32(cell.Float(h)))
			}
		}
		if len(p.LogProbs) != len(c.Classes) {
			return p, fmt.Errorf("%s for %s", plural.Count(len(p.LogProbs), "probability"),
				plural.Count(len(c.Classes), "class"))
		}
	}
	names := []string{scores.Rearm(cells["label"])}
	if c.Multi {
		names = strings.Split(names[0], c.Data.LabelSep)
	}
	for _, name := range names {
		y, ok := index[name]
		switch {
		case !ok && name != "":
			return p, fmt.Errorf("class %q is not one of config.json's", name)
		case !ok:
		case c.Multi:
			p.Labels = append(p.Labels, y)
		default:
			p.Label = y
		}
	}
	return p, cell.Err
}

// gatherRecipe reads what a recipe's steps bought, and its learning-rate curve.
func gatherRecipe(run string, r *page.Report) error {
	err := runs.ReadTable(runs.TableOf(run, runs.RecipeFile), []string{"step", "right", "n", "seconds"},
		func(cells map[string]string, _ []string) error {
			c := runs.CellReader{Cells: cells}
			r.Gains = append(r.Gains, plots.Gain{Step: cells["step"], Right: c.Int("right"), N: c.Int("n"),
				Seconds: c.Float("seconds")})
			return c.Err
		})
	var s plots.RateSearch
	err = errors.Join(err, runs.ReadTable(runs.TableOf(run, runs.RateFile), []string{"lr", "loss"},
		func(cells map[string]string, _ []string) error {
			c := runs.CellReader{Cells: cells}
			s.Rates, s.Losses = append(s.Rates, c.Float("lr")), append(s.Losses, c.Float("loss"))
			return c.Err
		}))
	if len(s.Rates) > 0 {
		s.Suggestion, s.Rule = schedule.Suggest(s.Rates, s.Losses), schedule.SuggestRule
		r.RateSearch = &s
	}
	return err
}

func gatherSkipped(run string, r *page.Report) error {
	return runs.ReadTable(runs.TableOf(run, runs.SkippedFile), []string{"path", "status", "reason"},
		func(cells map[string]string, _ []string) error {
			r.Skipped = append(r.Skipped, page.Skipped{Path: scores.Rearm(cells["path"]), Status: cells["status"],
				Reason: scores.Rearm(cells["reason"])})
			return nil
		})
}

func gatherNeighbours(run string, c runs.Config, r *page.Report) error {
	at := map[string]int{}
	for i, p := range r.Valid {
		at[p.Path] = i
	}
	return runs.ReadTable(runs.TableOf(run, runs.NeighboursFile),
		[]string{"path", "neighbour", "label", "distance", "duplicate"}, func(cells map[string]string, _ []string) error {
			i, ok := at[scores.Rearm(cells["path"])]
			if !ok {
				return fmt.Errorf("%q is not among the predictions", cells["path"])
			}
			cell := runs.CellReader{Cells: cells}
			p := &r.Valid[i]
			p.Neighbours = append(p.Neighbours, plots.Neighbour{
				Path: scores.Rearm(cells["neighbour"]), Label: slices.Index(c.Classes, scores.Rearm(cells["label"])),
				Distance: cell.Float("distance"), Duplicate: cells["duplicate"] == "yes",
			})
			return cell.Err
		})
}

// Opener returns how to open a photograph of the run's data by its path. Only
// files below the data's own folder are opened.
func Opener(c runs.Config) func(path string) (image.Image, error) {
	roots := []string{c.Data.Path}
	if c.Data.Labels != "" { // its paths are relative to its own folder, or to DATA
		roots = []string{filepath.Dir(c.Data.Labels), cmp.Or(c.Data.Path, ".")}
	}
	for i, root := range roots {
		if at, err := remote.Root(root); err == nil { // or the photographs are shown by name alone
			roots[i] = at
		}
	}
	return func(path string) (image.Image, error) {
		if !filepath.IsLocal(naming.FilePath(".", path)) {
			return nil, fmt.Errorf("learner: %s: not below %s", path, roots[0])
		}
		var data []byte
		var err error
		for _, root := range roots {
			if data, err = reading.File(naming.FilePath(root, path), reading.MaxPhoto); err == nil {
				break
			}
		}
		if err != nil {
			return nil, err
		}
		limits := c.Machine.Limits(context.Background())
		limits.Depth = c.Images.DepthRange
		limits.MinSide = 200 // enough for a gallery's card
		im, err := picture.Decode(data, limits)
		if err != nil {
			return nil, err
		}
		return im.NRGBA(), nil
	}
}
