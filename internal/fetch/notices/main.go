// Command notices writes the licences of all that is linked into the binary, to
// go with it wherever it goes:
//
//	go run ./internal/fetch/notices -tags nodynamic -o bin/THIRD_PARTY_NOTICES.txt
//
// The texts are those in the module cache and in Go's own folder.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"finetune/internal/durable"
	"finetune/internal/licences"
	"finetune/internal/plural"
)

func main() {
	tags := flag.String("tags", "", "build `TAGS` of the binary")
	out := flag.String("o", "THIRD_PARTY_NOTICES.txt", "`FILE` to write")
	flag.Parse()
	if err := run(*tags, *out); err != nil {
		fmt.Fprintf(os.Stderr, "notices: %v\n", err)
		os.Exit(1)
	}
}

const head = `The program finetune is licensed under the Apache License 2.0. It contains the
modules below, each under its own licence. Where a licence lets one choose, as
FreeType's (FTL or GPL), the first is taken: portions of this software are
copyright The FreeType Project (www.freetype.org).

What "finetune fetch" brings is not part of the program; its licences lie beside
it, or are shown by "finetune fetch".
`

func run(tags, out string) error {
	modules, err := licences.Linked(tags)
	if err != nil {
		return err
	}
	system, err := systemTexts()
	if err != nil {
		return err
	}
	modules = append(system, modules...)
	err = durable.Write(out, func(w io.Writer) error {
		_, err := io.WriteString(w, head)
		for _, m := range modules {
			err = errors.Join(err, section(w, m))
		}
		return err
	})
	if err == nil {
		fmt.Printf("%s: licences of %s\n", out, plural.Count(len(modules), "module"))
	}
	return err
}

func section(w io.Writer, m licences.Module) (err error) {
	line := strings.Repeat("=", 78)
	_, err = fmt.Fprintf(w, "\n%s\n%s %s  (%s)\n%s\n", line, m.Path, m.Version, strings.Join(m.IDs(), " AND "), line)
	for _, f := range m.Files {
		_, e := fmt.Fprintf(w, "\n[%s]\n\n%s\n", filepath.ToSlash(f.Name), strings.TrimSpace(f.Text))
		err = errors.Join(err, e)
	}
	return err
}

// systemTexts are of what is linked in and is no module.
func systemTexts() ([]licences.Module, error) {
	root, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	dir, version, _ := strings.Cut(strings.TrimSpace(string(root)), "\n")
	text, err := os.ReadFile(filepath.Join(dir, "LICENSE"))
	if err != nil {
		return nil, err
	}
	return []licences.Module{{Path: "Go's standard library", Version: version,
		Files: []licences.File{{Name: "LICENSE", Text: string(text), ID: licences.Name(string(text))}}}}, nil
}
