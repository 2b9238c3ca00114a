package cli

import (
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
)

// Files, folders and tests that the pages for contributors name exist, but for those that a page has its reader make.
func TestContributingNamesWhatThereIs(t *testing.T) {
	made := []string{"cli/classes.go", "cli/testdata/classes.txtar", "head/rmsprop.go"}
	tests := testFunctions(t)
	seen := 0
	for _, page := range pages(t) {
		if !strings.Contains(filepath.ToSlash(page), "docs/contributing/") {
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
				seen++
				if !tests[name] {
					t.Errorf("%s: there is no test %s", page, name)
				}
			case pathIn.MatchString(name):
				seen++
				_, err := os.Stat(filepath.Join("..", name))
				if err != nil && !strings.Contains(strings.Join(made, " "), name) {
					t.Errorf("%s: %v", page, err)
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d names were found", seen)
	}
}

// Tests that the table of mended faults names, as PACKAGE.TestName or as a script of cli's, exist.
func TestFaultsNamesWhatThereIs(t *testing.T) {
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
