package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestSurface: what a package exports can be used from outside: no signature and
// no exported field has a type that only the package can name, and each exported
// name says what it is.
func TestSurface(t *testing.T) {
	fset := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != "../.." || d.Name() == "bin" ||
			d.Name() == "onnxpb") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.HasPrefix(filepath.ToSlash(path), "../../bench") || strings.HasSuffix(filepath.Dir(path), "test") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			checkSurface(t, fset, decl)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkSurface(t *testing.T, fset *token.FileSet, decl ast.Decl) {
	t.Helper()
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() || d.Recv != nil && !ast.IsExported(receiver(d)) {
			return
		}
		if d.Doc == nil && !interfaceMethod[d.Name.Name] {
			t.Errorf("%s: %s has no comment", fset.Position(d.Pos()), d.Name.Name)
		}
		if name := hiddenType(d.Type, typeParams(d)); name != "" {
			t.Errorf("%s: %s has the type %s, which nobody else can name", fset.Position(d.Pos()), d.Name.Name, name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil && ts.Comment == nil {
				t.Errorf("%s: %s has no comment", fset.Position(ts.Pos()), ts.Name.Name)
			}
		}
	}
}

// interfaceMethod are methods that everybody knows.
var interfaceMethod = map[string]bool{"Error": true, "Unwrap": true, "String": true, "Len": true, "Less": true,
	"Swap": true, "Read": true, "Write": true, "Close": true}

func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	if s, ok := t.(*ast.StarExpr); ok {
		t = s.X
	}
	if ix, ok := t.(*ast.IndexExpr); ok {
		t = ix.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func typeParams(d *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	if d.Type.TypeParams != nil {
		for _, p := range d.Type.TypeParams.List {
			for _, n := range p.Names {
				names[n.Name] = true
			}
		}
	}
	return names
}

// hiddenType is a type of this package that a signature has and others cannot name, "" for none.
func hiddenType(f *ast.FuncType, known map[string]bool) (found string) {
	look := func(list *ast.FieldList) {
		if list == nil {
			return
		}
		for _, field := range list.List {
			ast.Inspect(field.Type, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					return false
				case *ast.Field: // of a function or struct type: its names are no types
					ast.Inspect(n.Type, func(ast.Node) bool { return true })
				case *ast.Ident:
					if !n.IsExported() && !predeclared[n.Name] && !known[n.Name] && (n.Obj == nil || n.Obj.Kind == ast.Typ) {
						found = n.Name
					}
				}
				return true
			})
		}
	}
	look(f.Params)
	look(f.Results)
	return found
}

var predeclared = map[string]bool{"bool": true, "byte": true, "rune": true, "string": true, "error": true, "any": true,
	"int": true, "int8": true, "int16": true, "int32": true, "int64": true, "uint": true, "uint8": true, "uint16": true,
	"uint32": true, "uint64": true, "uintptr": true, "float32": true, "float64": true, "complex64": true,
	"complex128": true, "comparable": true, "_": true}
