//go:build conformance

package expr

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator makes questions that mostly have answers: expressions know which kind of
// value they should give.
type generator struct{ *rand.Rand }

// questions are n of them, the same for the same seed.
func questions(seed uint64, n int) []corpusItem {
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	list := make([]corpusItem, n)
	for i := range list {
		switch i % 10 {
		case 0, 1:
			y := g.yaml(2)
			list[i].YAML = &y
		case 2, 3:
			list[i].Template = g.template()
		default:
			list[i].Expr = g.any(3)
		}
	}
	return list
}

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

// fill replaces each of the letters in form that follow a $ by an expression: $n a
// number, $i a whole number, $s text, $l a list, $d a mapping, $b a condition, $a anything,
// $k a small index, $p a pattern.
func (g generator) fill(form string, depth int) string {
	kinds := map[byte]func(depth int) string{
		'n': g.number, 'i': g.whole, 's': g.text, 'l': g.list, 'd': g.dict, 'b': g.cond, 'a': g.any,
		'k': func(int) string { return fmt.Sprint(g.IntN(9) - 4) },
		'p': func(int) string { return g.pattern() },
	}
	var b strings.Builder
	for i := 0; i < len(form); i++ {
		if form[i] != '$' || i+1 == len(form) {
			b.WriteByte(form[i])
			continue
		}
		i++
		if of := kinds[form[i]]; of != nil {
			b.WriteString(of(depth - 1))
		}
	}
	return b.String()
}

func (g generator) any(depth int) string {
	switch g.IntN(7) {
	case 0:
		return g.number(depth)
	case 1:
		return g.whole(depth)
	case 2, 3:
		return g.text(depth)
	case 4:
		return g.list(depth)
	case 5:
		return g.dict(depth)
	}
	return g.cond(depth)
}

func (g generator) number(depth int) string {
	if depth <= 0 {
		return g.pick("0.5", "2.0", "1e3", "1.5e-7", "3.14159", "0.1", "1e16", "2.675", "123456.789", g.whole(0), g.whole(0), "-2.5", "1_0.5")
	}
	return g.fill(g.pick("($n + $n)", "($n - $n)", "$n * $n", "($n / $n)", "($n // $n)", "($n % $n)", "(-$n)", "($n) | round($k)", "($n) | round(1, 'floor')",
		"($n) | abs", "($s) | float", "($s) | float(1.5)", "[$n, $n] | sum", "[$n, $n] | max", "($n if $b else $n)", "(1.5) ** ($k)", "($n) | float", "[$n, $n, $n] | min", "$i", "+$n", "($i / $i)", "(($i) | root)"), depth)
}

func (g generator) whole(depth int) string {
	if depth <= 0 {
		return g.pick("0", "1", "2", "3", "7", "10", "-1", "255", "1000000", "number", "vm.ram", "0x1F", "0b11", "0o17", "1_000", "9223372036854775807", "99999999999999999999", "true")
	}
	return g.fill(g.pick("($i + $i)", "($i - $i)", "$i * $i", "($i // $i)", "($i % $i)", "(-$i)", "($l) | length", "($s) | length", "($s) | int", "($s) | int(7)", "($n) | int",
		"2 ** ($k + 5)", "($s).count($s)", "($s).find($s)", "($l) | sum(start=1)", "($i if $b else $i)", "range(5)[$k]", "($l).count($a)", "'$k' | int(base=16)", "($i) | abs", "$i ** 2", "($s).rfind('a')", "($d) | length", "($s) | int(0, 16)", "($n) | round | int", "1 + $i ~ 2", "2 ** 3 ** 2", "-$i ** 2"), depth)
}

func (g generator) text(depth int) string {
	if depth <= 0 {
		return g.pick("'abc'", "'Hello World'", "''", "'a,b,c'", "'  x y '", "'42'", "'-7'", "'3.5'", "'é€😀'", "\"it's\"", "text", "vm.platform", "'a\tb'", "'line1\nline2\n'", "'[1, 2]'", "'True'", "'ABC'", "'/a/b/c.tar.gz'", "'x=1'", "'aXbXc'", "'1e3'", "'0x1f'")
	}
	return g.fill(g.pick("($s ~ $a)", "($s + $s)", "($s).upper()", "($s) | lower", "($s) | capitalize", "($s) | title", "($s).title()", "($s)[$k:]", "($s)[:$k]", "($s)[::-1]", "($s)[$k:$k:2]", "($s) | replace($s, $s)",
		"($s).replace('a', $s, 1)", "'%s' % ($a,)", "'%05.1f' % $n", "'%5d|' % $i", "'%x' % $i", "'%-8s|' % $s", "'%+.3e' % $n", "'%g' % $n", "'%r' % ($a,)", "'%s-%s' % ($a, $a)", "'%(x)s' % {'x': $a}", "'%08.3f' % ($n)", "'%#x %o' % ($i, $i)", "'%c' % 65", "'% d' % $i", "'%.3s' % $s",
		"'{}'.format($a)", "'{:>8}'.format($s)", "'{:^9}|'.format($s)", "'{:05d}'.format($i)", "'{:.2f}'.format($n)", "'{:,}'.format($i)", "'{:+.1e}'.format($n)", "'{0}{1}{0}'.format($a, $a)", "'{!r}'.format($a)", "'{:x}'.format($i)", "'{:#b}'.format($i)", "'{:%}'.format($n)", "'{:g}'.format($n)", "'{:{}}'.format($s, 6)", "'{:*<7}'.format($s)", "'{a[0]}'.format(a=$l)", "'{x.y}'.format(x={'y': 1})", "'{:_}'.format($i)", "'{:e}'.format($n)", "'{:}'.format($n)", "'{:n}'.format($i)",
		"($l) | join($s)", "','.join(['a', $s])", "($s).strip()", "($s).strip('a ')", "($s) | trim", "($s).center(9, '*')", "($s).ljust(6) ~ '|'", "($s).zfill(6)", "($s if $b else $s)", "($a) | string", "($a) | to_json", "($a) | to_nice_json", "($a) | to_yaml", "($a) | to_nice_yaml", "($s) | b64encode", "($s) | hash('md5')",
		"($s) | regex_replace('$p', $s)", "($s) | regex_replace('$p', '<\\\\1>')", "($s) | regex_escape", "($s) | quote", "($s) | indent(2)", "($s) | wordwrap(5)", "($s) | truncate(6)", "($s) | basename", "($s) | dirname", "($s) | center(8)", "($s) | urlencode", "($s) | e", "($s) | reverse", "($s)[$k]", "($s) | first", "($s) | last", "($a) | type_debug", "($i) | filesizeformat", "($i) | human_readable", "($a) | ternary($s, $s)", "($s).partition('a')[0]", "($s).swapcase()", "($s).expandtabs(4)", "($s) | comment", "($s).capitalize()", "($s) | format($a)", "'%s|%s' | format($a, $a)", "($a) | default($s)", "$s $s", "($d).get($s, $s)", "$s * 2"), depth)
}

func (g generator) list(depth int) string {
	if depth <= 0 {
		return g.pick("[]", "[1, 2, 3]", "['a', 'b']", "list", "[3, 1, 2, 1]", "vm.disks", "['B', 'a', 'C']", "[1, 1.0, true]", "[none, '']", "(1, 2)", "[[1, 2], [3]]", "['x', 1]", "range(4) | list", "[0.1, 2]", "[{'a': 1, 'b': 2}, {'a': 0, 'b': 3}]")
	}
	return g.fill(g.pick("[$a, $a]", "($l + $l)", "($l) | list", "($l)[$k:]", "($l)[:$k]", "($l)[::$k]", "($l)[$k:$k:-1]", "($l) | unique", "($l) | sort", "($l) | reverse | list", "($l) | flatten", "($l) | map('string') | list", "($l) | map('int') | list", "($l) | select('defined') | list", "($l) | reject('equalto', 1) | list",
		"($s).split()", "($s).split(',')", "($s) | split('b')", "($s) | list", "($l) | zip($l) | list", "($l) | union($l)", "($l) | difference($l)", "($l) | intersect($l)", "($l) | symmetric_difference($l)", "($d) | dict2items", "($d).keys() | list", "($d).values() | list", "($d).items() | list", "($d) | dictsort", "($l) | batch(2) | list", "($l) | slice(2) | list",
		"($s) | regex_findall('$p')", "($s) | regex_search('$p', '\\\\1')", "($l if $b else $l)", "[$l, $l] | flatten(1)", "[($a, $a)]", "($l) | map('upper') | list", "vm.disks | map(attribute='src') | list", "vm.disks | selectattr('size', 'defined') | list", "[{'a': 1, 'b': 2}, {'a': 0, 'b': 3}] | sort(attribute='a')", "[{'a': 1, 'b': 2}, {'a': 1, 'b': 3}] | groupby('a')", "($s).splitlines()", "($s).rsplit('b', 1)", "($s).partition('b')", "($l) | select | list", "($l) * 2", "($l) | product([1]) | list", "($l) | combinations(2) | list", "($a,)", "($l) | max", "($d) | list", "($l) | shuffle(seed='x') | length", "($l) | last", "($l) | first", "($l)[$k]", "($l) | zip_longest([9], fillvalue='-') | list", "($l) | sum(start=[])"), depth)
}

func (g generator) dict(depth int) string {
	if depth <= 0 {
		return g.pick("{}", "{'a': 1}", "{'a': 1, 'b': [2]}", "vm.metadata", "{1: 'x'}", "{'b': 1, 'a': 2}", "result_ok", "{'x': none}", "{1.5: 2, true: 3}")
	}
	return g.fill(g.pick("{'a': $a, 'b': $a}", "($d) | combine($d)", "($d) | combine({'a': $a}, recursive=true)", "dict([('a', $a)])", "dict(a=$a)", "[{'key': $s, 'value': $a}] | items2dict", "($d if $b else $d)", "{'k': $d}", "{$s: $a}", "($d) | combine($d, list_merge='append')", "{'a': $d, 'c': $l}", "($d).copy()", "vm", "'{\"a\": 1}' | from_json", "($a) | to_json | from_json", "($d) | dict2items | items2dict", "'a: 1' | from_yaml"), depth)
}

func (g generator) cond(depth int) string {
	if depth <= 0 {
		return g.pick("true", "false", "number > 3", "text == 'hello'", "none", "nothere is defined", "vm is mapping", "True", "1 < 2")
	}
	return "(" + g.fill(g.pick("($n < $n)", "($i <= $i <= $i)", "($i == $n)", "($a == $a)", "($a != $a)", "($a in $l)", "($s in $s)", "($s in $d)", "($a not in $l)", "not $b", "($b and $b)", "($b or $a)", "($a and $a)", "$s is match('$p')", "$s is search('$p')", "$s is match '$p'", "$i is even", "$i is divisibleby 3", "$i is not divisibleby(2)", "$a is string", "$a is number", "$a is sequence", "$a is mapping", "$a is iterable", "$a is none", "$a is integer", "$a is float", "$a is boolean", "'1.10' is version('1.9', '>')", "$i is lt 3", "$a is sameas true", "$l is contains($a)", "$a is in $l", "$l is subset($l)", "$l is any", "$l is all", "($s).startswith('a')", "($s).endswith(('c', 'x'))", "($s).isdigit()", "($s).isalpha()", "($a) | bool", "($s < $s)", "($l < $l)", "$s is upper", "$s is lower", "($a) is truthy", "($b if $b)", "1 < $i < 10 == true", "$n is number", "$a is defined", "not $a", "$a is not none", "$s is regex('$p')", "($s).isupper()", "$i > $n >= $k", "$a is eq $a"), depth) + ")"
}

// pattern is a regular expression without quotes and with at least one group.
func (g generator) pattern() string {
	return g.pick("(a)", "([a-c]+)", "(\\\\d+)", "(\\\\w)(\\\\w)", "^(.)", "(.)$", "(?P<first>[a-z])(.)", "(?i)(HELLO)", "(a|b)", "(x)?b", "(\\\\s)", "(?=b)(b)", "(a(?!b))", "(?<=a)(b)", "(.+?)(b|$)", "(\\\\b\\\\w)", "()", "([^a])", "(?:a)(b)", "(?P<q>b)(?P=q)?", "(e)\\\\Z", "(.)(?:,|$)", "([\\\\w-]+)")
}

func (g generator) template() string {
	return g.fill(g.pick("{{ $a }}{{ $a }}", "x {{ $a }} y", "{% if $b %}{{ $a }}{% else %}{{ $a }}{% endif %}", "{% for x in $l %}{{ x }}{{ loop.index }}{{ loop.last }} {% else %}none{% endfor %}", "{% set v = $a %}{{ v }}|{{ v }}", "{% set v %}{{ $a }}{% endset %}{{ v }}{{ v is string }}",
		"[{{ $n }}, {{ $n }}]", "[{{ $a }}]", "{\"a\": {{ $a | to_json }}}", "{%- for k, v in ($d).items() %} {{ k }}={{ v }} {%- endfor %}!", "{% filter upper %}{{ $s }}{% endfilter %}-", "{% macro m(a, b=$a) %}{{ a }}{{ b }}{% endmacro %}{{ m($a) }};{{ m($a, $a) }}", "  {{ $s }}  \n", "{% if $b -%}\n  {{ $s }}\n{%- endif %}\n", "{% for x in $l if x %}{{ x }},{% endfor %}\nend", "{# c #}{{ $s }}\n\n", "{% raw %}{{ x }}{% endraw %}{{ $n }}", "{% with v = $a %}{{ v }}{% endwith %} ", "{% for x in $l recursive %}{{ loop.depth }}{{ x }}{% endfor %};", "{% set ns = namespace(c=0) %}{% for x in $l %}{% set ns.c = ns.c + 1 %}{% endfor %}{{ ns.c }} ", "{% call(x) w() %}{{ x }}{% endcall %}", "{% macro w() %}[{{ caller($a) }}]{% endmacro %}{% call(x) w() %}{{ x }}{% endcall %} ", "{{ '%s' | format($a) }} {{ $s | upper }}", "{% for a, b in [($n, $s)] %}{{ a }}{{ b }}{% endfor %}.", "{{ $s }}", "{{ ($s) | upper }}", "{{ ($l) | join(',') }}", "{% if $a %}True{% else %}False{% endif %}", "{% set a, b = $a, $a %}{{ a }}{{ b }}", "{% for x in range(3) %}{{ loop.revindex0 }}{{ loop.first }}{{ loop.cycle($a, $a) }}{% endfor %}?", "{{ $a\n}}\n  {%+ if $b %}\n t\n  {% endif %}\n"), 2)
}

func (g generator) yaml(depth int) string {
	if depth <= 0 || g.IntN(3) > 0 {
		return g.scalar()
	}
	switch g.IntN(4) {
	case 0:
		return "[" + g.scalar() + ", " + g.scalar() + "]"
	case 1:
		return "{a: " + g.scalar() + ", b: " + g.scalar() + "}"
	case 2:
		return "- " + g.scalar() + "\n- {x: " + g.scalar() + "}\n"
	}
	return "a: &x {k: " + g.scalar() + ", l: " + g.scalar() + "}\nb: {" + g.pick("<<: *x, k: 1", "k: 1, <<: *x", "<<: [*x, {k: 2, m: 3}]", "m: 1, <<: [{m: 2, k: 9}, *x]", "<<: {l: 5}, <<: *x") + "}\n"
}

// scalar is mostly a thing that is nearly a number.
func (g generator) scalar() string {
	word := g.pick("yes", "No", "ON", "off", "y", "N", "true", "nULL", "null", "~", ".inf", "-.INF", ".NaN", "2024-01-02", "2024-1-2 3:04:05", "2001-12-14t21:59:43.1-05:00", "abc", "1:30", "0o17", "!!str 12", "!!int '7'", "!!float 7", "!!bool 'on'", "'quoted'", "\"a\\tb\"", "1.2.3", "10.0.0.1", "5G", "v1", "1-2", "+5", "-0", "1e5", "1.e+5")
	if g.IntN(3) == 0 {
		return word
	}
	n := 1 + g.IntN(6)
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789019283746.:_-+exobafEX"[g.IntN(32)]
	}
	s := string(b)
	if strings.ContainsAny(s[:1], ":-") || strings.HasSuffix(s, ":") {
		s = "1" + strings.TrimRight(s, ":")
	}
	return s
}
