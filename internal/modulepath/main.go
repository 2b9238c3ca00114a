// Command modulepath gives the module in the current folder another path:
//
//	go run ./internal/modulepath host/owner/finetune
//
// It rewrites go.mod and tools/go.mod, the imports, what tests hand to the go
// command, and the imports that comments and documents show. `make module-path`
// runs it; see DESIGN.md, "A program, not yet a library".
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"finetune/internal/durable"
	"finetune/internal/plural"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: modulepath HOST/OWNER/NAME")
		os.Exit(2)
	}
	if err := run(".", os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "modulepath: %v\n", err)
		os.Exit(1)
	}
}

// run renames the module whose root is dir.
func run(dir, to string) error {
	from, err := modulePath(dir)
	if err != nil {
		return err
	}
	if out, err := exec.Command("go", "mod", "edit", "-module", to,
		filepath.Join(dir, "go.mod")).CombinedOutput(); err != nil {
		return fmt.Errorf("go mod edit: %w: %s", err, out) // which also refuses what is no module path
	}
	if tools := filepath.Join(dir, "tools", "go.mod"); exists(tools) {
		if out, err := exec.Command("go", "mod", "edit", "-module", to+"/tools", tools).CombinedOutput(); err != nil {
			return fmt.Errorf("go mod edit: %w: %s", err, out)
		}
	}
	changed := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && path != dir &&
				(strings.HasPrefix(d.Name(), ".") || path == filepath.Join(dir, "bin") || path == filepath.Join(dir, "dist")) {
				return filepath.SkipDir
			}
			return err
		}
		ok, err := rewriteFile(path, from, to)
		if ok {
			changed++
		}
		return err
	})
	if err == nil {
		fmt.Printf("%s is now %s: %s changed\n", from, to, plural.Count(changed, "file"))
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// modulePath reads the path from go.mod.
func modulePath(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^module\s+(\S+)`).FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s: no module line", filepath.Join(dir, "go.mod"))
	}
	return string(m[1]), nil
}

// rewriteFile reports whether the file at path had to change.
func rewriteFile(path, from, to string) (bool, error) {
	rewrite := map[string]func(string, []byte, string, string) ([]byte, error){".go": goSource,
		".md": document}[filepath.Ext(path)]
	if rewrite == nil {
		return false, nil
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	text, err := rewrite(path, old, from, to)
	if err != nil || bytes.Equal(text, old) {
		return false, err
	}
	return true, durable.WriteFile(path, text)
}

// document rewrites the imports that a page shows.
func document(_ string, text []byte, from, to string) ([]byte, error) {
	return bytes.ReplaceAll(text, []byte(`"`+from+`/`), []byte(`"`+to+`/`)), nil
}

// edit puts text in the place of the bytes from start to end.
type edit struct {
	start, end int
	text       string
}

// goSource rewrites the imports of a file, the arguments of the go commands that
// it starts, and the imports in its comments. Generated files keep their comments.
func goSource(path string, source []byte, from, to string) ([]byte, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var edits []edit
	literal := func(l *ast.BasicLit) {
		name, err := strconv.Unquote(l.Value)
		if err != nil || name != from && !strings.HasPrefix(name, from+"/") {
			return
		}
		at := set.Position(l.Pos()).Offset
		edits = append(edits, edit{at, at + len(l.Value), strconv.Quote(to + strings.TrimPrefix(name, from))})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			literal(n.Path)
		case *ast.CallExpr:
			for _, l := range goArguments(n) {
				literal(l)
			}
		case *ast.Comment:
			if text := strings.ReplaceAll(n.Text, `"`+from+`/`, `"`+to+`/`); text != n.Text {
				at := set.Position(n.Pos()).Offset
				edits = append(edits, edit{at, at + len(n.Text), text})
			}
		}
		return true
	})
	if len(edits) == 0 {
		return source, nil
	}
	return format.Source(apply(source, edits))
}

// goArguments are the literal arguments of a call that starts the go command:
// exec.Command("go", ...) and exec.CommandContext(ctx, "go", ...).
func goArguments(call *ast.CallExpr) (args []*ast.BasicLit) {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Command" && f.Sel.Name != "CommandContext" {
		return nil
	}
	starts := false
	for _, a := range call.Args {
		l, ok := a.(*ast.BasicLit)
		if !ok || l.Kind != token.STRING {
			continue
		}
		if starts {
			args = append(args, l)
		}
		starts = starts || l.Value == `"go"`
	}
	return args
}

// apply makes edits of different bytes, whose order does not matter.
func apply(source []byte, edits []edit) []byte {
	at := map[int]edit{}
	for _, e := range edits {
		at[e.start] = e
	}
	var out []byte
	for i := 0; i < len(source); {
		if e, ok := at[i]; ok {
			out = append(out, e.text...)
			i = e.end
			continue
		}
		out = append(out, source[i])
		i++
	}
	return out
}
