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
	ID, Title string
	Finding   string // the line that the command prints, "" if there is nothing to say
	Note      string // how to read it
	Cases     []Case // the worst first
	All       int    // cases that there are, shown or not
	Columns   []string
	Table     [][]string
}

// Case is one finding with its photographs: a pair, one beside its neighbours, or one alone.
type Case struct {
	Text    string
	Flagged bool
	Shots   []Shot
}

// Shot is a photograph of a case.
type Shot struct {
	Path  string
	Label string
	Said  string // what is suggested
	Note  string
	Wrong bool // what the case is about
}

//go:embed audit.html.tmpl
var auditText string

//go:embed audit.css
var auditStyle string

var auditTemplate = template.Must(template.Must(pageTemplate.Clone()).New("audit").Parse(auditText)) // shares "frame"

type (
	auditView struct {
		Style                      template.CSS
		StyleHash, Title, Headline string
		Tiles                      []Tile
		Warnings                   []string
		Sections                   []sectionView
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
	var paths []string
	for _, s := range a.Sections {
		for _, c := range s.Cases[:min(mostCases, len(s.Cases))] {
			for _, shot := range c.Shots {
				paths = append(paths, shot.Path)
			}
		}
	}
	thumbs := thumbnails(paths, auditShots, a.Load)
	style := pageStyle + auditStyle
	sum := sha256.Sum256([]byte(style))
	v := auditView{Style: template.CSS(style), StyleHash: base64.StdEncoding.EncodeToString(sum[:]), Title: a.Title,
		Headline: a.Headline, Tiles: a.Tiles, Warnings: a.Warnings}
	for _, s := range a.Sections {
		several := func(c Case) bool { return len(c.Shots) > 1 }
		section := sectionView{Section: s, Single: !slices.ContainsFunc(s.Cases, several)}
		for k, c := range s.Cases[:min(mostCases, len(s.Cases))] {
			view := caseOf(c, thumbs)
			if k < openCases {
				section.Cases = append(section.Cases, view)
			} else {
				section.MoreCases = append(section.MoreCases, view)
			}
		}
		if left := max(s.All, len(s.Cases)) - min(mostCases, len(s.Cases)); left > 0 {
			section.Left = fmt.Sprintf("%s more in audit.csv.", plots.Count(left))
		}
		v.Sections = append(v.Sections, section)
	}
	err := durable.Write(path, func(w io.Writer) error { return auditTemplate.Execute(w, v) })
	if err != nil {
		return fmt.Errorf("plots: %s: %w", filepath.Dir(path), err)
	}
	return nil
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
