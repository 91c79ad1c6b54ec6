package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

// Budgets of one file. The parser bounds none of them for yaml.Node.
const (
	maxDepth    = 100
	maxAnchors  = 1000
	maxExpanded = 1_000_000 // values with every alias written out
	maxSearched = 256 << 10 // bytes of a text in which the place of a fault is searched
)

// File is a parsed YAML file.
type File struct {
	Path string
	Root *yaml.Node // the document's node; nil for an empty file
}

// Pos is where n starts.
func (f *File) Pos(n *yaml.Node) Pos { return Pos{File: f.Path, Line: n.Line, Col: n.Column} }

// Parse parses the text of one YAML document; path is used in positions only. The
// file's depth, anchors and size with every alias written out are bounded, and no
// alias reaches itself, so walkers of Root need no checks of their own.
func Parse(path string, text []byte) (*File, error) {
	if len(text) > MaxFileSize {
		return nil, tooLarge(Pos{File: path}, int64(len(text)))
	}
	if err := scan(path, text); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	doc, err := decode(dec)
	if errors.Is(err, io.EOF) {
		return &File{Path: path}, nil
	} else if err != nil {
		return nil, syntax(path, text, err)
	}
	if second, err := decode(dec); err == nil && !empty(second) {
		return nil, &Error{Pos: Pos{path, second.Line, second.Column}, What: "a second document starts here", Hint: "a file holds one; remove the --- line"}
	} else if err != nil && !errors.Is(err, io.EOF) {
		return nil, syntax(path, text, err)
	}
	f := &File{Path: path, Root: doc}
	w := walker{f: f, size: map[*yaml.Node]int{}}
	if _, err := w.walk(doc, 1); err != nil {
		return nil, err
	}
	return f, nil
}

// decode returns the next document's content. The parser reports some faults by panicking.
func decode(dec *yaml.Decoder) (n *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

func empty(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// walker checks the budgets that need the tree.
type walker struct {
	f       *File
	size    map[*yaml.Node]int // of anchored nodes; -1 while inside
	anchors int
}

// walk returns how many values n has with every alias written out.
func (w *walker) walk(n *yaml.Node, depth int) (int, error) {
	if depth > maxDepth {
		return 0, &Error{Pos: w.f.Pos(n), What: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	}
	if n.Kind == yaml.AliasNode {
		switch size := w.size[n.Alias]; {
		case size < 0:
			return 0, &Error{Pos: w.f.Pos(n), What: fmt.Sprintf("alias *%s contains itself", n.Value)}
		case size > 0:
			return size, nil
		}
		return 1, nil
	}
	if n.Anchor != "" {
		if w.anchors++; w.anchors > maxAnchors {
			return 0, &Error{Pos: w.f.Pos(n), What: fmt.Sprintf("the file has more than %d anchors", maxAnchors)}
		}
		w.size[n] = -1
	}
	total := 1
	for _, child := range n.Content {
		size, err := w.walk(child, depth+1)
		if err != nil {
			return 0, err
		}
		if total += size; total > maxExpanded {
			return 0, &Error{Pos: w.f.Pos(child), What: fmt.Sprintf("more than %d values once every alias is written out", maxExpanded)}
		}
	}
	if n.Anchor != "" {
		w.size[n] = total
	}
	return total, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntax gives the parser's complaint its place. The parser names the line where
// the construct began, if any, so the first line that brings the complaint about is searched.
func syntax(path string, text []byte, err error) error {
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		return &Error{Pos: Pos{File: path}, Err: err}
	}
	what := m[2]
	line, _ := strconv.Atoi(m[1])
	if len(text) <= maxSearched {
		line = firstBadLine(text, what)
	}
	line = max(line, 1)
	if at, ok := tabIndent(path, text, line-1, line+1); ok {
		return &Error{Pos: at, What: "a tab in the indentation", Hint: "YAML is indented with spaces"}
	}
	lines := bytes.SplitAfterN(text, []byte("\n"), line+1)
	col := 1
	if line <= len(lines) {
		this := lines[line-1]
		if trimmed := bytes.TrimLeft(this, " "); len(bytes.TrimSpace(trimmed)) > 0 {
			col = len(this) - len(trimmed) + 1
		}
	}
	return &Error{Pos: Pos{path, line, col}, What: what, Hint: syntaxHint[what]}
}

var syntaxHint = map[string]string{
	"mapping values are not allowed in this context":   `quote text that contains ": ", and check the indentation`,
	"did not find expected key":                        "check the indentation",
	"did not find expected '-' indicator":              "check the indentation",
	"found character that cannot start any token":      "quote the text",
	"did not find expected alphabetic or numeric char": "quote the text",
}
