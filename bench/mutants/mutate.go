package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mutant is one change of one file: the bytes from..to become text.
type mutant struct {
	pkg, file string // ./dataset, dataset/csv.go
	line      int
	kind      string // boundary, equality, logic, arithmetic, constant, negation, branch, error, statement
	from, to  int    // bytes of the file
	text      string // what stands there instead
	source    []byte // of the whole file
	verdict   verdict
}

// key names a mutant by what it changes, not by its line, so that a list of equivalent mutants outlives edits
// elsewhere.
func (m *mutant) key() string {
	key := fmt.Sprintf("%s | %s | %s => %s", m.file, m.context(), squeeze(string(m.source[m.from:m.to])), squeeze(m.text))
	return strings.TrimRight(key, " ") // of a removed statement, as editors leave it
}

// place is FILE.go:LINE.
func (m *mutant) place() string { return fmt.Sprintf("%s:%d", m.file, m.line) }

// context is the line that the change begins in.
func (m *mutant) context() string {
	start := strings.LastIndexByte(string(m.source[:m.from]), '\n') + 1
	line, _, _ := strings.Cut(string(m.source[start:]), "\n")
	return squeeze(line)
}

func (m *mutant) String() string { return fmt.Sprintf("%-8s %d %s", m.verdict, m.line, m.key()) }

// squeeze writes text on one line.
func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }

// collect parses a package's files and lists the mutants on lines that its tests run.
func collect(pkg string) ([]*mutant, error) {
	covered, err := coverage(pkg)
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(pkg, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []*mutant
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, name, source, 0)
		if err != nil {
			return nil, err
		}
		w := writer{set: set, pkg: pkg, file: filepath.ToSlash(filepath.Clean(name)), source: source}
		ast.Inspect(tree, w.visit)
		for _, m := range w.all {
			if covered[filepath.Base(name)][m.line] {
				all = append(all, m)
			}
		}
	}
	return all, nil
}

// writer collects the mutants of one file.
type writer struct {
	set       *token.FileSet
	pkg, file string
	source    []byte
	all       []*mutant
}

func (w *writer) add(kind string, from, to token.Pos, text string) {
	a, b := w.set.Position(from), w.set.Position(to)
	w.all = append(w.all, &mutant{pkg: w.pkg, file: w.file, line: a.Line, kind: kind,
		from: a.Offset, to: b.Offset, text: text, source: w.source})
}

func (w *writer) text(n ast.Node) string {
	return string(w.source[w.set.Position(n.Pos()).Offset:w.set.Position(n.End()).Offset])
}

// swaps are the operators that change places, with the kind of the mutant.
var swaps = map[token.Token]struct{ other, kind string }{
	token.LSS: {"<=", "boundary"}, token.LEQ: {"<", "boundary"}, token.GTR: {">=", "boundary"},
	token.GEQ: {">", "boundary"},
	token.EQL: {"!=", "equality"}, token.NEQ: {"==", "equality"},
	token.LAND: {"||", "logic"}, token.LOR: {"&&", "logic"},
	token.ADD: {"-", "arithmetic"}, token.SUB: {"+", "arithmetic"}, token.MUL: {"/", "arithmetic"},
	token.QUO: {"*", "arithmetic"},
	token.REM: {"/", "arithmetic"}, token.SHL: {">>", "arithmetic"}, token.SHR: {"<<", "arithmetic"},
	token.AND: {"|", "arithmetic"}, token.OR: {"&", "arithmetic"}, token.XOR: {"&", "arithmetic"},
}

func (w *writer) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ImportSpec, *ast.StructType:
		return false // tags and paths are no code
	case *ast.BinaryExpr:
		if s, ok := swaps[n.Op]; ok && !isText(n.X) && !isText(n.Y) {
			w.add(s.kind, n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), s.other)
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT || n.Op == token.SUB {
			w.add("negation", n.OpPos, n.OpPos+1, "")
		}
	case *ast.BasicLit:
		w.literal(n)
	case *ast.Ident:
		if other, ok := map[string]string{"true": "false", "false": "true"}[n.Name]; ok {
			w.add("constant", n.Pos(), n.End(), other)
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok {
			if other, ok := map[string]string{"min": "max", "max": "min"}[f.Name]; ok && len(n.Args) > 1 {
				w.add("arithmetic", f.Pos(), f.End(), other)
			}
		}
	case *ast.IfStmt:
		w.condition(n)
	case *ast.BlockStmt:
		w.statements(n.List)
	case *ast.CaseClause:
		w.statements(n.Body)
	}
	return true
}

// isText tells a string literal, whose + has no other operator.
func isText(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && l.Kind == token.STRING
}

func (w *writer) literal(n *ast.BasicLit) {
	switch n.Kind {
	case token.INT:
		if v, err := strconv.ParseInt(n.Value, 0, 64); err == nil && v < 1<<40 {
			w.add("constant", n.Pos(), n.End(), strconv.FormatInt(v+1, 10))
		}
	case token.FLOAT:
		if v, err := strconv.ParseFloat(n.Value, 64); err == nil {
			w.add("constant", n.Pos(), n.End(), strconv.FormatFloat(v*1.5+0.1, 'g', -1, 64))
		}
	}
}

func (w *writer) condition(n *ast.IfStmt) {
	cond := w.text(n.Cond)
	if b, ok := n.Cond.(*ast.BinaryExpr); ok && b.Op == token.NEQ && w.text(b.Y) == "nil" &&
		strings.Contains(strings.ToLower(w.text(b.X)), "err") {
		w.add("error", n.Cond.Pos(), n.Cond.End(), "false && ("+cond+")")
		return
	}
	w.add("branch never", n.Cond.Pos(), n.Cond.End(), "false && ("+cond+")")
	w.add("branch always", n.Cond.Pos(), n.Cond.End(), "true || ("+cond+")")
}

// statements removes calls, counts and assignments that declare nothing, one at a time.
func (w *writer) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt:
			w.add("statement", s.Pos(), s.End(), "")
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				w.add("statement", s.Pos(), s.End(), "_ = 0")
			}
		case *ast.DeferStmt:
			w.add("statement", s.Pos(), s.End(), "")
		}
	}
}
