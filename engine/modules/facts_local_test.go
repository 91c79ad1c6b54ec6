package modules

import (
	"encoding/json"
	"os"
	"testing"
)

func TestParseINIReadsWhatConfigparserReads(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    `{}`,
		"[a]\nOne = 1\ntwo: b = c\n":          `{"a":{"one":"1","two":"b = c"}}`,
		"# x\n; y\n[a]\nk = v\n  more\n\n[b]": `{"a":{"k":"v\nmore"},"b":{}}`,
		"[a]\nk=1\n[DEFAULT]\nk=0\nj=2\n":     `{"a":{"j":"2","k":"1"}}`,
	} {
		got, err := parseINI(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		js, _ := json.Marshal(got)
		var sorted any
		if err := json.Unmarshal(js, &sorted); err != nil {
			t.Fatal(err)
		}
		if js, _ = json.Marshal(sorted); string(js) != want {
			t.Errorf("%q = %s, want %s", text, js, want)
		}
	}
	for _, text := range []string{"k = 1\n", "[a]\nword\n"} {
		if got, err := parseINI(text); err == nil {
			t.Errorf("%q = %v", text, got)
		}
	}
}

func TestSetupReadsLocalFacts(t *testing.T) {
	b := newBench(t)
	b.write("facts.d/j.fact", `{"a": [1]}`)
	b.write("facts.d/i.fact", "[s]\nk=v\n")
	b.write("facts.d/bad.fact", "neither\n")
	b.write("facts.d/other.txt", "{}")
	if err := os.Symlink("nowhere", b.dir+"/facts.d/dead.fact"); err != nil {
		t.Fatal(err)
	}
	r := b.check("setup", "{gather_subset: ['!all'], fact_path: DIR/facts.d}", "ok")
	local, _ := r.Facts.Get("ansible_local")
	js, _ := json.Marshal(local)
	want := `{"bad":"error loading facts as JSON or ini - please check content: ` + b.dir + `/facts.d/bad.fact","dead":"Could not stat fact (` + b.dir + `/facts.d/dead.fact): the link leads nowhere","i":{"s":{"k":"v"}},"j":{"a":[1]}}`
	if string(js) != want {
		t.Errorf("%s, want %s", js, want)
	}
}
