package modules

import (
	"strings"
	"testing"

	"farm/inventory/value"
)

const aptPolicies = `Package files:
 100 /var/lib/dpkg/status
     release a=now
 500 http://deb.example.org/debian bookworm/main amd64 Packages
     release v=12.5,o=Debian,a=stable,n=bookworm,l=Debian,c=main,b=amd64
     origin deb.example.org
Pinned packages:
`

const aptTable = `bash:
  Installed: 5.2
  Candidate: 5.3
  Version table:
     5.3 500
        500 http://other.example.org/debian sid/main amd64 Packages
 *** 5.2 500
        500 http://deb.example.org/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
local:
  Installed: 1
  Candidate: 1
  Version table:
 *** 1 100
        100 /var/lib/dpkg/status
`

func TestPackageFactsOfEachManager(t *testing.T) {
	for manager, c := range map[string]struct{ program, out, want string }{
		"rpm": {"rpm", "gpg-pubkey\t1\t2\t(none)\t(none)\nkernel\t6.1\t3.fc39\t0\tx86_64\nkernel\t6.2\t1\t(none)\tx86_64\n",
			`{"gpg-pubkey":[{"name":"gpg-pubkey","version":"1","release":"2","epoch":null,"arch":null,"source":"rpm"}],"kernel":[{"name":"kernel","version":"6.1","release":"3.fc39","epoch":0,"arch":"x86_64","source":"rpm"},{"name":"kernel","version":"6.2","release":"1","epoch":null,"arch":"x86_64","source":"rpm"}]}`},
		"pacman": {"pacman", "Name            : bash\nVersion         : 5.2-1\nArchitecture    : x86_64\nProvides        : sh  libx=1\n                  liby=2\n\nName            : a\nVersion         : 1\nArchitecture    : any\nProvides        : None\n\n",
			`{"bash":[{"name":"bash","version":"5.2-1","arch":"x86_64","provides":["sh","libx","liby"],"source":"pacman"}],"a":[{"name":"a","version":"1","arch":"any","provides":null,"source":"pacman"}]}`},
		"apk": {"apk", "alpine-base-3.19.1-r0\nodd\n",
			`{"alpine-base":[{"name":"alpine-base","version":"3.19.1","release":"r0","source":"apk"}],"odd":[{"name":"odd","version":"","release":"","source":"apk"}]}`},
		"pkg": {"pkg", "bash\t5.2_1,2\tFreeBSD\t1700000000\t0\tFreeBSD:14:amd64\tshells/bash\t/usr/local\t1\n",
			`{"bash":[{"name":"bash","version":"5.2","revision":"1","port_epoch":"2","origin":"FreeBSD","installed":"1700000000","automatic":false,"arch":"amd64","category":"shells","prefix":"/usr/local","vital":true,"source":"pkg"}]}`},
		"pkg_info": {"pkg_info", "curl-8.5.0          get files\n", `{"curl":[{"name":"curl","version":"8.5.0","source":"pkg_info"}]}`},
	} {
		s := newSystem(t, map[string]string{c.program: "cat out"})
		s.keep("out", c.out)
		r := s.check("package_facts", "manager: "+manager, "ok")
		if got := value.Text(fact(t, r.Facts, "packages")); got != c.want {
			t.Errorf("%s: %s\nwant %s", manager, got, c.want)
		}
	}
}

func TestPackageFactsOfDebian(t *testing.T) {
	s := newSystem(t, map[string]string{
		"dpkg-query": `printf 'installed\tbash\t5.2\tamd64\tshells\nconfig-files\told\t1\tamd64\tx\ninstalled\tlocal\t1\tall\tmisc\ninstalled\tlibc6\t2.36\ti386\tlibs\n'`,
		"dpkg":       "echo amd64",
		"apt-cache":  `case $2 in '') cat releases ;; *) cat table ;; esac`,
	})
	s.keep("releases", aptPolicies)
	s.keep("table", aptTable)
	r := s.check("package_facts", "{}", "ok")
	want := `{"bash":[{"name":"bash","version":"5.2","arch":"amd64","category":"shells","origin":"Debian","source":"apt"}],` +
		`"local":[{"name":"local","version":"1","arch":"all","category":"misc","origin":"","source":"apt"}],` +
		`"libc6:i386":[{"name":"libc6:i386","version":"2.36","arch":"i386","category":"libs","origin":"","source":"apt"}]}`
	if got := value.Text(fact(t, r.Facts, "packages")); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	s.called("apt-cache", "apt-cache policy", "apt-cache policy bash:amd64 local libc6:i386")
}

func TestPackageFactsOfSeveral(t *testing.T) {
	s := newSystem(t, map[string]string{"apk": "echo a-1-r0", "pkg_info": "echo b-2", "pacman": `echo "no database" >&2; exit 1`})
	s.alone("mktemp", "cat", "rm")
	for args, want := range map[string]string{
		"{}":                        "a",
		"strategy: all":             "a b",
		"manager: [pkg_info, auto]": "b",
		"manager: [pacman, APK]":    "a",
	} {
		r := s.check("package_facts", args, "ok")
		var names []string
		for k := range fact(t, r.Facts, "packages").(*value.Dict).All() {
			names = append(names, value.Text(k))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	if !strings.Contains(s.shown(), "the package manager pacman cannot be asked: no database") {
		t.Errorf("no warning in %q", s.shown())
	}
	s.fails("package_facts", "manager: rpm", 0, "none of these")
	s.fails("package_facts", "manager: brew", 0, "brew")
}

func TestServiceFacts(t *testing.T) {
	systemctl := `case "$1 $*" in
list-units*) cat units ;;
list-unit-files*) cat files ;;
show*) shift 2; for u; do printf 'ActiveState=inactive\n\n'; done ;;
esac`
	openrc := map[string]string{"rc-status": `printf ' sshd   [  started 01:00:00 (0)  ]\n crond  [  stopped  ]\n'`, "rc-update": `printf '  sshd | default boot\n  crond |\n'`}
	rcctl := map[string]string{"rcctl": `case $2 in all) printf 'cron\nhttpd\nsshd\n' ;; on | started) printf 'cron\nsshd\n' ;; failed) echo sshd ;; esac`}
	for name, c := range map[string]struct {
		programs map[string]string
		want     string
	}{
		"systemd": {map[string]string{"systemctl": systemctl},
			`{"ssh.service":{"name":"ssh.service","state":"running","source":"systemd","status":"enabled"},` +
				`"gone.service":{"name":"gone.service","state":"stopped","source":"systemd","status":"not-found"},` +
				`"bad.service":{"name":"bad.service","state":"stopped","source":"systemd","status":"active"},` +
				`"getty@.service":{"name":"getty@.service","state":"unknown","source":"systemd","status":"enabled"},` +
				`"off.service":{"name":"off.service","state":"inactive","source":"systemd","status":"disabled"}}`},
		"sysv": {map[string]string{"service": `printf ' [ + ]  cron\n [ - ]  ssh\n [ ? ]  odd\n'`},
			`{"cron":{"name":"cron","state":"running","source":"sysv"},"ssh":{"name":"ssh","state":"stopped","source":"sysv"}}`},
		"openrc": {openrc, `{"sshd":{"name":"sshd","state":"started","source":"openrc","runlevels":["default","boot"]},"crond":{"name":"crond","state":"stopped","source":"openrc","runlevels":null}}`},
		"chkconfig": {map[string]string{"service": `[ "$1" = sshd ]`, "chkconfig": `printf 'sshd \t0:off\t1:off\t2:on\t3:on\t4:on\t5:on\t6:off\nnfs \t0:off\t1:off\t2:off\t3:off\t4:off\t5:off\t6:off\n'`},
			`{"sshd":{"name":"sshd","state":"running","source":"sysv","status":"enabled"},"nfs":{"name":"nfs","state":"stopped","source":"sysv","status":"disabled"}}`},
		"rcctl": {rcctl, `{"cron":{"name":"cron","state":"running","source":"rcctl","status":"enabled"},"httpd":{"name":"httpd","state":"stopped","source":"rcctl","status":"disabled"},"sshd":{"name":"sshd","state":"failed","source":"rcctl","status":"enabled"}}`},
	} {
		s := newSystem(t, c.programs)
		s.alone("cat", "sed", "grep", "mktemp", "rm")
		if name == "systemd" {
			s.write("run/systemd/system/x", "")
		}
		s.keep("units", "ssh.service loaded active running A server\ngone.service not-found inactive dead gone.service\nbad.service loaded active exited All failed things\nx.socket a b c\n")
		s.keep("files", "ssh.service enabled enabled\ngetty@.service enabled enabled\noff.service disabled enabled\n")
		r := s.check("service_facts", "{}", "ok")
		if got := value.Text(fact(t, r.Facts, "services")); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
	s := newSystem(t, nil)
	s.alone("cat")
	s.check("service_facts", "{}", "skipped")
}
