package modules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The programs for accounts work on $STATE/passwd, group and shadow.
var accounts = map[string]string{
	"getent": `grep "^$2:" $1 || exit 2`,
	"id": `for a; do :; done
grep -q "^$a:" passwd || exit 1
gid=$(grep "^$a:" passwd | cut -d: -f4); primary=$(grep ":x:$gid:" group | cut -d: -f1)
case $1 in -ng) echo "$primary" ;; -u) id -u ;; -g) id -g ;;
-nG) echo "$primary $(sed -n "s/:x:[0-9]*:.*\b$a\b.*//p" group | tr '\n' ' ')" | sed 's/ *$//' ;; esac`,
	"groupadd": `gid=1234; case $1 in -g) gid=$2; esac; for n; do :; done; echo "$n:x:$gid:" >>group`,
	"groupmod": `sed -i "s/^$3:x:[0-9]*/$3:x:$2/" group`,
	"groupdel": `sed -i "/^$1:/d" group`,
	"useradd": `uid=1000 gid=100 shell=/bin/sh c='' home='' gs='' e=''
while [ $# -gt 1 ]; do case $1 in -u) uid=$2 ;; -s) shell=$2 ;; -c) c=$2 ;; -d) home=$2 ;; -G) gs=$2 ;; -e) e=$2 ;; -m | -M | -r) set -- x "$@" ;; -g) gid=$(grep "^$2:" group | cut -d: -f3) ;; esac; shift 2; done
for g in $(echo "$gs" | tr , ' '); do
	grep -q "^$g:" group || { echo "useradd: group '$g' does not exist" >&2; exit 6; }
	sed -i -e "s/^\($g:.*[a-z]\)$/\1,$1/;t" -e "s/^\($g:.*:\)$/\1$1/" group
done
echo "$1:x:$uid:$gid:$c:${home:-/home/$1}:$shell" >>passwd; echo "$1:!:1:::::$e:" >>shadow`,
	"usermod": `add=''
while [ $# -gt 1 ]; do case $1 in
	-a) add=1; set -- x "$@" ;;
	-L) sed -i "s/^$2:/$2:!/" shadow; exit ;; -U) sed -i "s/^$2:!/$2:/" shadow; exit ;;
	-s) for n; do :; done; sed -i "s#^\($n:.*:\)[^:]*#\1$2#" passwd ;;
	-c) for n; do :; done; sed -i "s#^\($n:x:[0-9]*:[0-9]*:\)[^:]*#\1$2#" passwd ;;
	-G) for n; do :; done
		[ -n "$add" ] || sed -i "s/,*\b$n\b//" group
		for g in $(echo "$2" | tr , ' '); do grep -q "^$g:.*\b$n\b" group || sed -i -e "s/^\($g:.*[a-z]\)$/\1,$n/;t" -e "s/^\($g:.*:\)$/\1$n/" group; done ;;
	esac; shift 2; done`,
	"userdel":    `for n; do :; done; sed -i "/^$n:/d" passwd shadow; sed -i "s/,*\b$n\b//" group`,
	"chpasswd":   `IFS=: read -r n p; sed -i "s#^$n:[^:]*#$n:$p#" shadow`,
	"ssh-keygen": `while [ "$1" != -f ]; do shift; done; echo secret >"$2"; echo "ssh-x AAAA new" >"$2.pub"`,
	"chage":      `for n; do :; done; while [ $# -gt 1 ]; do case $1 in -m) sed -i "s/^\($n:[^:]*:[^:]*\):[^:]*/\1:$2/" shadow ;; -M) sed -i "s/^\($n:[^:]*:[^:]*:[^:]*\):[^:]*/\1:$2/" shadow ;; esac; shift 2; done`,
	"chown":      `:`,
}

func newAccounts(t *testing.T) *system {
	s := newSystem(t, accounts)
	s.keep("passwd", "root:x:0:0:root:/root:/bin/sh\nannabel:x:1:100::/home/annabel:/bin/sh\n")
	s.keep("group", "root:x:0:\nusers:x:100:\nwheel:x:10:root\nkvm:x:36:\n")
	s.keep("shadow", "root:*:1::::::\n")
	return s
}

func TestGroup(t *testing.T) {
	s := newAccounts(t)
	s.values(s.cycle("group", "{name: farm, gid: 900}"), "gid", 900)
	s.cycle("group", "{name: farm, gid: 901}")
	s.check("group", "name: farm", "ok")
	s.cycle("group", "{name: farm, state: absent}")
	s.kept("group", "root:x:0:\nusers:x:100:\nwheel:x:10:root\nkvm:x:36:")
	s.fails("group", "name: 'a:b'", 0, "no name")
	s.cycle("group", "{name: bees, gid: 100, non_unique: true}")
	s.called("groupadd", "groupadd -g 900 farm", "groupadd -g 100 -o bees")
	s.fails("group", "{name: wasps, non_unique: true}", 0, "gid")
	s.fails("group", "{name: a, gid: many}", 0, "no number")
}

func TestUser(t *testing.T) {
	s := newAccounts(t)
	r := s.cycle("user", "{name: ann, uid: 1500, comment: Ann A., shell: /bin/bash, groups: [wheel, kvm]}")
	s.values(r, "uid", 1500, "home", "/home/ann", "shell", "/bin/bash", "comment", "Ann A.", "state", "present")
	s.kept("group", "root:x:0:\nusers:x:100:\nwheel:x:10:root,ann\nkvm:x:36:ann")
	s.check("user", "name: ann", "ok")
	s.cycle("user", "{name: ann, shell: /bin/zsh, comment: ''}")
	s.check("user", "{name: ann, groups: wheel, append: yes}", "ok")
	s.cycle("user", "{name: ann, groups: wheel}")
	s.cycle("user", "{name: ann, groups: kvm, append: yes}")
	s.cycle("user", "{name: ann, groups: ''}")
	s.kept("group", "root:x:0:\nusers:x:100:\nwheel:x:10:root\nkvm:x:36:")
	s.cycle("user", "{name: ann, state: absent}")
	s.kept("passwd", "root:x:0:0:root:/root:/bin/sh\nannabel:x:1:100::/home/annabel:/bin/sh")
}

// TestAccountsWithBusyBox has none of the programs of the shadow suite.
func TestAccountsWithBusyBox(t *testing.T) {
	s := newSystem(t, map[string]string{
		"getent": accounts["getent"], "id": accounts["id"], "chpasswd": accounts["chpasswd"],
		"addgroup": `case $1 in -*) echo "$3:x:$2:" >>group ;; *) sed -i -e "s/^\($2:.*[a-z]\)$/\1,$1/;t" -e "s/^\($2:.*:\)$/\1$1/" group ;; esac`,
		"adduser":  `for n; do :; done; echo "$n:x:1000:100:Ann:/home/$n:/bin/ash" >>passwd; echo "$n:!:1::::::" >>shadow`,
		"deluser":  `for n; do :; done; sed -i "/^$n:/d" passwd shadow; sed -i "s/,*\b$n\b//" group`,
		"delgroup": accounts["groupdel"],
	})
	s.alone("cut", "grep", "sed", "sort", "tr", "cat", "rm")
	s.keep("passwd", "root:x:0:0:root:/root:/bin/sh\n")
	s.keep("group", "users:x:100:\nwheel:x:10:root\n")
	s.keep("shadow", "root:*:1::::::\n")
	s.cycle("group", "{name: farm, gid: 900}")
	s.cycle("user", "{name: ann, groups: [wheel, farm], password: $6$x}")
	s.called("adduser", "adduser -D -g  ann")
	s.kept("group", "users:x:100:\nwheel:x:10:root,ann\nfarm:x:900:ann")
	s.keep("group", "users:x:100:\nwheel:x:10:root\nfarm:x:900:\n")
	s.cycle("user", "{name: ann, groups: wheel, append: yes}")
	s.fails("user", "{name: ann, shell: /bin/sh}", 1, "usermod")
	s.cycle("user", "{name: ann, state: absent}")
	s.cycle("group", "{name: farm, state: absent}")
}

func TestUserPassword(t *testing.T) {
	s := newAccounts(t)
	s.cycle("user", "{name: ann, password: $6$x$hash}")
	s.kept("shadow", "root:*:1::::::\nann:$6$x$hash:1::::::")
	s.check("user", "{name: ann, password: $6$y$other, update_password: on_create}", "ok")
	s.cycle("user", "{name: ann, password_lock: yes}")
	s.cycle("user", "{name: ann, password_lock: no}")
	if b, err := os.ReadFile(filepath.Join(s.state, "calls")); err != nil || strings.Contains(string(b), "hash") {
		t.Errorf("a command line has the hash (%v): %s", err, b)
	}
	s.fails("user", "{name: ann, password: 'a:b'}", 0, "password_hash")
	s.check("user", "{name: bea, password: $6$z, update_password: on_create}", "changed")
	s.kept("shadow", "root:*:1::::::\nann:$6$x$hash:1::::::\nbea:$6$z:1::::::")
}

func TestUserExpires(t *testing.T) {
	s := newAccounts(t)
	s.check("user", "{name: ann, expires: 1422403387, password_expire_min: 3, password_expire_max: 30, umask: '077', skeleton: /etc/other}", "changed")
	s.called("useradd", "useradd -e 2015-01-28 -m -k /etc/other -K UMASK=077 ann")
	s.kept("shadow", "root:*:1::::::\nann:!:1:3:30:::2015-01-28:")
	s.keep("shadow", "root:*:1::::::\nann:!:1:3:30:::16463:\n")
	s.check("user", "{name: ann, expires: 1422403387.9}", "ok")
	s.check("user", "{name: ann, expires: -1}", "changed")
	s.keep("shadow", "root:*:1::::::\nann:!:1:3:30:::-1:\n")
	s.check("user", "{name: ann, expires: -4}", "ok")
	s.fails("user", "{name: bea, local: true, umask: '077'}", 0, "local")
}

func TestUserPasswordWhileLocked(t *testing.T) {
	s := newAccounts(t)
	s.cycle("user", "{name: ann, password: $6$x$hash, password_lock: yes}")
	s.kept("shadow", "root:*:1::::::\nann:!$6$x$hash:1::::::")
	s.check("user", "{name: ann, password: $6$x$hash}", "ok")
	s.cycle("user", "{name: ann, password: $6$x$hash, password_lock: no}")
	for password, hashed := range map[string]bool{
		"*": true, "!": true, "secret": false, "$6$salt$+++": false, "$5$s$" + strings.Repeat("a", 43): true, "$y$j9T$a$b": true, "$6$rounds=5$s$" + strings.Repeat("a", 86): true,
	} {
		if looksHashed(password) != hashed {
			t.Errorf("%q: looks hashed: %v", password, !hashed)
		}
	}
}

func TestUserOfTheHostItself(t *testing.T) {
	programs := map[string]string{
		"luseradd": accounts["useradd"], "lusermod": accounts["usermod"], "luserdel": accounts["userdel"],
		"lgroupmod": `if [ "$1" = -M ]; then sed -i -e "s/^\($3:.*[a-z]\)$/\1,$2/;t" -e "s/^\($3:.*:\)$/\1$2/" group; else sed -i "s/^\($3:.*\),*\b$2\b/\1/" group; fi`,
		"lchage":    `sed -i "s/^\($3:.*\):[^:]*:$/\1:$2:/" shadow`,
	}
	for name, text := range accounts {
		programs[name] = text
	}
	s := newSystem(t, programs)
	s.keep("passwd", "")
	s.keep("group", "wheel:x:10:\nkvm:x:36:\n")
	s.keep("shadow", "")
	r := s.dry("user", "{name: farm_none, local: true, groups: wheel}", "changed")
	if _, has := r.Values.Get("warnings"); !has {
		t.Error("no warning of an account that is not in the file")
	}
	s.check("user", "{name: farm_none, local: true, groups: wheel, expires: 86400}", "changed")
	s.called("l", "luseradd farm_none", "lgroupmod -M farm_none wheel", "lchage -E 1 farm_none")
	s.kept("group", "wheel:x:10:farm_none\nkvm:x:36:")
}

func TestUserFailures(t *testing.T) {
	s := newAccounts(t)
	s.fails("user", "{name: ann, groups: nonesuch}", 6, "does not exist")
	s.fails("user", "{name: root, group: nonesuch}", 1, "no group")
	s.fails("user", "{name: '-r'}", 0, "no name of an account")
	s.fails("user", "{name: ann, update_password: never}", 0, "update_password")
}

func TestUserKey(t *testing.T) {
	s := newAccounts(t)
	r := s.cycle("user", "{name: ann, home: DIR/ann, generate_ssh_key: yes, ssh_key_type: ed25519}")
	if _, has := s.check("user", "{name: ann, home: DIR/ann, generate_ssh_key: yes, ssh_key_type: ed25519}", "ok").Values.Get("warnings"); !has {
		t.Error("no warning of the key that is there")
	}
	s.check("user", "{name: ann, generate_ssh_key: yes, ssh_key_type: ed25519, force: yes, ssh_key_passphrase: sesame}", "changed")
	if b, err := os.ReadFile(filepath.Join(s.state, "calls")); err != nil || strings.Contains(string(b), "sesame") {
		t.Errorf("a command line has the passphrase (%v): %s", err, b)
	}
	s.values(r, "ssh_key_file", s.dir+"/ann/.ssh/id_ed25519", "ssh_public_key", "ssh-x AAAA new")
}

func TestAuthorizedKey(t *testing.T) {
	s := newAccounts(t)
	s.keep("passwd", "ann:x:1:1::"+s.dir+"/ann:/bin/sh\n")
	s.write("ann/.ssh/authorized_keys", "# mine\nssh-rsa AAAAold me\n\n")
	const file = "ann/.ssh/authorized_keys"
	r := s.cycle("authorized_key", "{user: ann, key: \"ssh-ed25519 AAAAone a@b\\nssh-ed25519 AAAAtwo c\\n\"}")
	s.values(r, "keyfile", filepath.Join(s.dir, file))
	s.holds(file, "# mine\nssh-rsa AAAAold me\nssh-ed25519 AAAAone a@b\nssh-ed25519 AAAAtwo c\n", 0o600)
	s.cycle("authorized_key", "{user: ann, key: ssh-ed25519 AAAAone a@b, comment: new name, key_options: 'no-pty,command=\"a b\"'}")
	s.holds(file, "# mine\nssh-rsa AAAAold me\nssh-ed25519 AAAAtwo c\nno-pty,command=\"a b\" ssh-ed25519 AAAAone new name\n", 0o600)
	s.cycle("authorized_key", "{user: ann, key: ssh-ed25519 AAAAone, state: absent}")
	s.cycle("authorized_key", "{user: ann, key: ssh-ed25519 AAAAtwo c, exclusive: yes}")
	s.holds(file, "ssh-ed25519 AAAAtwo c\n", 0o600)
	s.only("ann/.ssh", "authorized_keys")
	s.cycle("authorized_key", "{user: ann, key: ssh-ed25519 AAAAtwo, path: DIR/other/keys}")
	s.fails("authorized_key", "{user: ann, key: rubbish}", 1, "not a public key")
	s.fails("authorized_key", "{user: bob, key: ssh-ed25519 AAAAtwo}", 1, `no user "bob"`)
}
