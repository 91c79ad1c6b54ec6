package expr

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/inventory/source"
	"farm/inventory/value"
)

// fileAnswers evaluates expressions with the files of a folder at hand.
func fileAnswers(t *testing.T, files map[string]string, answers map[string]string, vars ...any) {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v := New(HostOptions(dir)).Vars(value.NewDict(append(vars, "dir", dir)...))
	for text, want := range answers {
		x, err := v.Eval(tmpl("{{ " + text + " }}"))
		got := asJSON(x)
		if err != nil {
			got = Reason(err)
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestCSVRows(t *testing.T) {
	fileAnswers(t, map[string]string{
		"p.csv": "# Last,First\nSmith,Jane,\"a \"\"b\"\"\"\r\nvon X,Demo,\"two\nlines\"\nBad,\"x\"y,z\n\"\"\"R\"\" J\",D\n",
		"t.csv": "a\t1\na\t2\n", "e.csv": "\xa4,euro\n", "a b.csv": "k,v\n",
	}, map[string]string{
		"lookup('csvfile', 'Smith', file='p.csv', delimiter=',', col=1)":          `"Jane"`,
		"lookup('csvfile', 'Smith file=p.csv delimiter=, col=2')":                 `"a \"b\""`,
		"lookup('csvfile', 'von X file=p.csv delimiter=, col=2')":                 `"two\nlines"`,
		"lookup('csvfile', 'Bad file=p.csv delimiter=,')":                         `"xy"`,
		"lookup('csvfile', '\"R\" J file=p.csv delimiter=,')":                     `"D"`,
		"lookup('csvfile', 'Jane', file='p.csv', delimiter=',', col=0, keycol=1)": `"Smith"`,
		"query('csvfile', 'a', 'a', file='t.csv')":                                `["1","1"]`,
		"lookup('csvfile', 'nope file=t.csv')":                                    `[]`,
		"lookup('csvfile', 'nope file=t.csv default=d')":                          `"d"`,
		"lookup('csvfile', '€ file=e.csv delimiter=, encoding=iso-8859-15')":      `"euro"`,
		"lookup('csvfile', 'k file=\"a b.csv\" delimiter=,')":                     `"v"`,
		"lookup('csvfile', 'file=p.csv')":                                         "Search key is required",
		"lookup('csvfile', 'x file=p.csv no=1')":                                  "no is not a valid option",
		"lookup('csvfile', 'x', file='nowhere.csv')":                              "No such file or directory",
		"lookup('csvfile', 'a', file='t.csv', col=7)":                             "2 columns",
	})
}

func TestINIValues(t *testing.T) {
	fileAnswers(t, map[string]string{
		"x.ini": "; c\n[DEFAULT]\nbase = /srv\n[global]\n# c\nName: v\nlong = one\n  two\n\npath = %(base)s/x %%\nv1 = 1\nv2=2\nloop=%(loop)s\n[other]\n",
		"d.ini": "[a]\nx=1\nX=2\n", "n.ini": "[a]\nx\ny=1\n", "s.ini": "[a]\n[a]\n", "h.ini": "x=1\n", "l.ini": "[global]\nk=\xe9t\xe9\n",
		"j.properties": "a.b = c d\nk : v\n",
	}, map[string]string{
		"lookup('ini', 'name', file='x.ini')":                                `"v"`,
		"lookup('ini', 'long', file='x.ini')":                                `"one\ntwo"`,
		"lookup('ini', 'path', file='x.ini')":                                `"/srv/x %"`,
		"lookup('ini', 'base file=x.ini section=other')":                     `"/srv"`,
		"query('ini', 'v[1-2] file=x.ini re=true')":                          `["1","2"]`,
		"lookup('ini', 'none', file='x.ini')":                                `""`,
		"lookup('ini', 'none', file='x.ini', default='d e')":                 `"d e"`,
		"lookup('ini', 'loop', file='x.ini')":                                "more than 10 deep",
		"lookup('ini', 'x', file='x.ini', section='nope')":                   "No section 'nope'",
		"lookup('ini', 'x', file='d.ini', section='a')":                      "Duplicate option in",
		"lookup('ini', 'X', file='d.ini', section='a', case_sensitive=true)": `"2"`,
		"lookup('ini', 'y', file='n.ini', section='a')":                      "no option",
		"lookup('ini', 'x', file='n.ini', section='a', allow_none=true)":     `[]`,
		"lookup('ini', 'y', file='s.ini', section='a')":                      "Duplicate section in",
		"lookup('ini', 'y', file='h.ini', section='a')":                      "does not begin with a [section]",
		"lookup('ini', 'k file=l.ini encoding=iso-8859-1')":                  `"été"`,
		"lookup('ini', 'a.b', type='properties', file='j.properties')":       `"c d"`,
		"lookup('ini', 'k type=properties file=j.properties')":               `"v"`,
		"lookup('ini', 'file=x.ini')":                                        "No key to lookup was provided as first term",
		"lookup('ini', 'x', no=1)":                                           "no is not a valid option",
	})
}

func TestTemplateLookupsHaveMarksAndTypes(t *testing.T) {
	fileAnswers(t, map[string]string{
		"templates/m.j2": "[% n %] {{ n }}[# c #]", "templates/d.j2": "{'a': {{ n }}}",
	}, map[string]string{
		"lookup('template', 'm.j2', variable_start_string='[%', variable_end_string='%]', comment_start_string='[#', comment_end_string='#]')": `"7 {{ n }}"`,
		"lookup('template', 'd.j2') is mapping":                     `true`,
		"lookup('template', 'd.j2', convert_data=False)":            `"{'a': 7}"`,
		"lookup('template', 'd.j2', convert_data=False) is mapping": `false`,
	}, "n", int64(7))
}

func TestLookupsSearchWhereTheTaskDoes(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/files", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/files/x.txt", []byte("here\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	v := New(HostOptions()).Vars(value.NewDict("ansible_search_path", []any{dir}))
	if x, err := v.Eval(tmpl("{{ lookup('file', 'x.txt') }}")); x != "here" {
		t.Errorf("got %v, %v", x, err)
	}
}

func TestFilesOfTheController(t *testing.T) {
	fileAnswers(t, map[string]string{"b.txt": "b", "a.txt": "a", "sub.txt/x": ""}, map[string]string{
		"(dir ~ '/*.txt') | fileglob | map('basename') | list": `["a.txt","b.txt"]`,
		"(dir ~ '/a.txt') is same_file(dir ~ '/./a.txt')":      `true`,
		"(dir ~ '/a.txt') is same_file(dir ~ '/b.txt')":        `false`,
		"(dir ~ '/a.txt') is same_file('/nope')":               "no such file",
		"'/' is mount and '/' is is_mount":                     `true`,
		"dir is mount":                                         `false`,
		"'/nope' is mount":                                     `false`,
	})
}

func TestHostNamesOfPatterns(t *testing.T) {
	o := Options{Select: func(pattern string, hosts []string, groups map[string][]string) ([]string, error) {
		return append([]string{pattern}, append(hosts, groups["g"]...)...), nil
	}}
	v := New(o).Vars(value.NewDict("groups", value.NewDict("all", []any{"a", "b"}, "g", []any{"b"})))
	x, err := v.Eval(tmpl("{{ query('inventory_hostnames', 'g:!a', 'b') }}"))
	if got := asJSON(x); err != nil || got != `["g:!a,b","a","b","b"]` {
		t.Error(got, err)
	}
}

func TestVarNamesAreInTheOrderOfLayers(t *testing.T) {
	v := New(Options{}).Vars(value.NewDict("q_z", 1, "q_b", 1)).With(value.NewDict("q_a", 1, "q_z", 2))
	x, err := v.Eval(tmpl("{{ lookup('varnames', '^q_') }}"))
	if err != nil || x != "q_z,q_b,q_a" {
		t.Error(x, err)
	}
}

func TestReasonsAreWhatPlaybooksLookFor(t *testing.T) {
	v := New(Options{}).Vars(value.NewDict("list", []any{}, "dict", value.NewDict("a", int64(1)), "via", tmpl("{{ list[0] }}"), "outer", tmpl("{{ via }}!")))
	const undefined = "The task includes an option with an undefined variable. The error was: "
	for text, want := range map[string]string{
		"{{ x }}":                       undefined + "'x' is undefined",
		"{{ dict.b }}":                  undefined + "'dict object' has no attribute 'b'",
		"{{ dict['b'].c }}":             undefined + "'dict object' has no attribute 'b'",
		"{{ outer }}":                   undefined + "{{ via }}!: {{ list[0] }}: list object has no element 0",
		"{{ undef('give me x') }}":      undefined + "give me x",
		"{{ lookup('vars', 'no') }}":    undefined + "No variable found with this name: no",
		"{{ no | mandatory }}":          "Mandatory variable 'no'  not defined.",
		"{{ {} | combine(a=1) }}":       "'recursive' and 'list_merge' are the only valid keyword arguments",
		"{{ 'x' | regex_escape('y') }}": "Invalid regex type (y)",
	} {
		if _, err := v.Eval(tmpl(text)); err == nil || Reason(err) != want {
			t.Errorf("%s\n got %s\nwant %s", text, Reason(err), want)
		}
	}
}

// A variable that stands for another host's variables is not read as a whole for one of them.
func TestVariablesForHostsAreReadInPart(t *testing.T) {
	e := New(Options{})
	other := e.Vars(value.NewDict("a", "one", "bad", tmpl("{{ nothere }}")))
	v := e.Vars(value.NewDict("hostvars", value.NewDict("b", other.Lazy()), "h", tmpl("{{ hostvars['b'] }}"), "one", tmpl("{{ h.a }}")))
	if x, err := v.Eval(tmpl("{{ one }} {{ h.bad is defined }}")); x != "one False" {
		t.Errorf("got %v, %v", x, err)
	}
	if x, err := v.Eval(tmpl("{{ h }}")); err != nil || asJSON(x) != `{"a":"one"}` {
		t.Errorf("all of it that is defined: %v, %v", x, err)
	}
}

func TestPasswordsThatAreKeptNowhere(t *testing.T) {
	v := New(HostOptions()).Vars()
	eval := func(text string) (any, error) { return v.Expression(text, source.Pos{}) }
	one, err := eval("lookup('password', '/dev/null')")
	two, _ := eval("lookup('password', '/dev/null')")
	if s, _ := one.(string); err != nil || len(s) != 20 || one == two {
		t.Errorf("got %v and %v, %v", one, two, err)
	}
	for text, want := range map[string]string{
		"lookup('password', '/dev/null length=3 chars=z')":                              "zzz",
		"lookup('password', '/dev/null', length=2, chars=['q'])":                        "qq",
		"lookup('password', '/dev/null length=9 chars=digits') is regex('^[0-9]{9}$')":  "true",
		"lookup('password', '/dev/null length=9 chars=digits,x') is regex('^[0-9x]*$')": "true",
	} {
		if got, err := eval(text); err != nil || value.Text(got) != want && value.Text(got) != "True" {
			t.Errorf("%s: got %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"lookup('password', '/tmp/x')", "lookup('password', '/dev/null length=0')", "lookup('password', '/dev/null size=1')", "lookup('password', '')"} {
		if got, err := eval(text); err == nil {
			t.Errorf("%s: got %v", text, got)
		}
	}
}
