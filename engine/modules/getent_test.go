package modules

import (
	"testing"

	"farm/inventory/value"
)

func TestGetent(t *testing.T) {
	s := newSystem(t, map[string]string{"getent": `case $1 in nonesuch) echo "Unknown database: nonesuch" >&2; exit 1 ;; ethers) exit 3 ;; esac
if [ -n "$2" ] && [ "$2" != -s ]; then grep "^$2[: ]" $1 || exit 2; else cat $1; fi`})
	s.keep("passwd", "root:x:0:0:root user:/root:/bin/sh\nann:x:1:1::/home/ann:\n")
	s.keep("services", "ftp   21/tcp\nssh 22/tcp alias\nssh 22/udp\nssh 22/sctp\n\n")
	for _, c := range []struct{ args, name, want string }{
		{"{database: passwd, key: root}", "getent_passwd", `{"root":["x","0","0","root user","/root","/bin/sh"]}`},
		{"{database: passwd, key: ann, service: files}", "getent_passwd", `{"ann":["x","1","1","","/home/ann",""]}`},
		{"{database: passwd, key: ann, split: /}", "getent_passwd", `{"ann:x:1:1::":["home","ann:"]}`},
		{"{database: services}", "getent_services", `{"ftp":["21/tcp"],"ssh":[["22/tcp","alias"],["22/udp"],["22/sctp"]]}`},
		{"{database: passwd, key: bob, fail_key: no}", "getent_passwd", `{"bob":null}`},
	} {
		r := s.check("getent", c.args, "ok")
		if got := value.Text(fact(t, r.Facts, c.name)); got != c.want {
			t.Errorf("%s: %s, want %s", c.args, got, c.want)
		}
	}
	s.called("getent passwd ann -s", "getent passwd ann -s files")
	s.fails("getent", "{database: passwd, key: bob}", 0, `no key "bob"`)
	s.fails("getent", "{database: nonesuch}", 1, "Unknown database")
	s.fails("getent", "{database: ethers}", 0, "cannot be listed")
	s.fails("getent", "{database: ../x}", 0, "no name of a database")
	s.fails("getent", "{database: passwd, key: -x}", 0, "dash")
	s.fails("getent", "{database: passwd, split: ''}", 0, "leave split out")
}
