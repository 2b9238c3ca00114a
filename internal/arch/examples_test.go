package arch

import (
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// call is Go code that uses a package: name.Function( or name.Type{.
var call = regexp.MustCompile(`\b[a-z]\w*\.[A-Z]\w*[({]`)

// uncompiled are the code blocks of a package comment that nothing compiles.
func uncompiled(text string) []string {
	var list []string
	for _, block := range new(comment.Parser).Parse(text).Content {
		if code, ok := block.(*comment.Code); ok && call.MatchString(code.Text) {
			list = append(list, code.Text)
		}
	}
	return list
}

// TestPackageExamplesAreCompiled: how a package is used is shown by an Example, which the compiler reads; its comment
// is
// prose, and tables and formulas.
func TestPackageExamplesAreCompiled(t *testing.T) {
	root := filepath.Join("..", "..")
	packages := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != root &&
			(strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, data, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			return err
		}
		if file.Doc == nil {
			return nil
		}
		packages++
		for _, code := range uncompiled(file.Doc.Text()) {
			t.Errorf("%s: the package comment shows code that nothing compiles; move it into an Example of example_test.go:\n%s",
				path, code)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if packages < 40 {
		t.Errorf("only %d package comments were found", packages)
	}
}

func TestUncompiledCodeIsFound(t *testing.T) {
	for text, want := range map[string]int{
		"Package a does.\n\n\tx, err := a.Open(\"x\")\n\terr = x.Close()\n": 1,
		"Package a does.\n\n\ts := a.Options{Size: 3}\n":                    1,
		"Package a does, see a.Open(x).\n":                                  0,
		"Package a does.\n\n\ty = gamma*(x-mean)/sqrt(variance + eps)\n":    0,
		"Package a does.\n\n\tgo run ./bench/a -n 5 FOLDER\n":               0,
		"Package a does.\n\n\tDATA/train/CLASS/*.jpg\n":                     0,
	} {
		if got := len(uncompiled(text)); got != want {
			t.Errorf("%q: %d blocks, want %d", text, got, want)
		}
	}
}
