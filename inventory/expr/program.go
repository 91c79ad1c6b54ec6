package expr

import (
	"fmt"
	"strings"
	"sync"

	"farm/inventory/source"
	"farm/inventory/value"
)

// program is a parsed template or expression. It does not change once it is made.
type program struct {
	text   string
	syn    syntax // that what it includes is read by too
	body   []statement
	single expression // the only content of the template, or a bare expression
	blocks map[string]*blockNode
}

// Bounds on what a user's file can make the evaluator do.
const (
	maxTemplate = 4 << 20 // bytes of one template
	maxPrograms = 4096    // compiled texts kept
)

// cache keeps compiled programs by text, in two generations: when the young one is
// full it becomes the old one, and the old one is dropped.
type cache struct {
	mu         sync.Mutex
	young, old map[string]*program
}

func (c *cache) get(key string) (*program, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.young[key]; ok {
		return p, true
	}
	p, ok := c.old[key]
	if ok {
		c.put(key, p)
	}
	return p, ok
}

// put stores under c.mu.
func (c *cache) put(key string, p *program) {
	if len(c.young) >= maxPrograms/2 {
		c.old, c.young = c.young, nil
	}
	if c.young == nil {
		c.young = map[string]*program{}
	}
	c.young[key] = p
}

func (c *cache) keep(key string, p *program) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(key, p)
}

// valueSyntax is that of templates in values.
var valueSyntax = syntax{trimBlocks: true, rawStrings: true, marks: usual}

// fileSyntaxOf is the syntax of a file that is a template.
func fileSyntaxOf(how value.Syntax) syntax {
	syn := syntax{trimBlocks: !how.KeepNewlines, lstripBlocks: how.StripLeft, marks: usual}
	m := &syn.marks
	for _, set := range []struct {
		into *string
		text string
	}{
		{&m.variable, how.VariableStart}, {&m.variableEnd, how.VariableEnd}, {&m.block, how.BlockStart},
		{&m.blockEnd, how.BlockEnd}, {&m.comment, how.CommentStart}, {&m.commentEnd, how.CommentEnd},
	} {
		if set.text != "" {
			*set.into = set.text
		}
	}
	return syn
}

// key tells syntaxes apart.
func (s syntax) key() string {
	if s.marks != usual {
		return fmt.Sprintf("%q %v ", s.marks, s)
	}
	switch {
	case s.rawStrings:
		return "t"
	case s.trimBlocks && s.lstripBlocks:
		return "fb"
	case s.trimBlocks:
		return "f-"
	case s.lstripBlocks:
		return "fl"
	}
	return "fn"
}

// template compiles text, or finds it compiled.
func (e *Engine) template(text string, pos source.Pos, syn syntax) (p *program, err error) {
	inFile := !syn.rawStrings
	key := syn.key() + text
	if p, ok := e.programs.get(key); ok {
		return p, nil
	}
	defer guard(&err, text, pos, inFile, nil)
	p = parseTemplate(text, syn)
	e.programs.keep(key, p)
	return p, nil
}

// parseTemplate throws faults. A file's first line may change syn.
func parseTemplate(text string, syn syntax) *program {
	if len(text) > maxTemplate {
		throw("a template of more than %d bytes", maxTemplate)
	}
	start := 0
	if !syn.rawStrings {
		syn, start = header(text, syn)
	}
	// Jinja2 drops one newline at the end; Ansible puts it back behind text.
	ps := &parser{tokens: lexTemplate(strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), start, syn)}
	p := &program{text: text, syn: syn}
	p.body, _ = ps.body(0)
	p.blocks = map[string]*blockNode{}
	collectBlocks(p.body, p.blocks)
	if len(p.body) == 1 {
		if out, ok := p.body[0].(*output); ok {
			p.single = out.x
		}
	}
	return p
}

// bare compiles an expression without braces.
func (e *Engine) bare(text string, pos source.Pos) (p *program, err error) {
	key := "e" + text
	if p, ok := e.programs.get(key); ok {
		return p, nil
	}
	defer guard(&err, text, pos, false, nil)
	if len(text) > maxTemplate {
		throw("an expression of more than %d bytes", maxTemplate)
	}
	ps := &parser{tokens: lexExpression(text)}
	p = &program{text: text, single: ps.commas()}
	if ps.peek().kind != tEOF {
		throwAt(ps.peek().off, "unexpected "+ps.peek().String(), "")
	}
	e.programs.keep(key, p)
	return p, nil
}

// header reads Ansible's "#jinja2: trim_blocks: False" first line; start is behind it.
func header(text string, syn syntax) (_ syntax, start int) {
	if !strings.HasPrefix(text, "#jinja2:") {
		return syn, 0
	}
	line, rest, _ := strings.Cut(text, "\n")
	for part := range strings.SplitSeq(strings.TrimPrefix(line, "#jinja2:"), ",") {
		key, val, _ := strings.Cut(part, ":")
		val = strings.TrimSpace(val)
		on, word := strings.EqualFold(val, "true"), strings.Trim(val, `'"`)
		switch m := &syn.marks; strings.TrimSpace(key) {
		case "trim_blocks":
			syn.trimBlocks = on
		case "lstrip_blocks":
			syn.lstripBlocks = on
		case "variable_start_string":
			m.variable = word
		case "variable_end_string":
			m.variableEnd = word
		case "block_start_string":
			m.block = word
		case "block_end_string":
			m.blockEnd = word
		case "comment_start_string":
			m.comment = word
		case "comment_end_string":
			m.commentEnd = word
		}
	}
	return syn, len(text) - len(rest)
}

func collectBlocks(body []statement, into map[string]*blockNode) {
	for _, s := range body {
		switch n := s.(type) {
		case *blockNode:
			into[n.name] = n
			collectBlocks(n.body, into)
		case *ifNode:
			for _, b := range n.bodies {
				collectBlocks(b, into)
			}
			collectBlocks(n.orElse, into)
		case *forNode:
			collectBlocks(n.body, into)
			collectBlocks(n.orElse, into)
		case *withNode:
			collectBlocks(n.body, into)
		}
	}
}
