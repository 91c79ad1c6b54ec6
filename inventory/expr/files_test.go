package expr

import (
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"farm/inventory/source"
	"farm/inventory/value"
)

// fileVars are variables over the files of a map, all of which are below "/p".
func fileVars(files map[string]string, vars *value.Dict) *Vars {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	rel := func(name string) string { return strings.TrimPrefix(path.Clean(name), "/p/") }
	o := Options{
		ReadFile: func(name string) ([]byte, error) { return tree.ReadFile(rel(name)) },
		Stat:     func(name string) (fs.FileInfo, error) { return tree.Stat(rel(name)) },
		Glob: func(pattern string) ([]string, error) {
			found, err := tree.Glob(rel(pattern))
			for i := range found {
				found[i] = "/p/" + found[i]
			}
			return found, err
		},
		Env:  func(name string) (string, bool) { return map[string]string{"HOME": "/home/u"}[name], name == "HOME" },
		Dirs: []string{"/p/files"},
	}
	return New(o).Vars(vars)
}

func TestLookupsReadFiles(t *testing.T) {
	v := fileVars(map[string]string{
		"files/a.txt": "text\n", "files/b.j2": "n={{ n }} {{ extra | default('-') }}\n", "vars/c.yaml": "x: {{ n }}\n",
	}, value.NewDict("n", int64(3), "dir", "/p/vars"))
	tests := []struct {
		text string
		want string
	}{
		{"{{ lookup('file', 'a.txt') }}|", "text|"},
		{"{{ lookup('template', 'b.j2') }}|", "n=3 -\n|"},
		{"{{ lookup('template', 'b.j2', template_vars=dict(extra='e')) }}|", "n=3 e\n|"},
		{"{{ lookup('template', dir ~ '/c.yaml') | from_yaml }}", `{"x":3}`},
		{"{{ lookup('first_found', ['none', 'a.txt']) }}", "/p/files/a.txt"},
		{"{{ lookup('first_found', {'files': ['c.yaml'], 'paths': ['/p/none', '/p/vars']}) }}", "/p/vars/c.yaml"},
		{"{{ query('first_found', {'files': ['z'], 'skip': true}) }}", "[]"},
		{"{{ lookup('first_found', ['z'], errors='ignore') }}", ""},
		{"{{ query('fileglob', '*') | map('basename') }}", `["a.txt","b.j2"]`},
		{"{{ lookup('env', 'HOME') }} {{ '~/x' | expanduser }}", "/home/u /home/u/x"},
		{"{{ '/p/files/a.txt' is file }} {{ '/p/files' is directory }} {{ '/p/none' is exists }}", "True True False"},
	}
	for _, tt := range tests {
		got, err := v.Eval(value.Template{Text: tt.text, Pos: source.Pos{File: "/p/inv/x.yaml", Line: 1, Col: 1}})
		if err != nil || value.Text(got) != tt.want {
			t.Errorf("%s = %q, %v, want %q", tt.text, value.Text(got), err, tt.want)
		}
	}
	_, err := v.Eval(value.Template{Text: "{{ lookup('first_found', ['z']) }}", Pos: source.Pos{File: "/p/inv/x.yaml", Line: 1, Col: 1}})
	if want := "searched: /p/inv/files/z, /p/inv/z, /p/files/files/z, /p/files/z"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q in it", err, want)
	}
}

func TestNoOptionsMeansNoFilesAndNoEnvironment(t *testing.T) {
	v := New(Options{}).Vars()
	for _, text := range []string{"{{ lookup('file', '/etc/hostname') }}", "{% include '/etc/hostname' %}", "{{ '/etc' is exists }}", "{{ query('fileglob', '/etc/*') }}"} {
		if got, err := v.Eval(tmpl(text)); err == nil {
			t.Errorf("%s = %v", text, got)
		}
	}
	if got, err := v.Eval(tmpl("{{ lookup('env', 'PATH') }}")); err != nil || got != "" {
		t.Errorf("env = %v, %v", got, err)
	}
}

func TestEvalFileObeysItsSyntaxAndVariables(t *testing.T) {
	v := fileVars(nil, value.NewDict("a", "below"))
	const text = "{% if true %}\n  {% if true %}\n{{ a }}\n  {% endif %}\n{% endif %}\n"
	for _, tt := range []struct {
		how  value.Syntax
		want string
	}{
		{value.Syntax{}, "  over\n  \n"},
		{value.Syntax{KeepNewlines: true}, "\n  \nover\n  \n"},
		{value.Syntax{StripLeft: true}, "over\n"},
		{value.Syntax{KeepNewlines: true, StripLeft: true}, "\n\nover\n\n"},
	} {
		if got, err := v.EvalFile("x.j2", text, value.NewDict("a", "over"), tt.how); err != nil || got != tt.want {
			t.Errorf("%+v: %q, %v, want %q", tt.how, got, err, tt.want)
		}
	}
}

func TestEvalFileTakesOtherMarks(t *testing.T) {
	v := fileVars(map[string]string{"templates/in.j2": "<% if a %>in [[ a ]]<% endif %>"}, value.NewDict("a", "x"))
	how := value.Syntax{VariableStart: "[[", VariableEnd: "]]", BlockStart: "<%", BlockEnd: "%>", CommentStart: "<#", CommentEnd: "#>"}
	for text, want := range map[string]string{
		"[[ a ]] {{ a }} {% if %} {# c #}":                          "x {{ a }} {% if %} {# c #}",
		"<% for i in [1, 2] -%>\n [[ i ]]<%- endfor %>\n.":          "12.",
		"a <# no [[ comment #>b":                                    "a b",
		"<% raw %>[[ a ]]<% endraw %>[[ {'k': [[a]]}['k'][0][0] ]]": "[[ a ]]x",
		"<% include 'in.j2' %>":                                     "in x",
	} {
		if got, err := v.EvalFile("/p/templates/x.j2", text, nil, how); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	const header = "#jinja2: variable_start_string: '<<', variable_end_string: '>>', trim_blocks: False\n<< a >>{% if a %}\n{% endif %}{{ a }}"
	if got, err := v.EvalFile("x.j2", header, nil, value.Syntax{}); err != nil || got != "x\n{{ a }}" {
		t.Errorf("by its first line: %q, %v", got, err)
	}
	const one = "$( a )"
	if got, err := v.EvalFile("x.j2", one, nil, value.Syntax{VariableStart: "$(", VariableEnd: ")"}); err != nil || got != "x" {
		t.Errorf("an end of one letter: %q, %v", got, err)
	}
	if _, err := v.EvalFile("x.j2", "[[ a", nil, how); err == nil || !strings.Contains(err.Error(), `close it with "]]"`) {
		t.Errorf("never closed: %v", err)
	}
}

func TestLookupsFindFilesOfRolesAndPlaybooks(t *testing.T) {
	v := fileVars(map[string]string{"files/a": "of the play", "r/files/b": "of the role", "r/tasks/files/c": "beside", "r/vars/d": "vars"}, nil)
	at := source.Pos{File: "/p/r/tasks/main.yml", Line: 1, Col: 1}
	for text, want := range map[string]string{
		"{{ lookup('file', 'a') }}": "of the play", "{{ lookup('file', 'b') }}": "of the role", "{{ lookup('file', 'c') }}": "beside",
		"{{ lookup('first_found', ['none', 'b']) }}":            "/p/r/files/b",
		"{{ lookup('first_found', ['d'], kind='vars') }}":       "/p/r/vars/d",
		"{{ 'AAH/' | b64decode(encoding='latin-1') }}":          "\x00\x01\u00ff",
		"{{ '\u00ff' | b64encode(encoding='iso-8859-1') }}":     "/w==",
		"{{ query('subelements', [{'n': 1, 'l': [2]}], 'l') }}": `[[{"n":1},2]]`,
	} {
		if got, err := v.Eval(value.Template{Text: text, Pos: at}); err != nil || value.Text(got) != want {
			t.Errorf("%s = %q, %v, want %q", text, value.Text(got), err, want)
		}
	}
}

func TestEvalTextTakesWholeFiles(t *testing.T) {
	v := fileVars(map[string]string{
		"t/part.j2": "part {{ n }}\n", "t/mid.j2": "{% extends 'base.j2' %}{% block b %}mid, {{ super() }}{% endblock %}", "t/base.j2": "<{% block b %}base{% endblock %}>\n",
		"t/lib.j2": "{% macro m(x) %}[{{ x }}]{% endmacro %}", "t/bad.j2": "a\n{{ nothere }}\n",
	}, value.NewDict("n", int64(3), "on", true))
	tests := []struct{ name, text, want string }{
		{"trim", "{% if on %}\nyes\n{% endif %}\nend\n", "yes\nend\n"},
		{"end", "x\n{% if on %}\ny\n{% endif %}\n", "x\ny\n"},
		{"none", "x", "x"},
		{"indent", "  {% if on %}\ny\n  {% endif %}\n", "  y\n  \n"},
		{"header", "#jinja2: lstrip_blocks: True\n  {% if on %}\ny\n  {% endif %}\nz\n", "y\nz\n"},
		{"header", "#jinja2: trim_blocks: False\n{% if on %}\ny{% endif %}\nz\n", "\ny\nz\n"},
		{"escapes", `{{ 'a\tb' }}`, "a\tb"},
		{"include", "<{% include 'part.j2' %}>{% include 'none.j2' ignore missing %}", "<part 3>"},
		{"extends", "{% extends 'base.j2' %}{% block b %}mine {{ n }}{% endblock %}", "<mine 3>"},
		{"super", "{% extends 'mid.j2' %}{% block b %}mine, {{ super() }}{% endblock %}", "<mine, mid, base>"},
		{"import", "{% from 'lib.j2' import m %}{{ m(1) }}{% import 'lib.j2' as l %}{{ l.m(n) }}", "[1][3]"},
	}
	for _, tt := range tests {
		got, err := v.EvalText("/p/t/main.j2", tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%s: %q = %q, %v, want %q", tt.name, tt.text, got, err, tt.want)
		}
	}
	_, err := v.EvalText("/p/t/main.j2", "{% include 'bad.j2' %}")
	if err == nil || err.Error() != `/p/t/bad.j2:2:4: "nothere" is undefined` {
		t.Errorf("error %v", err)
	}
}
