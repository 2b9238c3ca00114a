package cli

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pages are the Markdown files of the repository, relative to this folder.
func pages(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch hidden := strings.HasPrefix(d.Name(), ".") && path != ".."; {
		case err != nil:
			return err
		case d.IsDir() && (hidden || slices.Contains([]string{"bin", "dist", "runs"}, d.Name())):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("only %d pages were found", len(out))
	}
	return out
}

var (
	linkIn    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingIn = regexp.MustCompile("(?m)^#+ (.*)$")
	fence     = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```")
	notAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the names by which a link can reach a page's headings, formed as GitHub does.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range headingIn.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		name := strings.ReplaceAll(notAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		for at, n := name, 1; ; at, n = name+"-"+strconv.Itoa(n), n+1 {
			if !out[at] {
				out[at] = true
				break
			}
		}
	}
	return out
}

// Every link between pages, and from a page to a file or a picture, leads somewhere.
func TestLinksOfDocumentsResolve(t *testing.T) {
	links := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range linkIn.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			there, err := os.ReadFile(target)
			if info, e := os.Stat(target); e == nil && info.IsDir() {
				err = nil
			}
			switch {
			case err != nil:
				t.Errorf("%s: the link %s leads nowhere: %v", page, m[1], err)
			case anchor != "" && !anchors(string(there))[anchor]:
				t.Errorf("%s: %s has no heading for the link %s", page, target, m[1])
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links were found", links)
	}
}

// Every command, flag and Makefile target in the shell blocks of a page exists, and so does what its lines of text
// name.
func TestCommandsOfDocumentsExist(t *testing.T) {
	k := names(t)
	commands := 0
	for _, page := range pages(t) {
		if strings.Contains(page, "CHANGELOG") || strings.Contains(page, "/lab/") {
			continue // which tell of the past
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range shellCommands(string(text)) {
			words := strings.Fields(c)
			switch filepath.Base(words[0]) {
			case "finetune":
				commands++
				if len(words) > 1 && !strings.HasPrefix(words[1], "-") {
					k.check(t, page, "`finetune "+strings.Join(words[1:], " ")+"`")
				}
			case "make":
				for _, w := range words[1:] {
					if !strings.ContainsAny(w, "=#-") {
						k.check(t, page, "`make "+w+"`")
					}
				}
			}
		}
		prose := fence.ReplaceAllString(string(text), "")
		for i, line := range strings.Split(prose, "\n") {
			if !strings.Contains(page, "reference/cli.md") { // whose flags stand apart from their commands
				k.check(t, page+": line "+strconv.Itoa(i+1)+" of the text", strings.ReplaceAll(line, "](", "]( http"))
			}
		}
	}
	if commands < 20 {
		t.Errorf("only %d commands were found", commands)
	}
}

// shellCommands are the commands in a page's blocks of shell: one each, lines that end in a backslash joined, comments,
// variables before the command and prompts taken away.
func shellCommands(page string) []string {
	var out []string
	for _, block := range fence.FindAllStringSubmatch(page, -1) {
		if !slices.Contains([]string{"sh", "console"}, block[1]) {
			continue
		}
		for _, line := range strings.Split(strings.ReplaceAll(block[2], "\\\n", " "), "\n") {
			if block[1] == "console" {
				prompt, found := strings.CutPrefix(line, "$ ")
				if !found {
					continue
				}
				line = prompt
			}
			for _, part := range regexp.MustCompile(`\s*(?:&&|\|\||[|;])\s+`).Split(strings.SplitN(line+" ", " #", 2)[0], -1) {
				part = regexp.MustCompile(`^(?:[A-Z_]+=\S*\s+)+`).ReplaceAllString(strings.TrimSpace(part), "")
				if part != "" && part[0] != '#' {
					out = append(out, part)
				}
			}
		}
	}
	return out
}

// The Go programs of the pages build within this module.
func TestGoOfDocumentsBuilds(t *testing.T) {
	programs := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
			if block[1] != "go" || !strings.HasPrefix(block[2], "package main") {
				continue
			}
			programs++
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, []byte(block[2]), 0o666); err != nil {
				t.Fatal(err)
			}
			build := exec.Command("go", "build", "-o", os.DevNull, file)
			build.Dir = ".."
			if out, err := build.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", page, err, out)
			}
		}
	}
	if programs == 0 {
		t.Error("no page has a program")
	}
}
