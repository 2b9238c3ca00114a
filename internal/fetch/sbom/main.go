// Command sbom lists what a finetune binary is made of, and what it may fetch,
// as a CycloneDX 1.6 bill of materials:
//
//	go run ./internal/fetch/sbom -o dist/sbom.json bin/finetune
//
// Modules are those that the Go linker recorded in the binary, with the hashes
// of go.sum; downloads are those pinned in package fetch for the binary's system.
// Every other file that goes with the binary is named after it and listed with
// its digest. The same files give the same bytes.
package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/fetch"
	"finetune/internal/licences"
	"finetune/internal/plural"
)

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

// license is CycloneDX's word for one licence or an expression of several.
type license struct {
	License    *spdx  `json:"license,omitempty"`
	Expression string `json:"expression,omitempty"`
}

type spdx struct {
	ID string `json:"id"`
}

type component struct {
	Type        string     `json:"type"`
	Name        string     `json:"name"`
	Version     string     `json:"version,omitempty"`
	PURL        string     `json:"purl,omitempty"`
	Scope       string     `json:"scope,omitempty"`
	Description string     `json:"description,omitempty"`
	Hashes      []hash     `json:"hashes,omitempty"`
	Licenses    []license  `json:"licenses,omitempty"`
	Properties  []property `json:"properties,omitempty"`
}

type bom struct {
	Format   string `json:"bomFormat"`
	Spec     string `json:"specVersion"`
	Version  int    `json:"version"`
	Metadata struct {
		Component component `json:"component"`
	} `json:"metadata"`
	Components []component `json:"components"`
}

func main() {
	out := flag.String("o", "sbom.json", "`FILE` to write")
	tags := flag.String("tags", "", "build `TAGS` of the binary")
	flag.Parse()
	if flag.NArg() < 1 {
		fmt.Fprintln(os.Stderr, "usage: sbom -o FILE BINARY [FILE...]")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Args()[1:], *tags, *out); err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

func run(binary string, files []string, tags, out string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	platform, err := platformOf(info)
	if err != nil {
		return fmt.Errorf("%s: %w", binary, err)
	}
	digest, err := digest.File(binary)
	if err != nil {
		return err
	}
	b := bom{Format: "CycloneDX", Spec: "1.6", Version: 1}
	b.Metadata.Component = component{Type: "application", Name: info.Main.Path, Hashes: []hash{{"SHA-256", digest}},
		Licenses: licensed("Apache-2.0")}
	known, err := ids(tags)
	if err != nil {
		return err
	}
	inside, err := enclosed(filepath.Dir(binary), files)
	if err != nil {
		return err
	}
	b.Components = slices.Concat(modules(info, known), inside, downloads(platform))
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(out, append(data, '\n')); err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", out, plural.Count(len(b.Components), "component"))
	return nil
}

// ids are the SPDX names of each module's licences.
func ids(tags string) (map[string][]string, error) {
	linked, err := licences.Linked(tags)
	if err != nil {
		return nil, err
	}
	known := map[string][]string{}
	for _, m := range linked {
		known[m.Path] = m.IDs()
	}
	return known, nil
}

func licensed(names ...string) []license {
	if len(names) == 1 {
		return []license{{License: &spdx{names[0]}}}
	}
	if len(names) > 1 { // CycloneDX wants one expression for several
		return []license{{Expression: strings.Join(names, " AND ")}}
	}
	return nil
}

func modules(info *buildinfo.BuildInfo, known map[string][]string) []component {
	list := []component{{Type: "library", Name: "std", Version: info.GoVersion,
		PURL: "pkg:golang/std@" + info.GoVersion[2:], Licenses: licensed("BSD-3-Clause")}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		list = append(list, component{
			Type: "library", Name: m.Path, Version: m.Version, PURL: "pkg:golang/" + m.Path + "@" + m.Version, Scope: "required",
			Licenses: licensed(known[m.Path]...), Properties: []property{{"finetune:go.sum", m.Sum}},
		})
	}
	return list
}

// platformOf is the system that the binary was built for.
func platformOf(info *buildinfo.BuildInfo) (string, error) {
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	if set["GOOS"] == "" || set["GOARCH"] == "" {
		return "", errors.New("does not say which system it was built for; build it with go build")
	}
	return fetch.PlatformOf(set["GOOS"], set["GOARCH"]), nil
}

// enclosed are the files that go with the binary, named as they lie beside it.
func enclosed(dir string, files []string) ([]component, error) {
	var list []component
	for _, f := range files {
		name, err := filepath.Rel(dir, f)
		if err != nil {
			return nil, err
		}
		sum, err := digest.File(f)
		if err != nil {
			return nil, err
		}
		list = append(list, component{Type: "file", Name: filepath.ToSlash(name), Scope: "required",
			Hashes: []hash{{"SHA-256", sum}}, Licenses: licensed(licenceOf(filepath.ToSlash(name))...)})
	}
	return list, nil
}

// licenceOf is that of a file in a release: what is in lib/ is ONNX Runtime's.
func licenceOf(name string) []string {
	if strings.HasPrefix(name, "lib/") {
		return []string{"MIT"}
	}
	return []string{"Apache-2.0"}
}

func downloads(platform string) []component {
	var list []component
	for _, it := range fetch.ItemsOf(platform) {
		for _, p := range it.Pins() {
			c := component{
				Type: "data", Name: p.Name, Version: p.Version, Scope: "optional", Description: it.About + " (" + it.Licence + ")",
				Properties: []property{{"finetune:fetch", it.Name}},
			}
			if p.SHA256 != "" { // known beforehand
				c.Hashes = []hash{{"SHA-256", p.SHA256}}
			}
			list = append(list, c)
		}
	}
	return list
}
