package inventory

import (
	"strings"
	"testing"
)

func TestCheckTellsWhatNoVMNeedMeet(t *testing.T) {
	vms, inv, err := expandText(t, `
all:
  hosts:
    localhost:
      config: {list: [{platform: debian_12, target: amd64, vars: {b: "{{ c }}", c: "{{ b }}"}}]}
  vars:
    typo: "{{ projet_id }}"
    later: "{{ built.stdout }}"
    fact: "{{ ansible_kernel }}"
platforms:
  unused: {rma: 12, extends: debian_12}
`, ExpandOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = inv.Check(vms, func(name string) bool { return name == "built" || strings.HasPrefix(name, "ansible_") })
	if err == nil {
		t.Fatal("nothing was found")
	}
	for _, want := range []string{`:5:`, `the variable "b" needs itself: b -> c -> b`, `:7:15: "projet_id" is undefined`, `:11:12: unknown key "rma"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told in:\n%v", want, err)
		}
	}
	for _, no := range []string{"built", "ansible_kernel", `"c" is undefined`} {
		if strings.Contains(err.Error(), no) {
			t.Errorf("%s is no fault:\n%v", no, err)
		}
	}
}
