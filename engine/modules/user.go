package modules

import (
	"context"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// userModule manages accounts.
type userModule struct {
	// Name of the account.
	Name string `yaml:"name|user,required"`
	// present or absent.
	State string `yaml:"state"`
	// Its number.
	UID string `yaml:"uid"`
	// Primary group.
	Group string `yaml:"group"`
	// Further groups.
	Groups []string `yaml:"groups"`
	// Add to groups, and leave the others.
	Append bool `yaml:"append"`
	// The hash of the password, as crypt(5) has it.
	Password string `yaml:"password"`
	// always, or on_create.
	UpdatePassword string `yaml:"update_password"`
	// Lock or unlock the password.
	PasswordLock *bool `yaml:"password_lock"`
	// Login shell.
	Shell string `yaml:"shell"`
	// Home folder.
	Home string `yaml:"home"`
	// Make the home folder.
	CreateHome bool `yaml:"create_home|createhome"`
	// Move the home folder when home changes.
	MoveHome bool `yaml:"move_home"`
	// Full name.
	Comment *string `yaml:"comment"`
	// A number of the system's range.
	System bool `yaml:"system"`
	// With absent: remove the home folder too.
	Remove bool `yaml:"remove"`
	// With absent: even when the user is logged in.
	Force bool `yaml:"force"`
	// Make a pair of SSH keys.
	GenerateSSHKey bool `yaml:"generate_ssh_key"`
	// Type of that pair, as ssh-keygen names it.
	SSHKeyType string `yaml:"ssh_key_type"`
	// File of the private half, in the home folder unless absolute.
	SSHKeyFile string `yaml:"ssh_key_file"`
	// Size of the keys; 0 = ssh-keygen's own.
	SSHKeyBits int `yaml:"ssh_key_bits"`
	// Comment of the public half.
	SSHKeyComment string `yaml:"ssh_key_comment"`
}

const userScript = `IFS= read -r password || password=
entry() { getent passwd "$name" 2>/dev/null || grep "^$name:" /etc/passwd; }
field() { entry | cut -d : -f "$1"; }
members() { id -nG "$name" 2>/dev/null | tr ' ' '\n' | sort -u; }
changed() { say changed 1; [ -z "$check" ]; }
[ -z "$on_create" ] || [ -z "$(entry)" ] || set_password=
if [ "$state" = absent ]; then
	[ -n "$(entry)" ] || exit 0
	changed || exit 0
	if has userdel; then userdel ${remove:+-r} ${force:+-f} "$name" >&2
	else need deluser; deluser ${remove:+--remove-home} "$name" >&2; fi
	exit
fi
want_groups=$(printf %s "$groups" | tr ',' '\n' | sed '/^$/d' | sort -u)
if [ -z "$(entry)" ]; then
	changed || exit 0
	say new 1
	if has useradd; then
		set -- ${uid:+-u "$uid"} ${system:+-r} ${group:+-g "$group"} ${groups:+-G "$groups"} ${shell:+-s "$shell"} ${home:+-d "$home"}
		[ -z "$set_comment" ] || set -- "$@" -c "$comment"
		if [ -n "$create" ]; then set -- "$@" -m; else set -- "$@" -M; fi
		useradd "$@" "$name" || exit
	else
		need adduser
		set -- -D ${uid:+-u "$uid"} ${system:+-S} ${group:+-G "$group"} ${shell:+-s "$shell"} ${home:+-h "$home"}
		[ -n "$create" ] || set -- "$@" -H
		adduser "$@" -g "$comment" "$name" || exit
		for g in $want_groups; do addgroup "$name" "$g" || exit; done
	fi
else
	set --
	[ -z "$uid" ] || [ "$uid" = "$(field 3)" ] || set -- "$@" -u "$uid"
	if [ -n "$group" ]; then
		gid=$( (getent group "$group" 2>/dev/null || grep "^$group:" /etc/group) | cut -d : -f 3)
		[ -n "$gid" ] || die "there is no group \"$group\""
		[ "$gid" = "$(field 4)" ] || set -- "$@" -g "$group"
	fi
	[ -z "$set_comment" ] || [ "$comment" = "$(field 5)" ] || set -- "$@" -c "$comment"
	[ -z "$shell" ] || [ "$shell" = "$(field 7)" ] || set -- "$@" -s "$shell"
	if [ -n "$home" ] && [ "$home" != "$(field 6)" ]; then set -- "$@" -d "$home" ${move:+-m}; fi
	if [ -n "$set_groups" ]; then
		primary=$(id -ng "$name")
		have=$(members | grep -vxF "$primary")
		wanted=$(printf '%s\n' "$want_groups" | grep -vxF "$primary" | sed '/^$/d')
		missing=$(printf '%s\n' "$wanted" | while read -r g; do [ -z "$g" ] || printf '%s\n' "$have" | grep -qxF "$g" || echo "$g"; done)
		if [ -n "$append" ]; then
			[ -z "$missing" ] || set -- "$@" -a -G "$groups"
		elif [ "$have" != "$wanted" ]; then set -- "$@" -G "$groups"; fi
	fi
	if [ $# -gt 0 ]; then
		changed || exit 0
		if has usermod; then usermod "$@" "$name" >&2 || exit
		elif [ "$1$2" = -a-G ]; then for g in $missing; do addgroup "$name" "$g" || exit; done
		else need usermod; fi
	fi
fi
homeless() { # of an account that was there: gives it the home that it lacks
	mkdir -p "$(dirname "$1")" && if [ -d /etc/skel ]; then cp -RP /etc/skel "$1"; else mkdir "$1"; fi || exit
	mask=$(sed -n 's/^UMASK[ 	][ 	]*\([0-7][0-7]*\)$/\1/p' /etc/login.defs 2>/dev/null | tail -n 1)
	if [ -n "$mask" ]; then (umask "$mask"; chmod =rwx "$1") || exit; fi
	chown -R "$(field 3):$(field 4)" "$1" || exit
}
if [ -n "$create" ] && [ -n "$(entry)" ]; then
	at=$(field 6)
	if [ -n "$at" ] && [ ! -e "$at" ]; then
		if changed; then homeless "$at"; fi
	fi
fi
hash() { (getent shadow "$name" 2>/dev/null || grep "^$name:" /etc/shadow 2>/dev/null) | cut -d : -f 2; }
if [ -n "$set_password" ]; then
	if [ "$password" != "$(hash)" ]; then
		changed || exit 0
		need chpasswd; printf '%s:%s\n' "$name" "$password" | chpasswd -e >&2 || exit
	fi
fi
if [ -n "$lock" ]; then
	case $lock:$(hash) in
	yes:!*) ;;
	yes:*) if changed; then usermod -L "$name" || passwd -l "$name" >&2 || exit; fi ;;
	no:!*) if changed; then usermod -U "$name" || passwd -u "$name" >&2 || exit; fi ;;
	esac
fi
if [ -n "$keygen" ]; then
	dir=$(field 6); file=${keyfile:-.ssh/id_${keytype:-rsa}}
	case $file in /*) ;; *) file=$dir/$file ;; esac
	if [ ! -e "$file" ]; then
		changed || exit 0
		need ssh-keygen
		mkdir -p -m 700 "$(dirname "$file")" && ssh-keygen -q -t "${keytype:-rsa}" ${keybits:+-b "$keybits"} -N '' -C "${keycomment:-ansible-generated on $(uname -n)}" -f "$file" </dev/null >&2 || exit
		chown -R "$(id -u "$name"):$(id -g "$name")" "$(dirname "$file")"
	fi
	say ssh_key_file "$file"; say ssh_public_key "$(cat "$file.pub")"
fi
say uid "$(field 3)"; say gid "$(field 4)"; say comment "$(field 5)"; say home "$(field 6)"; say shell "$(field 7)"
`

// accountName reports whether s can be the name of a user or group.
func accountName(s string) bool {
	return s != "" && s[0] != '-' && !strings.ContainsAny(s, ":/ \t\n*?[]\\'\"$`;&|<>()")
}

func errAccountName(s string) error { return fmt.Errorf("name: %q is no name of an account", s) }

// Validate checks what types cannot say.
func (m *userModule) Validate() error {
	if !accountName(m.Name) {
		return errAccountName(m.Name)
	}
	if strings.Trim(m.UID, "0123456789") != "" {
		return fmt.Errorf("uid: %q is no number", m.UID)
	}
	if strings.ContainsAny(m.Password, ":\n") {
		return fmt.Errorf("password: it has a colon or a newline; give the hash, as password_hash makes it")
	}
	if m.UpdatePassword != "" {
		if err := oneOf("update_password", m.UpdatePassword, "always", "on_create"); err != nil {
			return err
		}
	}
	for _, g := range m.Groups {
		if !accountName(g) {
			return fmt.Errorf("groups: %q is no name of a group", g)
		}
	}
	return oneOf("state", m.State, "present", "absent")
}

// Run makes, changes or removes the account. The password's hash goes by standard input.
func (m *userModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	comment := ""
	if m.Comment != nil {
		comment = *m.Comment
	}
	lock := ""
	if m.PasswordLock != nil {
		lock = map[bool]string{true: "yes", false: "no"}[*m.PasswordLock]
	}
	bits := ""
	if m.SSHKeyBits > 0 {
		bits = number(int64(m.SSHKeyBits))
	}
	r, err := script{Text: userScript, Stdin: strings.NewReader(m.Password + "\n"), Vars: map[string]string{
		"name": m.Name, "state": m.State, "uid": m.UID, "group": m.Group, "groups": strings.Join(m.Groups, ","),
		"set_groups": flag(m.Groups != nil), "append": flag(m.Append), "shell": m.Shell, "home": m.Home, "create": flag(m.CreateHome),
		"move": flag(m.MoveHome), "comment": comment, "set_comment": flag(m.Comment != nil), "system": flag(m.System),
		"remove": flag(m.Remove), "force": flag(m.Force), "set_password": flag(m.Password != ""), "lock": lock,
		"keygen": flag(m.GenerateSSHKey), "keytype": m.SSHKeyType, "keyfile": m.SSHKeyFile, "keybits": bits, "keycomment": m.SSHKeyComment,
		"check": flag(t.Check), "on_create": flag(m.UpdatePassword == "on_create"),
	}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("user " + m.Name), nil
	}
	if t.Check && r.is("changed") && !r.has("uid") {
		return engine.Result{Changed: true}, nil
	}
	values := value.NewDict("name", m.Name, "state", m.State)
	switch {
	case m.State == "absent" && r.is("changed"):
		values.Set("force", m.Force)
		values.Set("remove", m.Remove)
	case m.State == "absent":
	case r.is("new"):
		values.Set("create_home", m.CreateHome)
		values.Set("system", m.System)
	default:
		values.Set("append", m.Append)
		values.Set("move_home", m.MoveHome)
	}
	if m.Groups != nil {
		values.Set("groups", strings.Join(m.Groups, ","))
	}
	if m.Password != "" {
		values.Set("password", "NOT_LOGGING_PASSWORD")
	}
	for _, k := range []string{"comment", "home", "shell", "ssh_key_file", "ssh_public_key"} {
		if r.has(k) {
			values.Set(k, text(r.get(k)))
		}
	}
	if r.has("uid") {
		values.Set("uid", r.number("uid", 10))
		values.Set("group", r.number("gid", 10))
	}
	return engine.Result{Changed: r.is("changed"), Values: values}, nil
}
