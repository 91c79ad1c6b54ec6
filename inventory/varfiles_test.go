package inventory

import (
	"strings"
	"testing"
)

func TestVariablesOfVMsAreRead(t *testing.T) {
	text := "all: {hosts: {localhost: {config: {list: [{platform: p1, target: t1, metadata: {name: one}}]}}}}\n" + someDefinitions
	for _, file := range []string{"group_vars/p1.yaml", "group_vars/t1.yml", "group_vars/one/more.yaml", "host_vars/one.yaml", "group_vars/vms.yaml"} {
		_, _, err := expandText(t, text, ExpandOptions{}, file, "a: 1\na: 2\n")
		if err == nil || !strings.Contains(err.Error(), file+":2:1: ") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
