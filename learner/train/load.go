package train

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"finetune/head"
	"finetune/internal/failure"
	"finetune/learner/runs"
)

// headPath finds what --load names: a RUN, a file, or a name saved in the
// current run or the one that it is to replace; nil for no run.
func headPath(load string, run *runs.Run) (string, error) {
	tried := []string{filepath.Join(load, runs.HeadFile)}
	if run != nil {
		tried = append(tried, run.Saved(load))
		if run.Replaces() {
			tried = append(tried, filepath.Join(run.Name, runs.SavedDir, load+".safetensors"))
		}
	}
	tried = append(tried, load)
	for _, p := range tried {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", failure.Usage(fmt.Errorf("learner: --load %s: neither a finished run nor a name saved in this run; "+
		"looked for %s", load, strings.Join(tried, ", ")))
}

// load puts a saved head's weights into h. The data's classes must be the
// head's; the body must be the one it was trained on, the image size need not.
func (tr *training) load(h *head.Head) error {
	path, err := headPath(tr.Config.Train.Load, tr.run)
	if err != nil {
		return err
	}
	from, m, err := runs.ReadHead(path)
	if err != nil {
		return err
	}
	if strings.Join(m.Classes, "\x00") != strings.Join(tr.Set.Classes, "\x00") {
		return failure.Data(fmt.Errorf("learner: %s: trained on the classes %s, the data has %s", path,
			strings.Join(m.Classes, ", "), strings.Join(tr.Set.Classes, ", ")))
	}
	if m.Body.Digest != tr.Config.Body.Digest {
		return failure.Usage(fmt.Errorf("learner: %s: trained on the body %s %.12s, this run has %s %.12s; add --body %s",
			path, m.Body.Name, m.Body.Digest, tr.Config.Body.Name, tr.Config.Body.Digest, m.Body.Name))
	}
	if err := h.Restore(from.State()); err != nil {
		return failure.Usage(fmt.Errorf("learner: %s: %w; give the same --hidden and --dropout", path, err))
	}
	tr.UI.Say("loaded     %s, trained at %d px", path, m.Images.Size)
	return nil
}
