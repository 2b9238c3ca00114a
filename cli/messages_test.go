package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// others are flags of other programs that messages and documents name.
var others = map[string]string{
	"--data-binary": "curl", "--now": "systemctl", "--only-binary": "pip", "--no-deps": "pip", "--platform": "pip",
	"--python-version": "pip", "--require-hashes": "pip", "--implementation": "pip", "--hash": "pip",
	"--requirement": "pip", "--dest": "pip", "--parsable": "sbatch", "--requeue": "sbatch", "--cli-input-json": "aws",
	"--location": "gcloud", "--config": "gcloud", "--part": "bench/bodies/sweep.py",
	"--seeds": "bench/audit", "--shares": "bench/audit", "--most": "bench/audit", "--kinds": "bench/audit",
	"--logdir": "tensorboard",
}

var (
	flagIn    = regexp.MustCompile(`(?:^|[\s\x60"'(])(--[a-z][a-z0-9-]*)`)
	commandIn = regexp.MustCompile(`(?:\x60|bin/)finetune ([a-z][a-z-]*)((?:[ ][^\x60#\n]*)?)`)
	makeIn    = regexp.MustCompile(`\x60make ([a-z][a-z0-9-]*)`)
	pageIn    = regexp.MustCompile(`(?:^|[\s(\x60])([A-Za-z][\w/-]*\.md)\b`)
)

// known is what messages and documents may name.
type known struct {
	flags    map[string]bool            // of any command
	commands map[string]map[string]bool // flags by command; a subcommand's count as its parent's
	targets  map[string]bool            // of the Makefile
}

func names(t *testing.T) known {
	t.Helper()
	k := known{map[string]bool{"--help": true, "--version": true}, map[string]map[string]bool{}, map[string]bool{}}
	for _, c := range newApp(Streams{Out: io.Discard, Err: io.Discard}).Commands {
		k.commands[c.Name] = map[string]bool{"--help": true}
	}
	everyFlag(func(command []string, f cli.Flag, _ []string) {
		for _, n := range f.Names() {
			k.flags["--"+n], k.commands[command[0]]["--"+n] = true, true
		}
	})
	text, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`).FindAllStringSubmatch(string(text), -1) {
		k.targets[m[1]] = true
	}
	return k
}

// check reports what text names and there is not. at says where the text stands.
func (k known) check(t *testing.T, at, text string) {
	t.Helper()
	for _, m := range flagIn.FindAllStringSubmatch(text, -1) {
		if !k.flags[m[1]] && others[m[1]] == "" {
			t.Errorf("%s: no command has the flag %s: %q", at, m[1], text)
		}
	}
	for _, m := range commandIn.FindAllStringSubmatch(text, -1) {
		flags, ok := k.commands[m[1]]
		if !ok {
			t.Errorf("%s: no command is called %s: %q", at, m[1], text)
			continue
		}
		for _, f := range flagIn.FindAllStringSubmatch(m[2], -1) {
			if !flags[f[1]] {
				t.Errorf("%s: finetune %s has no flag %s: %q", at, m[1], f[1], text)
			}
		}
	}
	for _, m := range makeIn.FindAllStringSubmatch(text, -1) {
		if !k.targets[m[1]] {
			t.Errorf("%s: the Makefile has no target %s: %q", at, m[1], text)
		}
	}
	for _, m := range pageIn.FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil && !strings.Contains(text, "http") {
			t.Errorf("%s: there is no %s: %q", at, m[1], text)
		}
	}
}

// Every flag, command, target and page that a text of the program names exists, and the flag is one of the command that
// the
// text says. Texts are all string literals of what the binary is built from.
func TestMessagesNameWhatThereIs(t *testing.T) {
	k := names(t)
	texts := 0
	err := eachSource(func(path string) error {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		for position, text := range literals(file) {
			texts++
			k.check(t, set.Position(position).String(), text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if texts < 2000 {
		t.Errorf("only %d texts were found", texts)
	}
}

// literals are a file's strings by their position, those joined by + as one.
func literals(file *ast.File) map[token.Pos]string {
	out := map[token.Pos]string{}
	var joined func(e ast.Expr) (string, bool)
	joined = func(e ast.Expr) (string, bool) {
		switch e := e.(type) {
		case *ast.BasicLit:
			if e.Kind == token.STRING {
				text, err := strconv.Unquote(e.Value)
				return text, err == nil
			}
		case *ast.BinaryExpr:
			a, _ := joined(e.X)
			b, _ := joined(e.Y)
			return a + b, e.Op == token.ADD && a+b != ""
		}
		return "", false
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if _, ok := n.(*ast.ImportSpec); ok {
			return false
		}
		if e, ok := n.(ast.Expr); ok {
			if text, ok := joined(e); ok {
				out[e.Pos()] = text
				return false
			}
		}
		return true
	})
	return out
}

// Comments that send a reader to a section send him to one that there is: "(DESIGN.md, Files)".
func TestCommentsNameSections(t *testing.T) {
	pointer := regexp.MustCompile(`\(([A-Z]+\.md), ([^)]+)\)`)
	err := eachSource(func(path string) error {
		text, err := os.ReadFile(path)
		for _, m := range pointer.FindAllStringSubmatch(string(text), -1) {
			page, err := os.ReadFile(filepath.Join("..", m[1]))
			if err != nil || !strings.Contains(string(page), "\n## "+m[2]) {
				t.Errorf("%s: %s has no section %q: %v", path, m[1], m[2], err)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eachSource visits the Go files that the binary is built from.
func eachSource(visit func(path string) error) error {
	apart := []string{"bench", "testdata", "tools", "bin", "dist", "onnxpb"}
	return filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch hidden := strings.HasPrefix(d.Name(), ".") && path != ".."; {
		case err != nil:
			return err
		case d.IsDir() && (hidden || slices.Contains(apart, d.Name())):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			return visit(path)
		}
		return nil
	})
}
