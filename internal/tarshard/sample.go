package tarshard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"finetune/internal/failure"
	"finetune/internal/plural"
)

// Sample is a photograph with what its shard says about it. A key with two photographs
// is two samples.
type Sample struct {
	Key      string // the name up to the first dot of the file name
	Photo    Member
	Data     []byte // the photograph's bytes; nil without a stream
	Label    string // of .cls, else of .json; "" without one
	LabelErr error  // why a label could not be read: nil, or marked failure.Data
}

// most are the members and the photographs' bytes of one sample.
const (
	mostMembers = 256
	mostBytes   = 2 * MaxPhoto
)

// photographs are the extensions of photographs' members.
var photographs = map[string]bool{"jpg": true, "jpeg": true, "jpe": true, "png": true, "gif": true, "bmp": true,
	"tif": true, "tiff": true, "webp": true, "heic": true, "heif": true, "avif": true}

// labels are the names in a .json member, in the order in which they are looked for.
var labels = []string{"label", "class", "cls"}

// Split divides a member's name into key and extension (lower case). ok is false for
// names that belong to no sample: without a dot, beginning with one (webdataset would
// make a/.x a sample "a/"), or below __NAME__.
func Split(name string) (key, extension string, ok bool) {
	first, _, _ := strings.Cut(name, "/")
	if len(first) >= 4 && strings.HasPrefix(first, "__") && strings.HasSuffix(first, "__") {
		return "", "", false
	}
	base := name[strings.LastIndexByte(name, '/')+1:]
	stem, extension, ok := strings.Cut(base, ".")
	if !ok || stem == "" {
		return "", "", false
	}
	return name[:len(name)-len(base)] + stem, strings.ToLower(extension), true
}

// IsPhotograph reports whether an extension, such as jpg or left.jpg, is a photograph's.
func IsPhotograph(extension string) bool {
	return photographs[strings.TrimPrefix(path.Ext("x."+extension), ".")]
}

// grouper gathers the members of a sample, which follow each other.
type grouper struct {
	visit func(Sample) error
	lazy  bool // photographs are not read

	key       string
	seen      map[string]bool // extensions
	photos    []Sample
	bytes     int64
	cls, json *string
}

// add takes a member; read is called at most once.
func (g *grouper) add(m Member, read func() ([]byte, error)) error {
	key, extension, ok := Split(m.Name)
	if !ok {
		return nil
	}
	if g.seen == nil || key != g.key {
		if err := g.end(); err != nil {
			return err
		}
		g.key, g.seen = key, map[string]bool{}
	}
	if g.seen[extension] {
		return failure.Data(fmt.Errorf("tarshard: %q is there twice in one sample; rename one", m.Name))
	}
	if g.seen[extension] = true; len(g.seen) > mostMembers {
		return failure.Data(fmt.Errorf("tarshard: %q: a sample of more than %d members", m.Name, mostMembers))
	}
	switch {
	case IsPhotograph(extension):
		return g.photo(m, read)
	case extension == "cls":
		return text(&g.cls, m, read)
	case extension == "json":
		return text(&g.json, m, read)
	}
	return nil
}

func (g *grouper) photo(m Member, read func() ([]byte, error)) (err error) {
	if m.Size > MaxPhoto {
		return failure.Data(fmt.Errorf("tarshard: %q: %s, more than %d; take it out", m.Name, plural.Count(m.Size, "byte"),
			MaxPhoto))
	}
	s := Sample{Key: g.key, Photo: m}
	if !g.lazy {
		if g.bytes += m.Size; g.bytes > mostBytes {
			return failure.Data(fmt.Errorf("tarshard: %q: a sample of more than %d bytes", m.Name, mostBytes))
		}
		if s.Data, err = read(); err != nil {
			return err
		}
	}
	g.photos = append(g.photos, s)
	return nil
}

func text(to **string, m Member, read func() ([]byte, error)) error {
	if m.Size > MaxLabel {
		return failure.Data(fmt.Errorf("tarshard: %q: %s, more than %d for a label", m.Name, plural.Count(m.Size, "byte"),
			MaxLabel))
	}
	data, err := read()
	s := string(data)
	*to = &s
	return err
}

// end visits the photographs of the sample that is complete.
func (g *grouper) end() error {
	photos := g.photos
	label, err := g.label()
	*g = grouper{visit: g.visit, lazy: g.lazy}
	for _, s := range photos {
		s.Label, s.LabelErr = label, err
		if err := g.visit(s); err != nil {
			return err
		}
	}
	return nil
}

// label is what .cls says, else .json, "" for neither.
func (g *grouper) label() (label string, err error) {
	of := ".cls"
	switch {
	case g.cls != nil:
		label = strings.TrimSpace(*g.cls)
		if label == "" {
			err = errors.New("it is empty")
		}
	case g.json != nil:
		of = ".json"
		label, err = fromJSON([]byte(*g.json))
	}
	if err == nil && (!utf8.ValidString(label) || strings.ContainsFunc(label, unicode.IsControl)) {
		err = errors.New("it is not a line of UTF-8 text")
	}
	if err != nil {
		return "", failure.Data(fmt.Errorf("tarshard: label of %q in its %s: %w", g.key, of, err))
	}
	return label, nil
}

// fromJSON is the first of labels that an object has, "" for none.
func fromJSON(data []byte) (string, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return "", fmt.Errorf("no JSON object: %w", err)
	}
	for _, name := range labels {
		value, there := object[name]
		if !there || string(value) == "null" {
			continue
		}
		var s string
		if json.Unmarshal(value, &s) == nil {
			return strings.TrimSpace(s), nil
		}
		if value = bytes.TrimSpace(value); value[0] != '{' && value[0] != '[' && value[0] != 't' && value[0] != 'f' {
			return string(value), nil // a number, as it is written
		}
		return "", fmt.Errorf("%q is neither text nor a number", name)
	}
	return "", nil
}
