package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"farm/engine"
	"farm/inventory/value"
)

// File makes and removes files, folders and links, and sets their attributes.
type File struct {
	Path       string `yaml:"path|dest|name,required"` // the file
	State      string `yaml:"state"`                   // file, directory, touch, absent, link, hard; by default what is there
	Src        string `yaml:"src"`                     // what a link points to
	Mode       any    `yaml:"mode"`                    // '0644' or 'u=rw,go=r'
	Owner      string `yaml:"owner"`                   // name or number
	Group      string `yaml:"group"`                   // name or number
	Recurse    bool   `yaml:"recurse"`                 // of a folder: the attributes go to all that is in it
	Force      bool   `yaml:"force"`                   // a link may dangle, and may replace a file
	Follow     bool   `yaml:"follow"`                  // attributes go to what a link points to (the default)
	AccessTime string `yaml:"access_time"`             // of touch: now, preserve, or a time as 202601312359.59
	ModifyTime string `yaml:"modification_time"`       // of touch: now, preserve, or a time as 202601312359.59
}

func newFile() engine.Module { return &File{Follow: true} }

// Validate checks what goes together.
func (m *File) Validate() error {
	switch m.State {
	case "", "file", "directory", "touch", "absent":
	case "link", "hard":
		if m.Src == "" {
			return fmt.Errorf("state: %s needs src", m.State)
		}
	default:
		return fmt.Errorf("state %q is none of file, directory, touch, absent, link, hard", m.State)
	}
	for _, at := range []string{m.AccessTime, m.ModifyTime} {
		if at != "" && at != "now" && at != "preserve" && !touchTime.MatchString(at) {
			return errors.New("access_time and modification_time are now, preserve, or a time as 202601312359.59")
		}
	}
	if m.Recurse && m.State != "directory" {
		return errors.New("recurse goes with state: directory")
	}
	_, err := modeText(m.Mode)
	return err
}

// touchTime is a time as touch -t takes it.
var touchTime = regexp.MustCompile(`^\d{12}(\.\d\d)?$`)

const fileScript = fileFuncs + `
changed=
case $path in '~'*) path=$(untilde "$path") ;; esac
kindof "$path"
is=$farm_k
say was "$is"
case $path in
?*/) path=${path%/} ;;
esac
if [ -z "$state" ]; then
	state=$is
	[ $is != absent ] || state=file
	[ $is != other ] || state=file
	if [ $is = link ]; then as=link; fi
fi
dry() { changed=1; [ -n "$check" ]; }
target() {
	case $src in
	/*) printf %s "$src" ;;
	*) case $path in */*) printf '%s/%s' "${path%/*}" "$src" ;; *) printf %s "$src" ;; esac ;;
	esac
}
snapshot() { find "$path" -exec stat -c '%a %u %g %n' {} + 2>/dev/null || find "$path" -exec stat -f '%Mp%Lp %u %g %N' {} +; }
# timed is true where both times are preserved or given, and what is given is there already.
timed() {
	case $atime in preserve | [0-9]*) ;; *) return 1 ;; esac
	case $mtime in preserve | [0-9]*) ;; *) return 1 ;; esac
	farm_t=$(mktemp "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit
	touch -r "$path" -- "$farm_t"
	before=$(stat -c '%X %Y' -- "$farm_t" 2>/dev/null || stat -f '%a %m' -- "$farm_t")
	case $atime in [0-9]*) touch -a -t "$atime" -- "$farm_t" ;; esac
	case $mtime in [0-9]*) touch -m -t "$mtime" -- "$farm_t" ;; esac
	after=$(stat -c '%X %Y' -- "$farm_t" 2>/dev/null || stat -f '%a %m' -- "$farm_t")
	rm -f -- "$farm_t"
	[ "$before" = "$after" ]
}
clear_way() {
	[ $is = absent ] && return
	if [ -n "$force" ] || { [ $is = link ] && [ $state = link ]; }; then rm -f -- "$path" || exit; return; fi
	die "$path is a $is already; force: true replaces it"
}
case $state in
absent)
	if [ $is != absent ]; then
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
	if [ -n "$recurse" ] && [ -n "$mode$owner$group" ]; then
		if [ -n "$check" ]; then
			while IFS= read -r at; do attrs "$at"; done <<END
$(find "$path")
END
		else
			before=$(snapshot)
			[ -z "$owner" ] || chown -hR -- "$owner" "$path" || exit
			[ -z "$group" ] || chgrp -hR -- "$group" "$path" || exit
			case $mode in
			'') ;;
			*X*)
				find "$path" ! -type d ! -type l ! -perm -100 ! -perm -010 ! -perm -001 -exec chmod -- "$(printf %s "$mode" | tr -d X)" {} + || exit
				find "$path" ! -type l \( -type d -o -perm -100 -o -perm -010 -o -perm -001 \) -exec chmod -- "$(printf %s "$mode" | tr X x)" {} + || exit ;;
			*) chmod -R -- "$mode" "$path" || exit ;;
			esac
			[ "$before" = "$(snapshot)" ] || changed=1
		fi
	fi ;;
touch)
	if [ $is = absent ]; then
		if dry; then say changed 1; say path "$path"; exit; fi
		: >>"$path" || exit
	elif [ "$atime$mtime" != preservepreserve ] && ! timed; then
		changed=1
		if [ -z "$check" ]; then
			[ "$atime" = preserve ] || touch -a -- "$path" || exit
			[ "$mtime" = preserve ] || touch -m -- "$path" || exit
		fi
	fi
	if [ -z "$check" ]; then
		case $atime in [0-9]*) touch -a -t "$atime" -- "$path" || exit ;; esac
		case $mtime in [0-9]*) touch -m -t "$mtime" -- "$path" || exit ;; esac
	fi ;;
link)
	if [ -n "$as" ] && [ -z "$src" ]; then src=$(readlink -- "$path"); fi
	if [ -z "$as$force" ] && [ ! -e "$(target)" ]; then die "the target $(target) does not exist; force: true makes the link all the same"; fi
	if [ -d "$path" ] && [ $is = directory ] && [ -z "$force" ]; then die "$path is a folder already; force: true replaces it, if it is empty"; fi
	if [ $is != link ] || [ "$(readlink -- "$path")" != "$src" ]; then
		if [ $is != absent ] && [ $is != link ] && [ -z "$force" ]; then die "$path is a $is already; force: true replaces it"; fi
		if ! dry; then
			if [ $is = directory ]; then rmdir -- "$path" || exit; is=absent; fi
			clear_way
			ln -s -- "$src" "$path" || exit
		fi
	fi
	[ -n "$as" ] || mode= ;;
hard)
	src=$(untilde "$src")
	[ -e "$src" ] || die "the source $src does not exist"
	if ! [ "$src" -ef "$path" ]; then
		if [ $is != absent ] && [ -z "$force" ]; then die "$path is a $is already; force: true replaces it"; fi
		if ! dry; then clear_way; ln -- "$src" "$path" || exit; fi
	fi ;;
*)
	[ $is != absent ] || die "$path is absent; state: touch makes a file, state: directory a folder"
	if [ -n "$follow" ] && [ -f "$path" ]; then is=file; fi
	if [ "$state" = file ] && [ $is != file ] && [ $is != other ]; then die "$path is a $is, no file"; fi ;;
esac
at=$path
if [ -n "$follow" ] && [ -L "$path" ] && [ -e "$path" ] && [ $state$as != link ]; then at=$(readlink -f -- "$path"); fi
if [ -e "$at" ] || [ -L "$at" ]; then attrs "$at"; fi
if [ -n "$as" ]; then at=$path; fi
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
	r, err := run(ctx, t, fileScript, map[string]string{
		"path": m.Path, "state": m.State, "src": m.Src, "mode": mode, "owner": m.Owner, "group": m.Group,
		"recurse": flag(m.Recurse), "force": flag(m.Force), "follow": flag(m.Follow), "check": flag(t.Check),
		"atime": m.AccessTime, "mtime": m.ModifyTime, "as": "", "farm_t": "",
	})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		res := r.failure("")
		res.Values.Set("path", m.Path)
		return res, nil
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
	case r.has("src") && m.State == "" && m.Src == "" && !m.Follow: // none was asked for
		d.Set("src", nil)
	case r.has("src"):
		d.Set("src", text(r.get("src")))
	}
	diff := attrsDiff(r, text(r.get("path")))
	if was := r.get("was"); r.is("changed") && m.State != "" && m.State != was && m.State != "hard" && (m.State != "touch" || was == "absent") {
		diff.note("state", was, m.State)
	}
	return engine.Result{Changed: r.is("changed"), Values: fileValues(r, d), Diff: diff.value("")}, nil
}
