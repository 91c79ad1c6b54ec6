package modules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"farm/inventory/value"
)

// fileFuncs are functions for scripts that work on files:
//
//	meta FILE       prints "MODE UID GID SIZE OWNER GROUP" of FILE itself, not of a link's target
//	kind FILE       prints directory, file, link, other or absent, of FILE itself
//	kindof FILE     the same, put into farm_k
//	sum NAME FILE   prints the checksum of FILE; NAME is md5, sha1, sha256, ...
//	sumof NAME FILE the same, put into farm_s
//	attrs FILE      gives FILE the variables mode, owner, group, farm_flags, if they are set, unless check
//	                is; sets changed=1 if that changes anything and says what, for attrsDiff
//	report FILE     says what FILE is now, for fileValues: its attributes by tellmeta, the
//	                rest by tellplace
const fileFuncs = `meta() { stat -c '%a %u %g %s %U %G' -- "$1" 2>/dev/null || stat -f '%Mp%Lp %u %g %z %Su %Sg' -- "$1" 2>/dev/null; }
kindof() {
	if [ -L "$1" ]; then farm_k=link
	elif [ -d "$1" ]; then farm_k=directory
	elif [ -f "$1" ]; then farm_k=file
	elif [ -e "$1" ]; then farm_k=other
	else farm_k=absent; fi
}
kind() { kindof "$1"; echo "$farm_k"; }
sumof() {
	farm_f=$2
	if has "${1}sum"; then set -- $("${1}sum" <"$2")
	elif has "$1"; then set -- $("$1" -q "$2")
	elif has openssl; then set -- $(openssl dgst "-$1" <"$2" | sed 's/.*= *//')
	else die "neither ${1}sum nor openssl is installed on this host"; fi
	[ -n "$1" ] || die "cannot read $farm_f"
	farm_s=$1
}
sum() { sumof "$@"; printf %s "$farm_s"; }
flags() {
	has lsattr && has chattr || die "the programs lsattr and chattr are missing on this host; they are in the package e2fsprogs"
	farm_a=$(lsattr -d -- "$1") || exit
	farm_a=$(printf %s "${farm_a%% *}" | tr -d -) farm_p=${farm_flags#[-+=]} farm_n=
	case $farm_flags in
	-*) # those of them that are set
		farm_o=-
		for farm_m in $(printf %s "$farm_p" | sed 's/./& /g'); do case $farm_a in *"$farm_m"*) farm_n=$farm_n$farm_m ;; esac; done ;;
	*) # those that are not
		farm_o=+
		for farm_m in $(printf %s "$farm_p" | sed 's/./& /g'); do case $farm_a in *"$farm_m"*) ;; *) farm_n=$farm_n$farm_m ;; esac; done
		case $farm_flags in
		+*) ;;
		*) # and none else but what the filesystem sets itself
			farm_m=$(printf %s "$farm_a" | tr -d "eEINVh$farm_p")
			if [ -n "$farm_m" ]; then
				changed=1
				[ -n "$check" ] || chattr "-$farm_m" -- "$1" || exit
			fi ;;
		esac ;;
	esac
	[ -n "$farm_n" ] || return 0
	changed=1
	[ -n "$check" ] || chattr "$farm_o$farm_n" -- "$1" || exit
}
known() { getent "$1" "$3" >/dev/null 2>&1 || grep -q "$2" "/etc/$1"; }
attrs() {
	[ -z "$farm_flags" ] || flags "$1"
	[ -n "$mode$owner$group" ] || return 0
	farm_h= farm_o=
	if [ -L "$1" ]; then farm_h=-h; fi
	farm_f=$1
	set -- $(stat -c '%a %u %g %s %U %G' -- "$1" 2>/dev/null)
	[ $# -ge 6 ] || set -- $(meta "$farm_f")
	[ $# -ge 6 ] || die "cannot tell the mode of $farm_f: the program stat is missing"
	case $owner in
	'' | "$2" | "$5") ;;
	*)
		changed=1 farm_o=1
		say was_owner "$2"; say now_owner "$owner"
		case $check$owner in *[!0-9]*) [ -z "$check" ] || known passwd "^$owner:" "$owner" || die "chown failed: failed to look up user $owner" ;; esac
		[ -n "$check" ] || chown $farm_h -- "$owner" "$farm_f" || exit 1 ;;
	esac
	case $group in
	'' | "$3" | "$6") ;;
	*)
		changed=1 farm_o=1
		say was_group "$3"; say now_group "$group"
		case $check$group in *[!0-9]*) [ -z "$check" ] || known group "^$group:" "$group" || die "chgrp failed: failed to look up group $group" ;; esac
		[ -n "$check" ] || chgrp $farm_h -- "$group" "$farm_f" || exit 1 ;;
	esac
	if [ -z "$mode" ] || [ -n "$farm_h" ]; then return 0; fi
	case $mode in
	*[!0-7]*) ;;
	*)
		farm_m=${mode#"${mode%%[!0]*}"}
		[ "${farm_m:-0}" != "$1" ] || [ -n "$farm_o" ] || return 0 ;; # chown clears set-id bits
	esac
	farm_c=$farm_f
	if [ -n "$check" ]; then
		if [ -d "$farm_f" ]; then farm_c=$(mktemp -d "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit
		else farm_c=$(mktemp "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit; fi
		chmod "00$1" "$farm_c"
	fi
	farm_m=$mode
	case $mode in
	*X*) # some shells' chmod loses the x bits in u=rwX before it looks for them
		if [ -d "$farm_f" ]; then farm_m=$(printf %s "$mode" | tr X x)
		else
			case $1 in
			*[1357]?? | *[1357]? | *[1357]) farm_m=$(printf %s "$mode" | tr X x) ;;
			*) farm_m=$(printf %s "$mode" | tr -d X) ;;
			esac
		fi ;;
	esac
	chmod -- "$farm_m" "$farm_c" || exit 1
	farm_a=$(meta "$farm_c")
	if [ -n "$check" ]; then rm -rf -- "$farm_c"; fi
	if [ "${farm_a%% *}" != "$1" ]; then changed=1; say was_mode "$1"; say now_mode "${farm_a%% *}"; fi
}
report() {
	tellmeta "$1"
	tellplace "$1"
}
tellmeta() {
	printf '\036meta='
	meta "$1"
	printf '\0'
}
tellplace() {
	kindof "$1"
	say state "$farm_k"
	say path "$1"
	say changed "$changed"
}
`

var (
	octalMode    = regexp.MustCompile(`^(0o?)?[0-7]{1,4}$`)
	symbolicMode = regexp.MustCompile(`^[ugoa]*([-+=]([rwxXst]*|[ugo]))+(,[ugoa]*([-+=]([rwxXst]*|[ugo]))+)*$`)
)

// modeText is a mode as chmod takes it: five octal digits, which clear the set-id bits of
// folders too, or symbols. v is nil, a number, or text.
func modeText(v any) (string, error) {
	switch m := v.(type) {
	case nil:
		return "", nil
	case int64:
		if m < 0 || m > 0o7777 {
			return "", fmt.Errorf("mode %d is none; write it as '0644', with quotes and a leading zero", m)
		}
		return fmt.Sprintf("%05o", m), nil
	case string:
		if m == "" {
			return "", nil
		}
		if octalMode.MatchString(m) {
			n, err := strconv.ParseUint(strings.TrimPrefix(m, "0o"), 8, 32)
			return fmt.Sprintf("%05o", n), err
		}
		if symbolicMode.MatchString(m) {
			return m, nil
		}
	}
	return "", fmt.Errorf("mode %q is none; examples are '0644' and 'u=rw,go=r'", value.Text(v))
}

// checkedFile checks the arguments validate and mode of a module that writes a file.
func checkedFile(validate string, mode any) error {
	if validate != "" && !strings.Contains(validate, "%s") {
		return fmt.Errorf("validate must contain %%s: %s", validate)
	}
	_, err := modeText(mode)
	return err
}

// fileValues adds to d what report said of a file, under Ansible's names.
func fileValues(r reply, d *value.Dict) *value.Dict {
	if m := strings.Fields(r.get("meta")); len(m) >= 6 {
		d.Set("mode", fourDigits(m[0]))
		for i, k := range []string{"uid", "gid", "size"} {
			n, _ := strconv.ParseInt(m[1+i], 10, 64)
			d.Set(k, n)
		}
		d.Set("owner", text(m[4]))
		d.Set("group", text(m[5]))
	}
	if s := r.get("state"); s != "" {
		d.Set("state", s)
	}
	return d
}

// fourDigits prints an octal mode as Ansible does: 0644.
func fourDigits(mode string) string {
	n, err := strconv.ParseUint(mode, 8, 32)
	if err != nil {
		return mode
	}
	return fmt.Sprintf("0%03o", n)
}
