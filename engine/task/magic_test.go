package task_test

import (
	"strings"
	"testing"

	"farm/inventory/value"
)

func TestMagicVariablesAreAllThere(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": `
- set_fact: {mine: 1}
- say: "{{ inventory_hostname }} {{ inventory_hostname_short }} {{ play_hosts }} {{ ansible_play_hosts }} {{ ansible_play_hosts_all }} {{ ansible_play_batch }}"
- say: "{{ ansible_check_mode }} {{ ansible_diff_mode }} {{ ansible_run_tags }} {{ ansible_skip_tags }} {{ ansible_verbosity }}"
- say: "{{ playbook_dir == dir }} {{ inventory_dir == dir }} {{ group_names }} {{ groups.all }} {{ ansible_search_path[0] == dir }}"
- say: "{{ hostvars.guest.mine }} {{ hostvars['guest'].dir == dir }} {{ hostvars.keys() | list }} {{ hostvars.other is defined }}"
- say: "{{ ansible_version.full is version('2.14', '>=') }} {{ ansible_version.major }} {{ ansible_role_names }} {{ role_name is defined }}"
- say: "{{ omit is defined }}"
- say: "{{ it }} {{ n }} {{ ansible_loop_var }} {{ ansible_index_var }} {{ ansible_loop.index }} {{ ansible_loop.revindex0 }} {{ ansible_loop.allitems is defined }}"
  loop: [a]
  loop_control: {loop_var: it, index_var: n, extended: 'yes', extended_allitems: false}
- include_role: {name: outer}
- say: "{{ ansible_role_names }} {{ role_name is defined }}"
`, "roles/outer/tasks/main.yml": "- include_role: {name: inner}\n- say: '{{ role_name }} {{ role_path | basename }} {{ ansible_parent_role_names is defined }}'\n",
		"roles/inner/tasks/main.yml": "- say: '{{ role_name }} {{ role_path | basename }} {{ ansible_role_name }} {{ ansible_parent_role_names }}'\n"})
	b.host.Vars = b.host.Vars.With(value.NewDict("dir", b.dir))
	if err := b.run(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"guest guest ['guest'] ['guest'] ['guest'] ['guest']", "False False ['all'] [] 0", "True True [] ['guest'] True",
		"1 True ['guest'] False", "True 2 [] False", "True", "a 0 it n 1 0 False",
		"inner inner inner ['outer']", "outer outer False", "['outer', 'inner'] False",
	}
	if got := b.said(); got != strings.Join(want, "|") {
		t.Errorf("got\n%s\nwant\n%s", strings.ReplaceAll(got, "|", "\n"), strings.Join(want, "\n"))
	}
}

func TestMagicVariablesOfThePlayStand(t *testing.T) {
	b := newBench(t, map[string]string{"main.yaml": "- say: '{{ play_hosts }} {{ groups.all }} {{ playbook_dir }}'\n"},
		"play_hosts", []any{"a", "b"}, "groups", value.NewDict("all", []any{"a", "b", "c"}), "playbook_dir", "/plays")
	if err := b.run(); err != nil {
		t.Fatal(err)
	}
	if want := "['a', 'b'] ['a', 'b', 'c'] /plays"; b.said() != want {
		t.Errorf("got %s, want %s", b.said(), want)
	}
}
