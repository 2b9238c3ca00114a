package runs

import (
	"errors"
	"os"
	"path/filepath"

	"finetune/audit"
	"finetune/plots/page"
)

// Audit is RUN/audit.json: what an audit says of the photographs that a run begins with.
type Audit struct {
	Findings []Finding         `json:"findings"`
	Sections []page.Section    `json:"sections"` // the worst of each kind of finding
	Curve    *audit.LabelCurve `json:"label_curve,omitempty"`
}

// KeepAudit writes RUN/audit.json.
func (r *Run) KeepAudit(a *Audit) error {
	if err := WriteJSON(r.Path(AuditFile), a); err != nil {
		return err
	}
	return r.WriteSums(ConfigFile, PhotographsFile, AuditFile)
}

// ReadAudit reads RUN/audit.json; it is empty where nobody looked.
func ReadAudit(run string) (a Audit, err error) {
	path := filepath.Join(run, AuditFile)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return a, nil
	}
	if err := CheckSums(run, AuditFile); err != nil {
		return a, err
	}
	return a, readJSON(path, &a)
}
