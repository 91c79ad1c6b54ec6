package value

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"farm/inventory/source"
)

func parse(t *testing.T, text string) (any, error) {
	t.Helper()
	f, err := source.Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return FromNode(f, f.Root)
}

// The right column is what PyYAML's loader answers.
func TestScalarsAreYAML11(t *testing.T) {
	for text, want := range map[string]any{
		"yes": true, "Off": false, "TRUE": true, "y": "y", "yEs": "yEs", "~": nil, "": nil, "null": nil,
		"0644": int64(420), "0o644": "0o644", "0": int64(0), "-1": int64(-1), "1_000": int64(1000), "0x1F": int64(31),
		"0b101": int64(5), "08": "08", "1.5": 1.5, "1e3": "1e3", "1.0e+3": 1000.0, ".5": 0.5, "1.": 1.0,
		"'yes'": "yes", `"1"`: "1", "!!str 1": "1", "99999999999999999999": Big("99999999999999999999"),
		"10G": "10G", "{{ a }}": nil,
	} {
		if strings.HasPrefix(text, "{{") {
			continue
		}
		got, err := parse(t, "v: "+text+"\n")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if v, _ := got.(*Dict).Get("v"); v != want {
			t.Errorf("%s: got %#v, want %#v", text, v, want)
		}
	}
}

func TestFromNodeTellsAllFaultsAtOnce(t *testing.T) {
	_, err := parse(t, "a: 1\na: 2\nb: !vault x\nc: {d: 1, d: 2}\n? [x]\n: y\n")
	want := `f.yaml:2:1: duplicate key "a" (first given at line 1)
f.yaml:3:4: encrypted values are not supported (decrypt it and pass it with -e @FILE)
f.yaml:4:11: duplicate key "d" (first given at line 4)
f.yaml:5:3: a mapping or list cannot be a key (quote it if it is a template: "{{ ... }}")`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestAliasIsConvertedOnce(t *testing.T) {
	v, err := parse(t, "a: &x {k: [1]}\nb: *x\n")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := v.(*Dict).Get("a")
	b, _ := v.(*Dict).Get("b")
	if a != b {
		t.Error("an alias has a copy of its anchor's value")
	}
}

func TestMergeKeys(t *testing.T) {
	v, err := parse(t, "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\n")
	if err != nil {
		t.Fatal(err)
	}
	c, _ := v.(*Dict).Get("c")
	text, _ := json.Marshal(c)
	if string(text) != `{"y":1,"z":2,"x":3}` {
		t.Errorf("got %s", text)
	}
}

func TestTemplatesKeepTheirPlace(t *testing.T) {
	v, err := parse(t, "a:\n  - \"{{ x }}\"\n")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := v.(*Dict).Get("a")
	want := Template{Text: "{{ x }}", Pos: source.Pos{File: "f.yaml", Line: 2, Col: 5}}
	if a.([]any)[0] != any(want) {
		t.Errorf("got %#v", a)
	}
}

func TestDictBehavesAtEverySize(t *testing.T) {
	for _, n := range []int{1, smallDict, smallDict + 1, 1000} {
		d := NewDict()
		for i := range n {
			d.Set(fmt.Sprint("k", i), i)
			d.SetKeyPos(fmt.Sprint("k", i), source.Pos{File: "f", Line: i + 1})
		}
		d.Set("k0", "new")
		c := d.Copy()
		c.Delete("k0")
		c.Set("extra", 1)
		if v, _ := d.Get("k0"); v != "new" || d.Len() != n || c.Has("k0") || !c.Has("extra") || d.Has("extra") {
			t.Errorf("size %d: copy and original are not apart", n)
		}
		last := fmt.Sprint("k", n-1)
		if d.KeyPos(last).Line != n {
			t.Errorf("size %d: place of %s is %v", n, last, d.KeyPos(last))
		}
	}
	d := NewDict(1, "one", "1", "text")
	if v, _ := d.Get(1); v != "one" {
		t.Errorf("int key: %v", v)
	}
}

func TestDictKnowsThePlacesOfValuesAndItems(t *testing.T) {
	v, err := parse(t, "a: 1\nlist:\n- x\n- y\nnext:\n  b: &l [1]\nc: *l\n")
	if err != nil {
		t.Fatal(err)
	}
	d := Merge(NewDict("a", 2), v.(*Dict)).Copy()
	at := func(line, col int) source.Pos { return source.Pos{File: "f.yaml", Line: line, Col: col} }
	for name, c := range map[string]struct{ got, want source.Pos }{
		"key":                {d.KeyPos("a"), at(1, 1)},
		"value":              {d.ValPos("a"), at(1, 4)},
		"list":               {d.ValPos("list"), at(3, 1)},
		"item":               {d.ItemPos("list", 1), at(4, 3)},
		"no such item":       {d.ItemPos("list", 2), at(3, 1)},
		"item of no list":    {d.ItemPos("a", 0), at(1, 4)},
		"item of an alias":   {d.ItemPos("c", 0), at(7, 4)},
		"not from a file":    {NewDict("a", 1).ValPos("a"), source.Pos{}},
		"no such key at all": {d.ValPos("zz"), at(1, 1)},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, not %v", name, c.got, c.want)
		}
	}
}

func TestMergeLeavesItsArguments(t *testing.T) {
	low := NewDict("m", NewDict("a", int64(1), "b", int64(1)), "l", []any{int64(1)})
	high := NewDict("m", NewDict("b", int64(2)), "l", []any{})
	text, _ := json.Marshal(Merge(low, high))
	if string(text) != `{"m":{"a":1,"b":2},"l":[]}` {
		t.Errorf("got %s", text)
	}
	if text, _ = json.Marshal(low); string(text) != `{"m":{"a":1,"b":1},"l":[1]}` {
		t.Errorf("low is now %s", text)
	}
}

func TestDecodeIsStrict(t *testing.T) {
	var into struct {
		Name  string   `yaml:"name,required"`
		VCPUs int      `yaml:"vcpus|cpus"`
		List  []string `yaml:"list"`
		Flag  bool     `yaml:"flag"`
	}
	v, err := parse(t, "vcpu: 1\ncpus: many\nlist: a, b\nflag: yes\n")
	if err != nil {
		t.Fatal(err)
	}
	err = Decode(v.(*Dict), &into)
	want := "f.yaml:1:1: \"name\" is missing\nf.yaml:1:1: unknown key \"vcpu\" (did you mean \"vcpus\"?)\nf.yaml:2:7: cpus is text, not a whole number"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if len(into.List) != 2 || into.List[1] != "b" || !into.Flag {
		t.Errorf("got %+v", into)
	}
}

func FuzzFromNode(f *testing.F) {
	for _, seed := range []string{"a: 1", "a: &x [1]\nb: *x", "<<: {a: 1}", "? {a: b}\n: c", "!!binary x", "- 0644\n- yes"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := source.Parse("f.yaml", text)
		if err != nil {
			return
		}
		if v, err := FromNode(file, file.Root); err == nil {
			_ = Text(v)
		}
	})
}

func TestFromJSONEndsAtDeepNesting(t *testing.T) {
	for _, c := range []struct {
		depth int
		ok    bool
	}{{maxNesting, true}, {maxNesting + 2, false}, {1 << 22, false}} {
		text := strings.Repeat("[", c.depth)
		if c.ok {
			text += strings.Repeat("]", c.depth)
		}
		if _, err := FromJSON([]byte(text)); (err == nil) != c.ok {
			t.Errorf("%d: %v", c.depth, err)
		}
	}
}
