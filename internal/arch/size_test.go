package arch

import (
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// Sizes that a reader can take in. Generated code has none, tests no package's.
const (
	mostColumns     = 120  // of a line
	mostFileLines   = 400  // of a file
	mostPackage     = 2500 // lines of a package, without tests
	mostOfFrontDoor = 600  // lines of learner
)

func TestSizes(t *testing.T) {
	for _, p := range list(t) {
		files, err := filepath.Glob(filepath.Join(p.dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		sum, most := 0, mostPackage
		if p.path == "learner" {
			most = mostOfFrontDoor
		}
		for _, f := range files {
			if strings.HasSuffix(f, ".pb.go") {
				continue
			}
			n := measure(t, f)
			if !strings.HasSuffix(f, "_test.go") {
				sum += n
			}
		}
		if sum > most {
			t.Errorf("package %s has %d lines, more than %d", p.path, sum, most)
		}
	}
}

// measure counts the lines of a file and refuses long ones. Text between back-quotes
// is data, whose lines are what they are.
func measure(t *testing.T, path string) (lines int) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data := rawLines(src)
	for line := range strings.Lines(string(src)) {
		lines++
		n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n"))
		if n > mostColumns && !data[lines] {
			t.Errorf("%s:%d: %d columns, more than %d", path, lines, n, mostColumns)
		}
	}
	if lines > mostFileLines {
		t.Errorf("%s: %d lines, more than %d", path, lines, mostFileLines)
	}
	return lines
}

// rawLines are the numbers of the lines that hold text between back-quotes.
func rawLines(src []byte) map[int]bool {
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, 0)
	found := map[int]bool{}
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return found
		}
		if tok == token.STRING && strings.HasPrefix(text, "`") {
			first := file.Line(pos)
			for n := range strings.Count(text, "\n") + 1 {
				found[first+n] = true
			}
		}
	}
}
