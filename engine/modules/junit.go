package modules

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"farm/engine"
)

// The bounds of reports: they are a guest's.
const (
	maxReport   = 32 << 20 // bytes of one
	maxTests    = 20_000   // of all that a task reads
	maxTexts    = 1 << 20  // bytes of all of these
	maxDepth    = 64       // elements in elements
	maxTestName = 250      // bytes
	maxTestText = 8 << 10  // bytes of one test
	maxTestMS   = 31 << 30 // a year
)

// allowance is what may still come of the reports of one task.
type allowance struct {
	tests int
	text  int // bytes
}

func newAllowance() *allowance { return &allowance{maxTests, maxTexts} }

// junitReader reads a report in the form of https://github.com/testmoapp/junitxml.
type junitReader struct {
	dec    *xml.Decoder
	mask   func(string) string // takes secrets out of text before it is cut
	suites []string            // names of those that are open, the outermost first
	tests  []engine.Test
	left   *allowance
}

// readJUnit reads a report of tests. Every test is told, or it is an error.
func readJUnit(text []byte, mask func(string) string, left *allowance) ([]engine.Test, error) {
	text, err := plainXML(text)
	if err != nil {
		return nil, err
	}
	r := &junitReader{dec: xml.NewDecoder(bytes.NewReader(text)), mask: mask, left: left}
	r.dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // it is UTF-8 by now
	root, err := r.root()
	if err != nil {
		return nil, err
	}
	switch root.Name.Local {
	case "testsuites":
		err = r.inside(1, r.element)
	case "testsuite":
		err = r.suite(root, 1)
	default:
		return nil, fmt.Errorf("it is no JUnit report: its first element is <%.100s>, not <testsuites> or <testsuite>", root.Name.Local)
	}
	return r.tests, err
}

// declared finds the encoding that a report says it has.
var declared = regexp.MustCompile(`^\s*<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z0-9._-]*)["']`)

// plainXML is a report in UTF-8, without the control characters that tests print and XML does not have.
func plainXML(text []byte) ([]byte, error) {
	text = bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF"))
	name := "utf-8"
	if m := declared.FindSubmatch(text[:min(len(text), 200)]); m != nil {
		name = strings.ToLower(string(m[1]))
	}
	switch name {
	case "utf-8", "utf8", "us-ascii", "ascii":
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	case "iso-8859-1", "latin-1", "latin1", "iso-8859-15", "windows-1252":
		wide := make([]rune, len(text))
		for i, b := range text {
			wide[i] = rune(b)
		}
		text = []byte(string(wide))
	default:
		return nil, fmt.Errorf("its encoding is %q, not UTF-8 or Latin-1", name)
	}
	return bytes.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return '?'
		}
		return r
	}, text), nil
}

// root is the first element.
func (r *junitReader) root() (xml.StartElement, error) {
	for {
		t, err := r.dec.Token()
		switch t := t.(type) {
		case xml.StartElement:
			return t.Copy(), nil
		case xml.Directive:
			err = errors.New("it has a document type, which no JUnit report needs")
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		if err != nil {
			return xml.StartElement{}, fmt.Errorf("it is no JUnit report: %w", err)
		}
	}
}

// inside calls child for each element up to the end of the one that is open, at that depth.
func (r *junitReader) inside(depth int, child func(e xml.StartElement, depth int) error) error {
	if depth > maxDepth {
		return fmt.Errorf("its elements are nested deeper than %d", maxDepth)
	}
	for {
		t, err := r.dec.Token()
		if err != nil {
			return fmt.Errorf("it is no whole JUnit report: %w", err)
		}
		switch t := t.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			if err := child(t.Copy(), depth+1); err != nil {
				return err
			}
		}
	}
}

// element reads what stands in a list of suites or in a suite.
func (r *junitReader) element(e xml.StartElement, depth int) error {
	switch e.Name.Local {
	case "testsuite":
		return r.suite(e, depth)
	case "testcase":
		return r.test(e, depth)
	case "failure", "error": // of a suite that could not be set up
		if len(r.suites) == 0 {
			break
		}
		t := engine.Test{Name: r.suites[len(r.suites)-1], Status: engine.OK}
		if err := r.outcome(&t, e, depth); err != nil {
			return err
		}
		return r.add(t)
	}
	return r.inside(depth, r.skip)
}

func (r *junitReader) skip(_ xml.StartElement, depth int) error { return r.inside(depth, r.skip) }

func (r *junitReader) suite(e xml.StartElement, depth int) error {
	r.suites = append(r.suites, attr(e, "name"))
	defer func() { r.suites = r.suites[:len(r.suites)-1] }()
	return r.inside(depth, r.element)
}

func (r *junitReader) test(e xml.StartElement, depth int) error {
	t := engine.Test{Name: attr(e, "name"), Class: attr(e, "classname"), Status: engine.OK, ElapsedMS: milliseconds(attr(e, "time"))}
	if t.Class == "" && len(r.suites) > 0 {
		t.Class = r.suites[len(r.suites)-1]
	}
	err := r.inside(depth, func(e xml.StartElement, depth int) error { return r.outcome(&t, e, depth) })
	if err != nil {
		return err
	}
	return r.add(t)
}

// outcomes are the elements of a test that say how it ended, the worst last.
var outcomes = []struct {
	name   string
	status engine.Status
}{{"skipped", engine.Skipped}, {"failure", engine.Failed}, {"error", engine.NoVerdict}}

// outcome reads an element of a test.
func (r *junitReader) outcome(t *engine.Test, e xml.StartElement, depth int) error {
	for _, o := range outcomes {
		if o.name != e.Name.Local {
			continue
		}
		text, err := r.text(attr(e, "message"), depth)
		if err != nil {
			return err
		}
		if rank(o.status) > rank(t.Status) {
			t.Status = o.status
		}
		t.Text = strings.TrimSpace(t.Text + "\n" + text)
		return nil
	}
	return r.inside(depth, r.skip)
}

func rank(s engine.Status) int {
	for i, o := range outcomes {
		if o.status == s {
			return i + 1
		}
	}
	return 0
}

// text is what stands in the element that is open, behind its message unless it begins with that.
func (r *junitReader) text(message string, depth int) (string, error) {
	var b strings.Builder
	for {
		t, err := r.dec.Token()
		if err != nil {
			return "", fmt.Errorf("it is no whole JUnit report: %w", err)
		}
		switch t := t.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.StartElement:
			if err := r.inside(depth+1, r.skip); err != nil {
				return "", err
			}
		case xml.EndElement:
			text := strings.TrimSpace(b.String())
			if !strings.HasPrefix(text, message) {
				text = message + "\n" + text
			}
			return strings.TrimSpace(text), nil
		}
	}
}

// add keeps a test, with texts that are not too long.
func (r *junitReader) add(t engine.Test) error {
	if r.left.tests--; r.left.tests < 0 {
		return fmt.Errorf("there are more than %d tests; read them by more than one task", maxTests)
	}
	if t.Name == "" {
		t.Name = "(no name)"
	}
	t.Name, t.Class = r.cut(t.Name, maxTestName), r.cut(t.Class, maxTestName)
	t.Text = r.cut(t.Text, min(maxTestText, max(0, r.left.text)))
	r.left.text -= len(t.Text)
	r.tests = append(r.tests, t)
	return nil
}

func (r *junitReader) cut(s string, most int) string {
	if s = engine.Printable(r.mask(s)); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// milliseconds reads seconds, "1,234.5" too; what is none is 0.
func milliseconds(s string) int64 {
	secs, err := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	if err != nil || math.IsNaN(secs) || secs < 0 {
		return 0
	}
	return int64(min(secs*1000, maxTestMS))
}
