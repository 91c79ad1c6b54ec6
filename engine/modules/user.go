package modules

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

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
	// What the private half is encrypted with.
	SSHKeyPassphrase string `yaml:"ssh_key_passphrase"`
	// When the account ends, in seconds since 1970, of which the day counts; below 0 = never.
	Expires *float64 `yaml:"expires"`
	// Days after which the password has to be changed.
	PasswordExpireMax *int `yaml:"password_expire_max"`
	// Days between changes of the password, at least.
	PasswordExpireMin *int `yaml:"password_expire_min"`
	// Another user may have the same number.
	NonUnique bool `yaml:"non_unique"`
	// Folder whose content a new home folder gets; /etc/skel by default.
	Skeleton string `yaml:"skeleton"`
	// Mask of the new home folder's mode, such as "077".
	Umask string `yaml:"umask"`
	// The user's SELinux user.
	SEUser string `yaml:"seuser"`
	// Look at the host's own /etc/passwd alone, where other users come from a directory service.
	Local bool `yaml:"local"`
}

const userScript = `IFS= read -r password || password=
IFS= read -r passphrase || passphrase=
entry() { { [ -z "$local" ] && getent passwd "$name" 2>/dev/null; } || grep "^$name:" /etc/passwd; }
groupentry() { getent group "$1" 2>/dev/null || grep -e "^$1:" -e "^[^:]*:[^:]*:$1:" /etc/group; }
shadowed() { (getent shadow "$name" 2>/dev/null || grep "^$name:" /etc/shadow 2>/dev/null) | cut -d : -f "$1"; }
l= # the programs of libuser, for accounts of the host itself
if [ -n "$local" ] && has luseradd && has lusermod && has lgroupmod && has lchage; then l=l; fi
field() { entry | cut -d : -f "$1"; }
members() { id -nG "$name" 2>/dev/null | tr ' ' '\n' | sort -u; }
changed() { say changed 1; [ -z "$check" ]; }
[ -z "$on_create" ] || [ -z "$(entry)" ] || set_password=
if [ "$state" = absent ]; then
	[ -n "$(entry)" ] || exit 0
	changed || exit 0
	if [ -n "$l" ] && has luserdel; then luserdel ${remove:+-r} "$name" >&2
	elif has userdel; then userdel ${remove:+-r} ${force:+-f} "$name" >&2
	else need deluser; deluser ${remove:+--remove-home} "$name" >&2; fi
	exit
fi
want_groups=$(printf %s "$groups" | tr ',' '\n' | sed '/^$/d' | sort -u)
if [ -z "$(entry)" ]; then
	[ -z "$local" ] || say unlisted 1
	changed || exit 0
	say new 1
	[ -z "$l" ] || [ -z "$group" ] || group=$(groupentry "$group" | cut -d : -f 3)
	if has "${l}useradd"; then
		set -- ${uid:+-u "$uid"} ${system:+-r} ${group:+-g "$group"} ${shell:+-s "$shell"} ${home:+-d "$home"} ${seuser:+-Z "$seuser"}
		[ -z "$set_comment" ] || set -- "$@" -c "$comment"
		own=
		if [ -z "$group" ] && [ -n "$(groupentry "$name")" ]; then own=1; fi # it would be made
		if [ -n "$l" ]; then
			set -- "$@" ${own:+-n}
			[ -n "$create" ] || set -- "$@" -M
		else
			set -- "$@" ${own:+-N} ${uid:+${same:+-o}} ${groups:+-G "$groups"}
			[ -z "$set_expires" ] || set -- "$@" -e "$expires"
			if [ -n "$create" ]; then
				case $home in */*/*) mkdir -p -- "${home%/*}" || exit ;; esac
				set -- "$@" -m ${skeleton:+-k "$skeleton"} ${mask:+-K "UMASK=$mask"}
			else set -- "$@" -M; fi
		fi
		"${l}useradd" "$@" "$name" >&2 || exit
		if [ -n "$l" ]; then
			for g in $want_groups; do lgroupmod -M "$name" "$g" >&2 || exit; done
			[ -z "$days" ] || lchage -E "$days" "$name" >&2 || exit
		fi
	else
		[ -z "$set_expires$skeleton$mask$seuser$same" ] || need useradd
		need adduser
		set -- -D ${uid:+-u "$uid"} ${system:+-S} ${group:+-G "$group"} ${shell:+-s "$shell"} ${home:+-h "$home"}
		[ -n "$create" ] || set -- "$@" -H
		adduser "$@" -g "$comment" "$name" || exit
		for g in $want_groups; do addgroup "$name" "$g" || exit; done
	fi
else
	set --
	[ -z "$uid" ] || [ "$uid" = "$(field 3)" ] || set -- "$@" -u "$uid" ${same:+-o}
	if [ -n "$group" ]; then
		gid=$(groupentry "$group" | cut -d : -f 3)
		[ -n "$gid" ] || die "there is no group \"$group\""
		[ "$gid" = "$(field 4)" ] || set -- "$@" -g "$gid"
	fi
	[ -z "$set_comment" ] || [ "$comment" = "$(field 5)" ] || set -- "$@" -c "$comment"
	[ -z "$shell" ] || [ "$shell" = "$(field 7)" ] || set -- "$@" -s "$shell"
	if [ -n "$home" ] && [ "$home" != "$(field 6)" ]; then set -- "$@" -d "$home" ${move:+-m}; fi
	have='' wanted='' missing='' odd=''
	if [ -n "$set_groups" ]; then
		primary=$(id -ng "$name")
		have=$(members | grep -vxF "$primary")
		wanted=$(printf '%s\n' "$want_groups" | grep -vxF "$primary" | sed '/^$/d')
		missing=$(printf '%s\n' "$wanted" | while read -r g; do [ -z "$g" ] || printf '%s\n' "$have" | grep -qxF "$g" || echo "$g"; done)
		if [ -n "$append" ]; then
			if [ -n "$missing" ]; then
				odd=1
				[ -n "$l" ] || set -- "$@" -a -G "$groups"
			fi
		elif [ "$have" != "$wanted" ]; then
			odd=1
			[ -n "$l" ] || set -- "$@" -G "$groups"
		fi
	fi
	now=$(shadowed 8)
	if [ -n "$set_expires" ]; then
		case $now in
		'' | -*) now=-1 ;;
		esac
		if [ "$now" != "$days" ]; then
			odd=1
			[ -n "$l" ] || set -- "$@" -e "$expires"
		else set_expires=; fi
	fi
	if [ -n "$l" ] && [ -n "$odd" ]; then
		changed || exit 0
		for g in $missing; do lgroupmod -M "$name" "$g" >&2 || exit; done
		if [ -z "$append" ]; then
			for g in $have; do printf '%s\n' "$wanted" | grep -qxF "$g" || lgroupmod -m "$name" "$g" >&2 || exit; done
		fi
		[ -z "$set_expires" ] || lchage -E "$days" "$name" >&2 || exit
	fi
	if [ $# -gt 0 ]; then
		changed || exit 0
		if [ -n "$l" ]; then lusermod "$@" "$name" >&2 || exit
		elif has usermod; then usermod "$@" "$name" >&2 || exit
		elif [ "$1$2" = -a-G ]; then for g in $missing; do addgroup "$name" "$g" || exit; done
		else need usermod; fi
	fi
fi
homeless() { # of an account that was there: gives it the home that it lacks
	mkdir -p "$(dirname "$1")" && if [ -d "${skeleton:-/etc/skel}" ]; then cp -RP "${skeleton:-/etc/skel}" "$1"; else mkdir "$1"; fi || exit
	[ -n "$mask" ] || mask=$(sed -n 's/^UMASK[ 	][ 	]*\([0-7][0-7]*\)$/\1/p' /etc/login.defs 2>/dev/null | tail -n 1)
	if [ -n "$mask" ]; then (umask "$mask"; chmod =rwx "$1") || exit; fi
	chown -R "$(field 3):$(field 4)" "$1" || exit
}
if [ -n "$create" ] && [ -n "$(entry)" ]; then
	at=$(field 6)
	if [ -n "$at" ] && [ ! -e "$at" ]; then
		if changed; then homeless "$at"; fi
	fi
fi
hash() { shadowed 2; }
bare() { printf %s "$1" | sed 's/^!*//'; }
if [ -n "$set_password" ]; then
	if [ "$(bare "$password")" != "$(bare "$(hash)")" ]; then
		changed || exit 0
		[ "$lock" != yes ] || password=!$password
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
	if [ -e "$file" ] && [ -n "$force" ]; then say replaced "$file"
	elif [ -e "$file" ]; then say kept "$file"; fi
	if [ ! -e "$file" ] || [ -n "$force" ]; then
		changed || exit 0
		need ssh-keygen
		mkdir -p -m 700 "$(dirname "$file")" && rm -f -- "$file" "$file.pub" || exit
		set -- -q -t "${keytype:-rsa}" ${keybits:+-b "$keybits"} -C "${keycomment:-ansible-generated on $(uname -n)}" -f "$file"
		if [ -n "$passphrase" ]; then # no argument: those are seen by all
			askpass=$(mktemp "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit
			trap 'rm -f -- "$askpass"' EXIT
			printf '#!/bin/sh\nprintf "%%s\\n" "$farm_passphrase"\n' >"$askpass" && chmod 700 "$askpass" || exit
			farm_passphrase=$passphrase SSH_ASKPASS=$askpass SSH_ASKPASS_REQUIRE=force DISPLAY=none ssh-keygen "$@" </dev/null >&2 || exit
			rm -f -- "$askpass"
		else ssh-keygen "$@" -N '' </dev/null >&2 || exit; fi
		chown -R "$(id -u "$name"):$(id -g "$name")" "$(dirname "$file")"
	fi
	say ssh_key_file "$file"; say ssh_public_key "$(cat "$file.pub")"; say ssh_fingerprint "$(ssh-keygen -l -f "$file" 2>&1)"
fi
set --
[ -z "$pass_min" ] || [ "$pass_min" = "$(shadowed 4)" ] || set -- "$@" -m "$pass_min"
[ -z "$pass_max" ] || [ "$pass_max" = "$(shadowed 5)" ] || set -- "$@" -M "$pass_max"
if [ $# -gt 0 ] && changed; then need chage; chage "$@" "$name" >&2 || exit; fi
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
	if m.Local && m.Umask != "" {
		return errors.New("'umask' can not be used with 'local': the programs for it take none")
	}
	if strings.Contains(m.SSHKeyPassphrase, "\n") {
		return errors.New("ssh_key_passphrase: it has a newline")
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
	expires, days := m.end()
	r, err := script{Text: userScript, Stdin: strings.NewReader(m.Password + "\n" + m.SSHKeyPassphrase + "\n"), Vars: map[string]string{
		"name": m.Name, "state": m.State, "uid": m.UID, "group": m.Group, "groups": strings.Join(m.Groups, ","),
		"set_groups": flag(m.Groups != nil), "append": flag(m.Append), "shell": m.Shell, "home": m.Home, "create": flag(m.CreateHome),
		"move": flag(m.MoveHome), "comment": comment, "set_comment": flag(m.Comment != nil), "system": flag(m.System),
		"remove": flag(m.Remove), "force": flag(m.Force), "set_password": flag(m.Password != ""), "lock": lock,
		"keygen": flag(m.GenerateSSHKey), "keytype": m.SSHKeyType, "keyfile": m.SSHKeyFile, "keybits": bits, "keycomment": m.SSHKeyComment,
		"expires": expires, "days": days, "set_expires": flag(m.Expires != nil), "pass_min": count(m.PasswordExpireMin), "pass_max": count(m.PasswordExpireMax),
		"same": flag(m.NonUnique), "skeleton": m.Skeleton, "mask": m.Umask, "seuser": m.SEUser, "local": flag(m.Local),
		"check": flag(t.Check), "on_create": flag(m.UpdatePassword == "on_create"),
	}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("user " + m.Name), nil
	}
	if t.Check && r.is("changed") && !r.has("uid") {
		return m.warned(t, r, engine.Result{Changed: true}), nil
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
	for _, k := range []string{"comment", "home", "shell", "ssh_key_file", "ssh_public_key", "ssh_fingerprint"} {
		if r.has(k) {
			values.Set(k, text(r.get(k)))
		}
	}
	if r.has("uid") {
		values.Set("uid", r.number("uid", 10))
		values.Set("group", r.number("gid", 10))
	}
	return m.warned(t, r, engine.Result{Changed: r.is("changed"), Values: values}), nil
}

// end is when the account ends, as a date and in days since 1970; "" and -1 = never.
func (m *userModule) end() (date, days string) {
	switch {
	case m.Expires == nil:
		return "", ""
	case *m.Expires < 0:
		return "", "-1"
	}
	n := int64(math.Floor(*m.Expires)) / 86400
	return time.Unix(n*86400, 0).UTC().Format(time.DateOnly), number(n)
}

// count is a number for a script; "" where there is none.
func count(n *int) string {
	if n == nil {
		return ""
	}
	return number(int64(*n))
}

// warned is res with what the user should look at.
func (m *userModule) warned(t *engine.Task, r reply, res engine.Result) engine.Result {
	if m.Append && m.Groups == nil {
		res = cautioned(t, res, "'append' is set, but no 'groups' are specified. Use 'groups' for the groups to add")
	}
	if m.Password != "" && !looksHashed(m.Password) {
		res = cautioned(t, res, "user: the password does not look like a hash; password_hash makes one")
	}
	if r.is("unlisted") {
		res = cautioned(t, res, "user: /etc/passwd has no %q. The local user account may already exist if such accounts are elsewhere", m.Name)
	}
	if r.has("kept") {
		res = cautioned(t, res, "user: the key file %q is there already and is kept; force: true replaces it", text(r.get("kept")))
	}
	if r.has("replaced") {
		res = cautioned(t, res, "user: the key file %q was there already and is replaced, as force says", text(r.get("replaced")))
	}
	return res
}

var hashedPassword = regexp.MustCompile(`^\$(?:1\$[^$]*\$[./0-9A-Za-z]{22}|5\$(?:[^$]*\$)+[./0-9A-Za-z]{43}|6\$(?:[^$]*\$)+[./0-9A-Za-z]{86}|[^156$][^$]*\$(?:[^$]*\$)*[./0-9A-Za-z]*|[156][^$]+\$(?:[^$]*\$)*[./0-9A-Za-z]*)$`)

// looksHashed reports whether s may be a hash as crypt(5) has it, or stands for no password.
func looksHashed(s string) bool {
	s = strings.TrimLeft(s, "!")
	return s == "" || s == "*" || s == "*************" || hashedPassword.MatchString(s)
}
