package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	quoted     = regexp.MustCompile("`([^`\n]+)`")
	pathIn     = regexp.MustCompile(`^[a-z][a-z0-9_]*(/[A-Za-z0-9_.-]+)+$`)
	testNameIn = regexp.MustCompile(`^Test[A-Z]\w*$`)
	nameIn     = regexp.MustCompile(`^([a-z][a-z0-9]*)\.([A-Za-z]\w*)`)
	methodIn   = regexp.MustCompile(`^\(\*?(\w+)\)\.(\w+)`)
	endingIn   = regexp.MustCompile(`\.(go|md|json|onnx|csv|png|txt|py|pth|html|safetensors|proto)$`)
)

// Files, folders, tests, functions and methods that the pages for contributors name exist, but for those that a page
// has its reader make.
func TestContributingNamesWhatThereIs(t *testing.T) {
	made := []string{"cli/classes.go", "cli/testdata/classes.txtar", "head/rmsprop.go"}
	tests, declared := testFunctions(t), declarations(t)
	seen := map[string]int{}
	for _, page := range pages(t) {
		name := filepath.ToSlash(page)
		if !strings.Contains(name, "docs/contributing/") && !strings.HasSuffix(name, "/DESIGN.md") &&
			!strings.HasSuffix(name, "/CONTRIBUTING.md") {
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range quoted.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
			name := m[1]
			switch {
			case testNameIn.MatchString(name):
				seen["test"]++
				if !tests[name] {
					t.Errorf("%s: there is no test %s", page, name)
				}
			case pathIn.MatchString(name) && strings.Contains(page, "contributing"):
				seen["path"]++
				_, err := os.Stat(filepath.Join("..", name))
				if err != nil && !strings.Contains(strings.Join(made, " "), name) {
					t.Errorf("%s: %v", page, err)
				}
			case methodIn.MatchString(name):
				seen["method"]++
				if n := methodIn.FindStringSubmatch(name); !declared[n[1]+"."+n[2]] {
					t.Errorf("%s: there is no method %s", page, name)
				}
			case nameIn.MatchString(name) && !endingIn.MatchString(name):
				n := nameIn.FindStringSubmatch(name)
				if !declared["package "+n[1]] {
					continue // a variable's method, or a key
				}
				seen["name"]++
				if !declared[n[1]+"."+n[2]] {
					t.Errorf("%s: no package %s declares %s", page, n[1], n[2])
				}
			}
		}
	}
	if seen["test"] < 15 || seen["path"] < 15 || seen["method"] < 3 || seen["name"] < 5 {
		t.Errorf("too few names were found: %v", seen)
	}
}

// Tests that the table of mended faults names, as PACKAGE.TestName or as a script of cli's, exist.
func TestDocumentsOfFaultsNameTests(t *testing.T) {
	tests := testFunctions(t)
	text, err := os.ReadFile(filepath.Join("..", "docs", "lab", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\b([a-z0-9]+\.Test[A-Z]\w*)(?:/(\w+))?`).FindAllStringSubmatch(string(text), -1)
	for _, m := range found {
		if !tests[m[1]] {
			t.Errorf("there is no test %s", m[1])
		}
		if _, err := os.Stat(filepath.Join("testdata", m[2]+".txtar")); m[2] != "" && err != nil {
			t.Error(err)
		}
	}
	if len(found) < 150 {
		t.Errorf("only %d tests are named", len(found))
	}
}

// declarations are the names that the packages of the module declare: "package graph", "graph.Op" and, of methods,
// "Trainer.Step".
func declarations(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := eachSource(func(path string) error {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		in := file.Name.Name + "."
		out["package "+file.Name.Name] = true
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					out[in+d.Name.Name] = true
					continue
				}
				of := d.Recv.List[0].Type
				if star, ok := of.(*ast.StarExpr); ok {
					of = star.X
				}
				if id, ok := of.(*ast.Ident); ok {
					out[id.Name+"."+d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						out[in+s.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range s.Names {
							out[in+n.Name] = true
						}
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// testFunctions are the names of all tests of the module, alone and behind that of their folder, which is main for the
// module's own.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	out, named := map[string]bool{}, regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != ".." {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		folder := filepath.Base(filepath.Dir(path))
		if folder == ".." {
			folder = "main"
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			out[m[1]], out[folder+"."+m[1]] = true, true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
