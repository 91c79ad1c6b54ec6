package callbacks

import (
	"strings"
	"testing"
)

func TestAddUser(t *testing.T) {
	passwd := "root:x:0:0:root:/root:/bin/sh\nold:x:1000:1000::/srv/old:/bin/sh\n"
	group := "root:x:0:\nstaff:x:1001:\n"
	p, g, id, home := addUser(passwd, group, "user")
	if id != 1002 || home != "/home/user" || !strings.HasSuffix(p, "\nuser:x:1002:1002::/home/user:/bin/sh\n") || !strings.HasSuffix(g, "\nuser:x:1002:\n") {
		t.Errorf("got %q, %q, %d, %q", p, g, id, home)
	}
	if p, _, id, home := addUser(passwd, group, "old"); p != passwd || id != 1000 || home != "/srv/old" {
		t.Errorf("a user that is there: %q, %d, %q", p, id, home)
	}
}

func TestSetPassword(t *testing.T) {
	shadow := "root:*:19000:0:99999:7:::\nrooted:x:1::::::\n"
	if got := setPassword(shadow, "root", "$6$a$b"); got != "root:$6$a$b:19000:0:99999:7:::\nrooted:x:1::::::\n" {
		t.Errorf("got %q", got)
	}
	if got := setPassword(shadow, "user", "*"); !strings.HasPrefix(got, shadow+"user:*:") {
		t.Errorf("got %q", got)
	}
}

func TestWithHost(t *testing.T) {
	got := withHost("127.0.0.1 localhost\n127.0.1.1 old\n::1 localhost", "vm.amd64.debian")
	if got != "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 vm.amd64.debian vm\n" {
		t.Errorf("got %q", got)
	}
}
