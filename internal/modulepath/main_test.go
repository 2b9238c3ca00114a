package main

import (
	"os"
	"path/filepath"
	"testing"
)

const before = `// Package p shows
//
//	import "old/head"
package p

import (
	"old"
	"older/other"

	"old/head"
	h "old/internal/home"
)

var names = []string{"old", "old/head"} // names of a program and of a file

func f() { exec.Command("go", "build", "old", "old/...", head.X, h.Y); run.Command("old", "old/x") }
`

const after = `// Package p shows
//
//	import "host.org/me/new/head"
package p

import (
	"host.org/me/new"
	"older/other"

	"host.org/me/new/head"
	h "host.org/me/new/internal/home"
)

var names = []string{"old", "old/head"} // names of a program and of a file

func f() {
	exec.Command("go", "build", "host.org/me/new", "host.org/me/new/...", head.X, h.Y)
	run.Command("old", "old/x")
}
`

func TestRename(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("go.mod", "module old\n\ngo 1.26.0\n")
	put("tools/go.mod", "module old/tools\n\ngo 1.26.0\n")
	put("p/p.go", before)
	put("docs/page.md", "`import \"old/head\"`, and the program old lies in ~/.cache/old/bin\n")
	put(".git/hooks/x.go", before)
	if err := run(dir, "host.org/me/new"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"go.mod":          "module host.org/me/new\n\ngo 1.26.0\n",
		"tools/go.mod":    "module host.org/me/new/tools\n\ngo 1.26.0\n",
		"p/p.go":          after,
		"docs/page.md":    "`import \"host.org/me/new/head\"`, and the program old lies in ~/.cache/old/bin\n",
		".git/hooks/x.go": before,
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, want)
		}
	}
	if err := run(dir, "no path at all"); err == nil {
		t.Error("a path with spaces is taken")
	}
}
