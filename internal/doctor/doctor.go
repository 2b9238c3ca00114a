// Package doctor says what of finetune's surroundings is there, what is missing
// or broken, and the command that fixes it.
package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Status of a finding, from good to bad.
type Status int

const (
	OK      Status = iota
	Absent         // not there, and not needed for what finetune does by default
	Missing        // not there, and needed
	Broken         // there, and unusable
)

func (s Status) String() string { return [...]string{"ok", "absent", "missing", "broken"}[s] }

// MarshalText gives a status its name in JSON.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing looked at.
type Finding struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Detail string `json:"detail"`        // what was found: paths, versions, digests, reasons
	Fix    string `json:"fix,omitempty"` // the command that fixes it
}

// Check looks at everything and never fails: what goes wrong is a finding. It
// loads ONNX Runtime and reads every installed file once: half a second, and some
// seconds more where the CUDA libraries (2.4 GB) are installed.
func Check() []Finding {
	found := []Finding{folder()}
	found = append(found, library()...)
	found = append(found, weights()...)
	return append(found, photographs(), cache(), processor(), decoder(), openVINO(), oneDNN(), cuda())
}

// Worst is the worst status among findings.
func Worst(findings []Finding) Status {
	worst := OK
	for _, f := range findings {
		worst = max(worst, f.Status)
	}
	return worst
}

// Print writes findings as a table for people, each fix below its finding.
func Print(w io.Writer, findings []Finding) {
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Name))
	}
	for _, f := range findings {
		lines := strings.Split(f.Detail, "\n")
		fmt.Fprintf(w, "%-7s  %-*s  %s\n", f.Status, width, f.Name, lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(w, "%*s%s\n", 7+2+width+2, "", line)
		}
		if f.Fix != "" {
			fmt.Fprintf(w, "%*s%s: %s\n", 7+2+width+2, "", map[bool]string{true: "fix", false: "get it"}[f.Status >= Missing],
				f.Fix)
		}
	}
}
