// Package licences finds the licence texts of the modules that a program is
// linked from, and their SPDX names.
//
// The texts are those in the module cache, which the build itself reads.
package licences

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"finetune/internal/plural"
)

// Module is a linked module with every licence and notice that lies at its root
// or on the way to a linked package.
type Module struct {
	Path, Version string
	Files         []File
}

// File is a licence or a notice.
type File struct {
	Name string // relative to the module
	Text string
	ID   string // SPDX; "" for a notice or a text that grants nothing by itself
}

// IDs are the SPDX names of a module's licences, sorted.
func (m Module) IDs() []string {
	var ids []string
	for _, f := range m.Files {
		if f.ID != "" && !slices.Contains(ids, f.ID) {
			ids = append(ids, f.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// named is what such files are called.
var named = regexp.MustCompile(`(?i)^(licen[sc]e|copying|notice|patents|ftl)([-._].*)?$`)

// signs are sentences of each licence, the more particular first.
var signs = []struct{ id, sentence string }{
	{"LGPL-3.0-only", "GNU LESSER GENERAL PUBLIC LICENSE Version 3"},
	{"GPL-3.0-only", "GNU GENERAL PUBLIC LICENSE Version 3"},
	{"GPL-2.0-only", "GNU GENERAL PUBLIC LICENSE Version 2"},
	{"LGPL-2.1-only", "GNU LESSER GENERAL PUBLIC LICENSE Version 2.1"},
	{"MPL-2.0", "Mozilla Public License Version 2.0"},
	{"OFL-1.1", "SIL OPEN FONT LICENSE Version 1.1"},
	{"CC-BY-4.0", "Attribution 4.0 International"},
	{"Apache-2.0", "Apache License Version 2.0"},
	{"BSD-3-Clause", "may be used to endorse or promote products"},
	{"BSD-2-Clause", "Redistributions in binary form must reproduce"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee"},
	{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose with or without fee"},
	{"FTL", "The FreeType Project LICENSE"},
	{"Zlib", "This software is provided 'as-is', without any express or implied warranty"},
	{"Unlicense", "This is free and unencumbered software released into the public domain"},
}

// Name is the SPDX name of a licence text, "" where none of ours fits.
func Name(text string) string {
	flat := strings.Join(strings.Fields(text), " ")
	for _, s := range signs {
		if strings.Contains(strings.ToLower(flat), strings.ToLower(s.sentence)) {
			return s.id
		}
	}
	return ""
}

// listed is a package as `go list` prints it.
type listed struct {
	Dir    string
	Module *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version, Dir string }
	}
}

// Linked lists the modules of the program in the current folder, built with
// tags, by path. Errors: a module without a licence, or with one that is not known, is named.
func Linked(tags string) ([]Module, error) {
	cmd := exec.Command("go", "list", "-deps", "-tags", tags, "-json=Dir,Module", ".")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("licences: go list: %w: %s", err, errs.String())
	}
	modules := map[string]*Module{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("licences: go list: %w", err)
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		if err := gather(modules, p); err != nil {
			return nil, err
		}
	}
	return sorted(modules)
}

func sorted(modules map[string]*Module) ([]Module, error) {
	var list []Module
	var bad error
	for _, m := range modules {
		if len(m.IDs()) == 0 {
			bad = errors.Join(bad, fmt.Errorf("licences: %s %s: no licence that is known among its %s; look at it and "+
				"add its sentence", m.Path, m.Version, plural.Count(len(m.Files), "file")))
		}
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return list, bad
}

// gather adds the texts between a linked package and the root of its module.
func gather(modules map[string]*Module, p listed) error {
	path, version, root := p.Module.Path, p.Module.Version, p.Module.Dir
	if r := p.Module.Replace; r != nil {
		path, version, root = r.Path, r.Version, r.Dir
	}
	m := modules[path]
	if m == nil {
		m = &Module{Path: path, Version: version}
		modules[path] = m
		for _, sub := range []string{"licenses", "lib"} { // gen2brain's modules keep those of what they carry in lib
			if err := m.add(root, filepath.Join(root, sub)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	for dir := p.Dir; ; dir = filepath.Dir(dir) {
		if err := m.add(root, dir); err != nil {
			return err
		}
		if dir == root || len(dir) <= len(root) {
			return nil
		}
	}
}

const largest = 1 << 20 // bytes of a licence

// add takes in the texts of one folder.
func (m *Module) add(root, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("licences: %w", err)
	}
	for _, e := range entries {
		name, err := filepath.Rel(root, filepath.Join(dir, e.Name()))
		if err != nil || !e.Type().IsRegular() || filepath.Ext(name) == ".go" || !named.MatchString(e.Name()) {
			continue
		}
		if slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == name }) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("licences: %w", err)
		}
		if len(text) > largest {
			return fmt.Errorf("licences: %s: more than %d bytes", filepath.Join(dir, e.Name()), largest)
		}
		m.Files = append(m.Files, File{name, string(text), Name(string(text))})
	}
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return nil
}
