package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"farm/engine"
	"farm/inventory/value"

	"github.com/ncruces/go-strftime"
)

// File makes and removes files, folders and links, and sets their attributes.
type File struct {
	Path       string `yaml:"path|dest|name,required"`  // the file
	State      string `yaml:"state"`                    // file, directory, touch, absent, link, hard; by default what is there
	Src        string `yaml:"src"`                      // what a link points to
	Mode       any    `yaml:"mode"`                     // '0644' or 'u=rw,go=r'
	Owner      string `yaml:"owner"`                    // name or number
	Group      string `yaml:"group"`                    // name or number
	Recurse    bool   `yaml:"recurse"`                  // of a folder: the attributes go to all that is in it
	Force      bool   `yaml:"force"`                    // a link may dangle, and may replace a file
	Follow     bool   `yaml:"follow"`                   // attributes go to what a link points to (the default)
	Flags      string `yaml:"attributes|attr"`          // flags as chattr takes them: A, +i, -a or =d
	AccessTime string `yaml:"access_time"`              // now (that of touch), preserve, or a time as 202601312359.59
	ModifyTime string `yaml:"modification_time"`        // now (that of touch), preserve, or a time as 202601312359.59
	AccessForm string `yaml:"access_time_format"`       // how access_time is written, as strftime has it: "%Y%m%d%H%M.%S"
	ModifyForm string `yaml:"modification_time_format"` // how modification_time is written
}

func newFile() engine.Module {
	return &File{Follow: true, AccessForm: touchForm, ModifyForm: touchForm}
}

// touchForm is how Ansible has times written, and touch -t as well.
const touchForm = "%Y%m%d%H%M.%S"

// Validate checks what goes together.
func (m *File) Validate() error {
	switch m.State {
	case "", "file", "directory", "touch", "absent", "link", "hard":
	default:
		return fmt.Errorf("state %q is none of file, directory, touch, absent, link, hard", m.State)
	}
	if m.Src != "" && m.State != "" && m.State != "link" && m.State != "hard" {
		return errors.New("src option requires state to be 'link' or 'hard'")
	}
	if m.Src == "" && m.State == "hard" {
		return errors.New("src is required for creating new hardlinks")
	}
	if m.Recurse && m.State != "" && m.State != "directory" {
		return errors.New("recurse option requires state to be 'directory'")
	}
	for _, at := range []struct{ name, text, form string }{
		{"access_time", m.AccessTime, m.AccessForm}, {"modification_time", m.ModifyTime, m.ModifyForm},
	} {
		if _, err := m.time(at.text, at.form); err != nil {
			return fmt.Errorf("%s: %w", at.name, err)
		}
	}
	_, err := modeText(m.Mode)
	return err
}

// time is a time as touch -t takes it, or now or preserve.
func (m *File) time(text, form string) (string, error) {
	switch text {
	case "":
		if m.State == "touch" {
			return "now", nil
		}
		return "preserve", nil
	case "now", "preserve":
		return text, nil
	}
	at, err := strftime.Parse(form, text)
	if err != nil {
		return "", fmt.Errorf("%q is neither now nor preserve nor a time in the format %q", text, form)
	}
	return at.Format("200601021504.05"), nil
}

const fileScript = fileFuncs + `
changed=
case $path in '~'* | *'$'*) path=$(untilde "$path") ;; esac
kindof "$path"
is=$farm_k
say was "$is"
case $path in
?*/) path=${path%/} ;;
esac
if [ -n "$check" ]; then
	case $owner in
	'') ;;
	*[!0-9]*) known passwd "^$owner:" "$owner" || say nobody "user $owner" ;;
	*) known passwd "^[^:]*:[^:]*:$owner:" "$owner" || say nobody "user with uid $owner" ;;
	esac
	case $group in
	'') ;;
	*[!0-9]*) known group "^$group:" "$group" || say nogroup "group $group" ;;
	*) known group "^[^:]*:[^:]*:$group:" "$group" || say nogroup "group with gid $group" ;;
	esac
fi
if [ -z "$state" ]; then
	state=$is
	[ $is != other ] || state=file
	if [ $is = link ]; then as=link; fi
	if [ -n "$recurse" ] && [ $is != directory ]; then
		[ $is = absent ] || { [ $is = link ] && [ -n "$follow" ] && [ -d "$path" ]; } || die "recurse option requires state to be 'directory'"
		state=directory as=
	fi
	[ $state != absent ] || state=file
	if [ -n "$src" ] && [ $state != link ]; then die "src option requires state to be 'link' or 'hard'"; fi
fi
dry() { changed=1; [ -n "$check" ]; }
target() {
	case $src in
	/*) printf %s "$src" ;;
	*) case $path in */*) printf '%s/%s' "${path%/*}" "$src" ;; *) printf %s "$src" ;; esac ;;
	esac
}
snapshot() { find "$1" -exec stat -c '%a %u %g %n' {} + 2>/dev/null || find "$1" -exec stat -f '%Mp%Lp %u %g %N' {} +; }
deep() { # FOLDER: gives all that is in it the attributes; with follow also what links lead to
	if [ -n "$check" ]; then
		while IFS= read -r at; do attrs "$at"; done <<END
$(find "$1")
END
	else
		before=$(snapshot "$1")
		[ -z "$owner" ] || chown -hR -- "$owner" "$1" || exit
		[ -z "$group" ] || chgrp -hR -- "$group" "$1" || exit
		case $mode in
		'') ;;
		*X*)
			find "$1" ! -type d ! -type l ! -perm -100 ! -perm -010 ! -perm -001 -exec chmod -- "$(printf %s "$mode" | tr -d X)" {} + || exit
			find "$1" ! -type l \( -type d -o -perm -100 -o -perm -010 -o -perm -001 \) -exec chmod -- "$(printf %s "$mode" | tr X x)" {} + || exit ;;
		*) chmod -R -- "$mode" "$1" || exit ;;
		esac
		[ "$before" = "$(snapshot "$1")" ] || changed=1
	fi
	[ -n "$follow" ] || return 0
	deep_done="$deep_done$(cd "$1" && pwd -P)
"
	while IFS= read -r at; do
		[ -n "$at" ] && [ -e "$at" ] || continue
		at=$(readlink -f -- "$at")
		if [ ! -d "$at" ]; then attrs "$at"; continue; fi
		case "
$deep_done" in
		*"
$at
"*) ;;
		*) deep "$at" ;;
		esac
	done <<END
$(find "$1" -type l)
END
}
seconds() { stat -c '%X %Y' -- "$1" 2>/dev/null || stat -f '%a %m' -- "$1"; }
timed() { # FILE: gives it the times atime and mtime
	case $atime$mtime in
	preservepreserve) ;;
	nownow) touch -- "$1" || exit ;;
	*)
		case $atime in
		preserve) ;;
		now) touch -a -- "$1" || exit ;;
		*) touch -a -t "$atime" -- "$1" || exit ;;
		esac
		case $mtime in
		preserve) ;;
		now) touch -m -- "$1" || exit ;;
		*) touch -m -t "$mtime" -- "$1" || exit ;;
		esac ;;
	esac
}
stamp() { # FILE: the same to what is there, where it changes anything
	[ "$atime$mtime" != preservepreserve ] || return 0
	was=$(seconds "$1")
	farm_t=$(mktemp "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit
	touch -r "$1" -- "$farm_t" && timed "$farm_t"
	now=$(seconds "$farm_t")
	rm -f -- "$farm_t"
	case $atime$mtime in
	*now*) ;;
	*) [ "$was" != "$now" ] || return 0 ;;
	esac
	changed=1
	say was_times "$was"; say now_times "$now"
	[ -n "$check" ] || timed "$1"
}
clear_way() {
	[ $is = absent ] && return
	if [ -n "$force" ] || { [ $is = link ] && [ $state = link ]; }; then rm -f -- "$path" || exit; return; fi
	die "$path is a $is already; force: true replaces it"
}
case $state in
absent)
	if [ $is != absent ]; then
		if [ -n "$diff" ] && [ $is = directory ]; then
			say folders "$(find "$path/." -mindepth 1 -type d | sed 's#/\./#/#' | sort)"
			say files "$(find "$path/." -mindepth 1 ! -type d | sed 's#/\./#/#' | sort)"
		fi
		if dry; then report "$path"; exit; fi
		rm -rf -- "$path" || exit
	fi
	say changed "$changed"; say path "$path"; say state absent
	exit ;;
directory)
	if [ -n "$follow" ] && [ -d "$path" ]; then
		if [ $is = link ]; then path=$(readlink -f -- "$path"); fi
		is=directory
	fi
	case $is in
	directory) ;;
	absent)
		if dry; then say changed 1; say path "$path"; exit; fi
		todo= at=$path
		while [ -n "$at" ] && [ ! -d "$at" ]; do
			todo="$at
$todo"
			case $at in
			*/*) at=${at%/*} ;;
			*) at= ;;
			esac
		done
		mkdir -p -- "$path" || exit
		while IFS= read -r at; do [ -z "$at" ] || attrs "$at"; done <<END
$todo
END
		;;
	*) die "$path is a $is, no folder" ;;
	esac
	if [ -n "$recurse" ] && [ -n "$mode$owner$group" ]; then deep "$path"; fi ;;
touch)
	if [ $is = absent ]; then
		if dry; then say changed 1; say path "$path"; exit; fi
		: >>"$path" || exit
		trap 'rm -f -- "$path"' EXIT # unless it gets its attributes
		changed=1
		timed "$path"
	fi ;;
link)
	if [ $is = link ] && [ -z "$src" ]; then src=$(readlink -- "$path") as=link; fi
	[ -n "$src" ] || die "src is required for creating new symlinks"
	if [ -z "$as$force" ] && [ ! -e "$(target)" ]; then die "src file does not exist, use \"force=yes\" if you really want to create the link: $(target)"; fi
	if [ -d "$path" ] && [ $is = directory ] && [ -z "$force" ]; then die "refusing to convert from directory to symlink for $path; force: true does it, if the directory is empty"; fi
	if [ $is != link ] || [ "$(readlink -- "$path")" != "$src" ]; then
		if [ $is != absent ] && [ $is != link ] && [ -z "$force" ]; then die "refusing to convert from $is to symlink for $path; force: true does it"; fi
		if [ $is = link ]; then say was_src "$(readlink -- "$path")"; say now_src "$src"; fi
		if ! dry; then
			if [ $is = directory ]; then rmdir -- "$path" || exit; is=absent; fi
			clear_way
			ln -s -- "$src" "$path" || exit
		fi
	fi
	;;
hard)
	src=$(untilde "$src")
	[ -e "$src" ] || die "src does not exist"
	if ! [ "$src" -ef "$path" ]; then
		if [ $is != absent ] && [ -z "$force" ]; then die "$path is a $is already; force: true replaces it"; fi
		if ! dry; then clear_way; ln -- "$src" "$path" || exit; fi
	fi ;;
*)
	[ $is != absent ] || die "file ($path) is absent, cannot continue; state: touch makes a file, state: directory a folder"
	if [ -n "$follow" ] && [ -f "$path" ]; then is=file; fi
	if [ "$state" = file ] && [ $is != file ] && [ $is != other ]; then die "file ($path) is $is, cannot continue"; fi ;;
esac
at=$path
if [ -n "$follow" ] && [ -L "$path" ] && [ -e "$path" ]; then at=$(readlink -f -- "$path"); fi
if [ -e "$at" ] || [ -L "$at" ]; then
	attrs "$at"
	if [ $state != touch ] || [ $is != absent ]; then
		if [ ! -L "$at" ]; then stamp "$at"; fi
	fi
fi
if [ $state = touch ]; then trap - EXIT; fi
if [ $state = link ]; then at=$path; fi
if [ $state = link ] && [ ! -e "$path" ]; then say changed "$changed"; say src "$src"; exit; fi
report "$at"
say path "$path"
if [ $state = link ] || [ $state = hard ]; then say src "$src"; say state $state; fi
`

// Run brings the file into its state.
func (m *File) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("file: %v", err), nil
	}
	mode, _ := modeText(m.Mode)
	atime, _ := m.time(m.AccessTime, m.AccessForm)
	mtime, _ := m.time(m.ModifyTime, m.ModifyForm)
	r, err := run(ctx, t, fileScript, map[string]string{
		"path": m.Path, "state": m.State, "src": m.Src, "mode": mode, "owner": m.Owner, "group": m.Group,
		"recurse": flag(m.Recurse), "force": flag(m.Force), "follow": flag(m.Follow), "check": flag(t.Check),
		"atime": atime, "mtime": mtime, "farm_flags": m.Flags, "as": "", "deep_done": "", "diff": flag(t.Diff),
	})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		res := r.failure("")
		if res.Values.Set("path", m.Path); m.Src != "" {
			res.Values.Set("dest", m.Path)
			res.Values.Set("src", m.Src)
		}
		if r.get("was") == "absent" {
			res.Values.Set("state", "absent")
		}
		return m.unknown(t, r, res), nil
	}
	where := text(r.get("path"))
	if where == "" || where+"/" == m.Path {
		where = m.Path
	}
	d := value.NewDict("path", where)
	if r.has("src") || m.State == "touch" {
		d = value.NewDict("dest", where)
	}
	switch {
	case r.has("src") && m.Src == "" && !m.Follow: // none was asked for
		d.Set("src", nil)
	case r.has("src"):
		d.Set("src", text(r.get("src")))
	}
	diff := attrsDiff(r, text(r.get("path")))
	if was := r.get("was"); r.is("changed") && m.State != "" && m.State != was && m.State != "hard" && (m.State != "touch" || was == "absent") {
		diff.note("state", was, m.State)
	}
	if r.has("folders") {
		diff.before.Set("path_content", value.NewDict("directories", lines(text(r.get("folders"))), "files", lines(text(r.get("files")))))
	}
	if r.has("was_src") {
		diff.note("src", text(r.get("was_src")), text(r.get("now_src")))
	}
	was, now := strings.Fields(r.get("was_times")), strings.Fields(r.get("now_times"))
	for i, name := range []string{"atime", "mtime"} {
		if len(was) == 2 && len(now) == 2 && was[i] != now[i] {
			diff.note(name, was[i], now[i])
		}
	}
	return m.unknown(t, r, engine.Result{Changed: r.is("changed"), Values: fileValues(r, d), Diff: diff.value("")}), nil
}

// unknown warns in check mode of an owner or group that is not there yet.
func (m *File) unknown(t *engine.Task, r reply, res engine.Result) engine.Result {
	for _, k := range []string{"nobody", "nogroup"} {
		if r.has(k) {
			res = cautioned(t, res, "failed to look up %s; a task before this one may make it", text(r.get(k)))
		}
	}
	return res
}
