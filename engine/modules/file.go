package modules

import (
	"context"
	"errors"
	"fmt"

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
	AccessTime string `yaml:"access_time"`             // of touch: now or preserve
	ModifyTime string `yaml:"modification_time"`       // of touch: now or preserve
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
		if at != "" && at != "now" && at != "preserve" {
			return errors.New("access_time and modification_time are now or preserve")
		}
	}
	if m.Recurse && m.State != "directory" {
		return errors.New("recurse goes with state: directory")
	}
	_, err := modeText(m.Mode)
	return err
}

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
fi
dry() { changed=1; [ -n "$check" ]; }
target() {
	case $src in
	/*) printf %s "$src" ;;
	*) case $path in */*) printf '%s/%s' "${path%/*}" "$src" ;; *) printf %s "$src" ;; esac ;;
	esac
}
snapshot() { find "$path" -exec stat -c '%a %u %g %n' {} + 2>/dev/null || find "$path" -exec stat -f '%Mp%Lp %u %g %N' {} +; }
clear_way() {
	[ $is = absent ] && return
	if [ -n "$force" ] || [ $is = link ] && [ $state = link ]; then rm -f -- "$path" || exit; return; fi
	die "$path is a $is already; force: true replaces it"
}
case $state in
absent)
	if [ $is != absent ]; then dry || rm -rf -- "$path" || exit; fi
	say changed "$changed"; say path "$path"; say state absent
	exit ;;
directory)
	if [ -n "$follow" ] && [ -d "$path" ]; then is=directory; fi
	case $is in
	directory) ;;
	absent)
		if dry; then say changed 1; say path "$path"; say state directory; exit; fi
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
	elif [ "$atime$mtime" != preservepreserve ]; then
		changed=1
		if [ -z "$check" ]; then
			if [ "$atime" = preserve ]; then touch -m -- "$path" || exit
			elif [ "$mtime" = preserve ]; then touch -a -- "$path" || exit
			else touch -- "$path" || exit; fi
		fi
	fi ;;
link)
	if [ -d "$path" ] && [ $is = directory ] && [ -z "$force" ]; then die "$path is a folder already; force: true replaces it, if it is empty"; fi
	if [ $is != link ] || [ "$(readlink -- "$path")" != "$src" ]; then
		if [ -z "$force" ] && [ ! -e "$(target)" ]; then die "the target $(target) does not exist; force: true makes the link all the same"; fi
		if [ $is != absent ] && [ $is != link ] && [ -z "$force" ]; then die "$path is a $is already; force: true replaces it"; fi
		if ! dry; then
			if [ $is = directory ]; then rmdir -- "$path" || exit; is=absent; fi
			clear_way
			ln -s -- "$src" "$path" || exit
		fi
	fi
	mode= ;;
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
if [ -n "$follow" ] && [ -L "$path" ] && [ -e "$path" ] && [ $state != link ]; then at=$(readlink -f -- "$path"); fi
if [ -e "$at" ] || [ -L "$at" ]; then attrs "$at"; fi
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
		"atime": m.AccessTime, "mtime": m.ModifyTime,
	})
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		res := r.failure("")
		res.Values.Set("path", m.Path)
		return res, nil
	}
	d := value.NewDict("path", text(r.get("path")), "dest", text(r.get("path")))
	if m.State != "link" && m.State != "hard" && m.State != "touch" {
		d.Delete("dest")
	}
	if r.has("src") {
		d.Set("src", text(r.get("src")))
	}
	diff := attrsDiff(r, text(r.get("path")))
	if was := r.get("was"); r.is("changed") && m.State != "" && m.State != was && m.State != "hard" && (m.State != "touch" || was == "absent") {
		diff.note("state", was, m.State)
	}
	return engine.Result{Changed: r.is("changed"), Values: fileValues(r, d), Diff: diff.value("")}, nil
}
