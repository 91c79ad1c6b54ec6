package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestHostListReadsHosts(t *testing.T) {
	for text, want := range map[string]string{
		"a,":                   `a {}`,
		"b, a:2222,b":          `b,a {"a":{"ansible_port":"2222"}}`,
		"10.0.0.3,[fe80::1]:7": `10.0.0.3,fe80::1 {"fe80::1":{"ansible_port":"7"}}`,
		"fe80::1,":             `fe80::1 {}`,
		"localhost,":           `localhost {"localhost":{"ansible_connection":"local"}}`,
	} {
		names, vars, err := hostList(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !strings.Contains(text, "localhost") {
			delete(vars, "localhost")
		}
		got, _ := json.Marshal(vars)
		if all := strings.Join(names, ",") + " " + string(got); all != want {
			t.Errorf("%s: %s, not %s", text, all, want)
		}
	}
	for _, text := range []string{",", "me@a,", "a:0,", "a:x,", "-a,", "a/b,", ":22,"} {
		if names, _, err := hostList(text); err == nil {
			t.Errorf("%s is %v", text, names)
		}
	}
}
