package modules

import (
	"encoding/json"
	"strings"
	"testing"
)

// The diffs are what ansible-core registers, but for the name of the source.
func TestDiffIsRegisteredAsAnsibleDoes(t *testing.T) {
	b := newBench(t)
	b.task.Diff = true
	b.write(b.source+"/templates/t.j2", "hi\n")
	b.write(b.source+"/files/large", strings.Repeat("x", maxDiff+1))
	for i, c := range []struct{ module, args, outcome, want string }{
		{"file", "{path: DIR/d, state: directory, mode: '0755'}", "changed", `{"after":{"path":"DIR/d","state":"directory"},"before":{"path":"DIR/d","state":"absent"}}`},
		{"file", "{path: DIR/d, state: directory, mode: '0700'}", "changed", `{"after":{"mode":"0700","path":"DIR/d"},"before":{"mode":"0755","path":"DIR/d"}}`},
		{"file", "{path: DIR/d, state: directory, mode: '0700'}", "ok", `{"after":{"path":"DIR/d"},"before":{"path":"DIR/d"}}`},
		{"file", "{path: DIR/d, state: absent}", "changed", `{"after":{"path":"DIR/d","state":"absent"},"before":{"path":"DIR/d","path_content":{"directories":[],"files":[]},"state":"directory"}}`},
		{"copy", `{content: "a\nb\n", dest: DIR/c, mode: '0644'}`, "changed", `[{"after":"a\nb\n","after_header":"DIR/c","before":""}]`},
		{"copy", `{content: "a\nb\n", dest: DIR/c, mode: '0600'}`, "changed", `{"after":{"mode":"0600","path":"DIR/c"},"before":{"mode":"0644","path":"DIR/c"}}`},
		{"copy", `{content: "a\nc\n", dest: DIR/c}`, "changed", `[{"after":"a\nc\n","after_header":"DIR/c","before":"a\nb\n","before_header":"DIR/c"}]`},
		{"copy", `{content: "a\nc\n", dest: DIR/c}`, "ok", `null`},
		{"lineinfile", "{path: DIR/c, line: x}", "changed", `[{"after":"a\nc\nx\n","after_header":"DIR/c (content)","before":"a\nc\n","before_header":"DIR/c (content)"},{"after_header":"DIR/c (file attributes)","before_header":"DIR/c (file attributes)"}]`},
		{"replace", "{path: DIR/c, regexp: x, replace: y}", "changed", `{"after":"a\nc\ny\n","after_header":"DIR/c","before":"a\nc\nx\n","before_header":"DIR/c"}`},
		{"blockinfile", "{path: DIR/c, block: z}", "changed", `[{"after":"a\nc\ny\n# BEGIN ANSIBLE MANAGED BLOCK\nz\n# END ANSIBLE MANAGED BLOCK\n","after_header":"DIR/c (content)","before":"a\nc\ny\n","before_header":"DIR/c (content)"},{"after_header":"DIR/c (file attributes)","before_header":"DIR/c (file attributes)"}]`},
		{"template", "{src: t.j2, dest: DIR/c}", "changed", `[{"after":"hi\n","after_header":"DIR/c","before":"a\nc\ny\n# BEGIN ANSIBLE MANAGED BLOCK\nz\n# END ANSIBLE MANAGED BLOCK\n","before_header":"DIR/c"}]`},
		{"copy", `{src: large, dest: DIR/c}`, "changed", `[{"before":"hi\n","before_header":"DIR/c","src_larger":104448}]`},
		{"copy", `{content: "a\0b", dest: DIR/c}`, "changed", `[{"dst_larger":104448,"src_binary":1}]`},
		{"copy", `{content: x, dest: DIR/c}`, "changed", `[{"after":"x","after_header":"DIR/c","dst_binary":1}]`},
	} {
		for _, check := range []bool{true, false} {
			if check && c.outcome != "changed" {
				continue
			}
			b.task.Check = check
			r := b.check(c.module, c.args, c.outcome)
			text, err := json.Marshal(sorted(r.Diff))
			if got := strings.ReplaceAll(string(text), b.dir, "DIR"); err != nil || got != c.want {
				t.Errorf("%d, check %t: %s %s: got\n%s\nwant\n%s", i, check, c.module, c.args, got, c.want)
			}
		}
	}
}

// sorted is v with plain maps, which encoding/json sorts.
func sorted(v any) (out any) {
	text, _ := json.Marshal(v)
	json.Unmarshal(text, &out)
	return out
}
