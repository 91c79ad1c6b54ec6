package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// comments are the comments of a package's struct types.
type comments map[string]structComment

// structComment is the comment of a type and those of its fields, by the fields' Go names.
type structComment struct {
	text   string
	fields map[string]string
}

// readComments reads the Go files of dir, but tests.
func readComments(dir string) (comments, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := comments{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				found.add(g)
			}
		}
	}
	return found, nil
}

func (c comments) add(g *ast.GenDecl) {
	for _, s := range g.Specs {
		spec := s.(*ast.TypeSpec)
		st, ok := spec.Type.(*ast.StructType)
		if !ok {
			continue
		}
		doc := spec.Doc
		if doc == nil {
			doc = g.Doc
		}
		one := structComment{sentence(doc), map[string]string{}}
		for _, f := range st.Fields.List {
			text := sentence(f.Doc, f.Comment)
			for _, name := range f.Names {
				one.fields[name.Name] = text
			}
		}
		c[spec.Name.Name] = one
	}
}

// sentence is the text of comments on one line.
func sentence(groups ...*ast.CommentGroup) string {
	var words []string
	for _, g := range groups {
		words = append(words, strings.Fields(g.Text())...)
	}
	return strings.Join(words, " ")
}
