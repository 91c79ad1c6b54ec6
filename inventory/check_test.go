package inventory

import (
	"strings"
	"testing"

	"farm/inventory/source"
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

func TestCheckLeavesToVMsWhatTheyShareWithHosts(t *testing.T) {
	vms, inv, err := expandText(t, `
all:
  hosts:
    localhost:
      config: {list: [{platform: debian_12, target: amd64, count: 2}]}
      own: "{{ vm_index + 1 }}"
  vars:
    number: "{{ vm_index }}"
    deeper: "{{ number }}-{{ vm.metadata.name }}-{{ kvm_host }}"
    circle: "{{ circle }}"
    hidden: "{{ vm_index * 3 }}"
    typo: "{{ vm_indx }}"
vms:
  vars: {hidden: 1}
`, ExpandOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = inv.Check(vms, func(string) bool { return false })
	var lines []string
	for _, one := range source.Flatten(err) {
		lines = append(lines, one.Error())
	}
	told := strings.Join(lines, "\n")
	for _, want := range []string{`:6:16: "vm_index" is undefined`, `"circle" needs itself`, `:11:17: "vm_index" is undefined`, `:12:15: "vm_indx" is undefined`} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not told in:\n%s", want, told)
		}
	}
	if len(lines) != 4 {
		t.Errorf("%d faults:\n%s", len(lines), told)
	}
}

func TestLocalHypervisorNeedsNoLogin(t *testing.T) {
	for connection, want := range map[string]string{"local": "", "ssh": `:6:23: "vm" is undefined`} {
		_, inv, err := expandText(t, `
all:
  hosts:
    localhost: {ansible_connection: `+connection+`}
  vars:
    ansible_user: "{{ vm.metadata.auth.user }}"
    ansible_port: "{{ vm_index + 2200 }}"
`, ExpandOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = inv.Hypervisors()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", connection, err)
		}
	}
}
