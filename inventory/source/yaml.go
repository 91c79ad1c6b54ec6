package source

import (
	"bytes"
	"errors"
	"io"

	"gopkg.in/yaml.v3"
)

// File is a parsed YAML file.
type File struct {
	Path string
	Root *yaml.Node // the document's node; nil for an empty file
}

// Pos is where n starts.
func (f *File) Pos(n *yaml.Node) Pos { return Pos{File: f.Path, Line: n.Line, Col: n.Column} }

// Parse parses the text of one YAML document; path is used in positions only.
func Parse(path string, text []byte) (*File, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return &File{Path: path}, nil
	} else if err != nil {
		return nil, &Error{Pos: Pos{File: path}, Err: err}
	}
	return &File{Path: path, Root: doc.Content[0]}, nil
}
