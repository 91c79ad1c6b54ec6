package main

import (
	"strings"
	"testing"

	"farm/inventory/expr"
	"farm/inventory/value"
)

func TestMentionedFollowsVariables(t *testing.T) {
	read := func(mirror string) (names, digests string) {
		vars := expr.New(expr.Options{}).Vars(value.NewDict("image_url", value.Template{Text: "{{ mirror }}/x"}, "mirror", mirror, "unread", mirror, "vm", "steers"))
		for _, in := range mentioned(vars, "- get_url: {url: '{{ image_url }}', dest: '{{ vm.x }}'}\n") {
			names += in.Name + "|"
			digests += in.Digest
		}
		return names, digests
	}
	names, one := read("http://a")
	if want := "variable image_url|variable mirror|"; names != want {
		t.Errorf("got %s, want %s", names, want)
	}
	if _, two := read("http://b"); one == two {
		t.Error("a changed variable has the same digest")
	}
	all := mentioned(expr.New(expr.Options{}).Vars(value.NewDict("a", "1", "b", "2")), "{{ vars['a'] }}")
	if len(all) != 2 || !strings.HasSuffix(all[1].Name, " b") {
		t.Errorf("vars mentions %v", all)
	}
}
