package expr

import (
	"strings"

	"farm/inventory/source"
)

// maxFaults bounds the faults that are told of one text.
const maxFaults = 50

// faults are all that is wrong with a text that is no template: after a fault in an expression it
// is read without that expression. A fault in a statement hides what follows.
func (e *Engine) faults(text string, pos source.Pos, syn syntax) error {
	var errs []error
	inFile := !syn.rawStrings
	for rest := text; len(errs) < maxFaults; {
		p, f, err := tryParse(rest, pos, syn)
		if err != nil {
			return source.Join(append(errs, err)...)
		}
		if f == nil {
			p.text = text
			return source.Join(append(errs, e.check(p, pos, inFile))...)
		}
		errs = append(errs, f.positioned(text, pos, inFile))
		if inFile {
			syn, _ = header(text, syn)
		}
		next, ok := blanked(rest, f.at, syn.marks)
		if !ok {
			break
		}
		rest = next
	}
	return source.Join(errs...)
}

// tryParse returns the fault of a text in place of its program; err is a fault of this package.
func tryParse(text string, pos source.Pos, syn syntax) (p *program, f *fault, err error) {
	defer guard(&err, text, pos, !syn.rawStrings, nil)
	defer func() {
		if r := recover(); r != nil {
			thrown, ok := r.(*fault)
			if !ok {
				panic(r)
			}
			p, f = nil, thrown
		}
	}()
	return parseTemplate(text, syn), nil, nil
}

// blanked is text with blanks in place of the expression that holds the byte at, marks included;
// false where no expression does.
func blanked(text string, at int, m marks) (string, bool) {
	if at < 0 || at > len(text) {
		return "", false
	}
	open := strings.LastIndex(text[:min(at+len(m.variable), len(text))], m.variable)
	if open < 0 || open < at && strings.Contains(text[open:at], m.variableEnd) {
		return "", false
	}
	if outer := strings.LastIndex(text[:open], m.variable); outer >= 0 && !strings.Contains(text[outer:open], m.variableEnd) {
		return "", false // it stands in another
	}
	end := strings.Index(text[at:], m.variableEnd)
	if block := strings.LastIndex(text[:at], m.block); end < 0 || block > open {
		return "", false
	}
	end += at + len(m.variableEnd)
	out := []byte(text)
	for i := open; i < end; i++ {
		if out[i] != '\n' {
			out[i] = ' '
		}
	}
	return string(out), true
}
