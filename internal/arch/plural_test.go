package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"finetune/internal/plural"
)

var (
	aVerb  = regexp.MustCompile(`%[-+# 0]*(\*|\d+)?(\.(\*|\d+))?[a-zA-Z%]`)
	aWord  = regexp.MustCompile(`^ ([A-Za-z0-9-]+)`)
	noNoun = []string{"is", "has", "was", "are", "does", "its", "loss", "gives", "leaves", "lies", "holds", // no plurals
		"by", "of", "in", "and", "to", "from", "with", "for", "at"} // between a number and what is not counted by it
)

// No text says "1 rows": a number that is not a constant is followed by no plural in the
// texts of the program. Such counts are made by plural.Count, or plots.CountOf.
func TestCountsAgree(t *testing.T) {
	fset := token.NewFileSet()
	var sources []*ast.File
	constants, nouns := map[string]bool{}, []string{"rows"}
	for _, p := range list(t) {
		files, err := filepath.Glob(filepath.Join(p.dir, "*.go"))
		if err != nil || strings.HasPrefix(p.path, "bench/") || p.path == "internal/arch" {
			continue
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".pb.go") {
				continue
			}
			f, err := parser.ParseFile(fset, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, f)
			constantsOf(f, constants)
			nouns = append(nouns, countedIn(f)...)
		}
	}
	for _, f := range sources {
		ast.Inspect(f, func(n ast.Node) bool {
			for _, bad := range disagreeing(n, constants, nouns) {
				t.Errorf("%s: %q; count by internal/plural", fset.Position(n.Pos()), bad)
			}
			return true
		})
	}
}

func TestDisagreeing(t *testing.T) {
	constants := map[string]bool{"most": true}
	for code, want := range map[string]int{
		`f("%d rows", n)`:                          1,
		`f("%s: %d of %d skipped rows", a, b, n)`:  1,
		`f("%d " + "rows of %d words", a, b)`:      2,
		`f("%*d %s of %d things", w, x, y, z)`:     1,
		`strconv.Itoa(n) + " rows"`:                1,
		`Count(n) + " words more"`:                 1,
		`f("at most %d rows", most)`:               0,
		`f("at most %d rows", 1<<16)`:              0,
		`f("%d of the rows", n)`:                   0,
		`f("%d is too few, %d%% of rows", n, k)`:   0,
		`f("%s in %d", plural.Count(n, "row"), k)`: 0,
		`name() + " words"`:                        0,
	} {
		e, err := parser.ParseExpr(code)
		if err != nil {
			t.Fatal(err)
		}
		if got := disagreeing(e, constants, []string{"rows"}); len(got) != want {
			t.Errorf("%s: %q, want %d", code, got, want)
		}
	}
}

// disagreeing are the texts of a call or a sum in which a plural follows a number that may be one.
func disagreeing(n ast.Node, constants map[string]bool, nouns []string) (bad []string) {
	switch n := n.(type) {
	case *ast.CallExpr:
		at := slices.IndexFunc(n.Args, func(e ast.Expr) bool { return strings.Contains(textOf(e), "%") })
		if at < 0 {
			return nil
		}
		text, args := textOf(n.Args[at]), n.Args[at+1:]
		for _, m := range aVerb.FindAllStringIndex(text, -1) {
			verb := text[m[0]:m[1]]
			taken := strings.Count(verb, "*") + 1
			if verb == "%%" {
				continue
			}
			if taken > len(args) {
				break
			}
			size := strings.HasSuffix(text[:m[0]], "×") || strings.HasSuffix(text[:m[0]], "× ")
			if verb[len(verb)-1] == 'd' && !size && !constant(args[taken-1], constants) && pluralFollows(text[m[1]:], nouns) {
				bad = append(bad, text[m[0]:])
			}
			args = args[taken:]
		}
	case *ast.BinaryExpr:
		call, ok := n.X.(*ast.CallExpr)
		if text := textOf(n.Y); ok && n.Op == token.ADD && pluralFollows(text, nouns) {
			if name := called(call); name == "Itoa" || name == "Count" || name == "FormatInt" {
				bad = append(bad, text)
			}
		}
	}
	return bad
}

// pluralFollows says whether text begins with a plural: any word in -s, or one of nouns after two other words at most.
func pluralFollows(text string, nouns []string) bool {
	for i := range 3 {
		m := aWord.FindStringSubmatch(text)
		if m == nil {
			return false
		}
		if slices.Contains(nouns, m[1]) || i == 0 && strings.HasSuffix(m[1], "s") && !slices.Contains(noNoun, m[1]) {
			return true
		}
		if slices.Contains(noNoun, m[1]) {
			return false
		}
		text = text[len(m[0]):]
	}
	return false
}

// textOf is a string literal, or a sum of some; "" for all else.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		a, b := textOf(e.X), textOf(e.Y)
		if e.Op == token.ADD && a != "" && b != "" {
			return a + b
		}
	}
	return ""
}

func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// constant reports whether an expression is one of literals and constants, whose value the author knew.
func constant(e ast.Expr, constants map[string]bool) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return constant(e.X, constants) && constant(e.Y, constants)
	case *ast.Ident:
		return constants[e.Name] && (e.Obj == nil || e.Obj.Kind == ast.Con)
	case *ast.SelectorExpr:
		pkg, ok := e.X.(*ast.Ident)
		return ok && pkg.Obj == nil && constants[e.Sel.Name]
	}
	return false
}

func constantsOf(f *ast.File, names map[string]bool) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			for _, n := range s.(*ast.ValueSpec).Names {
				names[n.Name] = true
			}
		}
	}
}

// countedIn are the plurals of what a file counts with plural.Count and its like.
func countedIn(f *ast.File) (nouns []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok && len(c.Args) == 2 &&
			slices.Contains([]string{"Count", "CountOf", "Noun"}, called(c)) {
			if words := strings.Fields(textOf(c.Args[1])); len(words) > 0 {
				nouns = append(nouns, plural.Noun(2, words[len(words)-1]))
			}
		}
		return true
	})
	return nouns
}
