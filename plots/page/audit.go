package page

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"io"
	"path/filepath"
	"slices"

	"finetune/internal/durable"
	"finetune/plots"
)

// Audit is what an audit of a data set shows.
type Audit struct {
	Over     string // what stands above the headline, before Title; "": an audit, with its tables beside the page
	Title    string // the data set's name
	Headline string
	Tiles    []Tile
	Warnings []string
	Sections []Section
	// Load opens a photograph by its path, upright; nil leaves pictures out. It is called
	// from several goroutines.
	Load func(path string) (image.Image, error)
}

// Tile is a number at the top of a page.
type Tile struct{ Name, Value, Note string }

// Section is a kind of finding.
type Section struct {
	ID      string     `json:"kind"`
	Title   string     `json:"title"`
	Finding string     `json:"finding,omitempty"` // the line that the command prints, "" if there is nothing to say
	Note    string     `json:"note,omitempty"`    // how to read it
	Cases   []Case     `json:"cases,omitempty"`   // the worst first
	All     int        `json:"all"`               // cases that there are, shown or not
	Columns []string   `json:"columns,omitempty"`
	Table   [][]string `json:"table,omitempty"`
}

// Case is one finding with its photographs: a pair, one beside its neighbours, or one alone.
type Case struct {
	Text    string `json:"text"`
	Flagged bool   `json:"flagged"`
	Shots   []Shot `json:"shots,omitempty"`
}

// Shot is a photograph of a case.
type Shot struct {
	Path  string `json:"path"`
	Label string `json:"label,omitempty"`
	Said  string `json:"said,omitempty"` // what is suggested
	Note  string `json:"note,omitempty"`
	Wrong bool   `json:"wrong,omitempty"` // what the case is about
}

//go:embed audit.html.tmpl
var auditText string

//go:embed audit.css
var auditStyle string

var auditTemplate = template.Must(template.Must(pageTemplate.Clone()).New("audit").Parse(auditText)) // shares "frame"

type (
	auditView struct {
		Style                            template.CSS
		StyleHash, Title, Headline, Over string
		Tiles                            []Tile
		Warnings                         []string
		Sections                         []sectionView
	}
	sectionView struct {
		Section
		Cases, MoreCases []caseView
		Left             string
		Single           bool // one picture a case at most
	}
	caseView struct {
		Case
		Form  string // of its row of pictures
		Shots []shotView
	}
	shotView struct {
		Shot
		URI       template.URL
		Alt, Name string
	}
)

// What is shown of a section before the rest folds away, and at most.
const (
	openCases = 6
	mostCases = 18
)

// WriteAudit writes the page of an audit, one file that needs no other but for the tables
// beside it that it links to. Equal audits give equal files.
func WriteAudit(path string, a Audit) error {
	thumbs := thumbnails(shotPaths(a.Sections), auditShots, a.Load)
	style := pageStyle + auditStyle
	sum := sha256.Sum256([]byte(style))
	v := auditView{Style: template.CSS(style), StyleHash: base64.StdEncoding.EncodeToString(sum[:]), Title: a.Title,
		Headline: a.Headline, Over: a.Over, Tiles: a.Tiles, Warnings: a.Warnings}
	left := "%s more in audit.csv."
	if a.Over != "" {
		left = "%s more."
	}
	for _, s := range a.Sections {
		v.Sections = append(v.Sections, sectionOf(s, thumbs, left))
	}
	err := durable.Write(path, func(w io.Writer) error { return auditTemplate.Execute(w, v) })
	if err != nil {
		return fmt.Errorf("plots: %s: %w", filepath.Dir(path), err)
	}
	return nil
}

// shotPaths lists the photographs of sections, in page order.
func shotPaths(sections []Section) (paths []string) {
	for _, s := range sections {
		for _, c := range s.Cases[:min(mostCases, len(s.Cases))] {
			for _, shot := range c.Shots {
				paths = append(paths, shot.Path)
			}
		}
	}
	return paths
}

// sectionOf is a section as a page shows it; left says where those are that it does not show.
func sectionOf(s Section, thumbs map[string]thumb, left string) sectionView {
	several := func(c Case) bool { return len(c.Shots) > 1 }
	v := sectionView{Section: s, Single: !slices.ContainsFunc(s.Cases, several)}
	for k, c := range s.Cases[:min(mostCases, len(s.Cases))] {
		view := caseOf(c, thumbs)
		if k < openCases {
			v.Cases = append(v.Cases, view)
		} else {
			v.MoreCases = append(v.MoreCases, view)
		}
	}
	if n := max(s.All, len(s.Cases)) - min(mostCases, len(s.Cases)); n > 0 {
		v.Left = fmt.Sprintf(left, plots.Count(n))
	}
	return v
}

// audit is what a report shows of an audit.
func (b *builder) audit() (out []sectionView) {
	thumbs := thumbnails(shotPaths(b.r.Audit), auditShots, b.r.Load)
	for _, s := range b.r.Audit {
		out = append(out, sectionOf(s, thumbs, "%s more are listed by finetune audit."))
	}
	return out
}

func caseOf(c Case, thumbs map[string]thumb) caseView {
	v := caseView{Case: c}
	switch len(c.Shots) {
	case 1:
		v.Form = "one"
	case 2:
		v.Form = "pair"
	}
	for _, s := range c.Shots {
		name := baseName(s.Path)
		v.Shots = append(v.Shots, shotView{Shot: s, URI: thumbs[s.Path].URI, Name: name,
			Alt: fmt.Sprintf("%s: %s", name, cmp.Or(s.Label, "no label"))})
	}
	return v
}
