package images

import (
	"context"
	"maps"
	"path"

	"farm/engine"
)

// workMark is the variable that every process of a work folder has in its environment, also
// those that left its session: by it they are found when the farm that started them was killed.
const workMark = "FARM_WORK"

// dropScript defines shell functions for work folders, which are only called with the folder's
// lock held. `drop FOLDER` ends what still works in a folder, then removes it; it fails, and
// leaves the folder, where something cannot be ended or is mounted there. A process is
// found by the whole value of its mark, so none of another folder or without mark is
// touched, but for the members of a process group that a marked process leads. TERM comes
// first, so that tools undo what they did elsewhere. What they may leave elsewhere all the same, below
// /tmp with a name that begins with farm-, is named in the folder's file `outside` and goes too. `ours FOLDER` fails for one that another
// system, which shares these files and whose locks may not show here, made within a day.
const dropScript = engine.SystemScript + `
patience=100 # fifths of a second
ours() {
	[ ! -s "$1/system" ] || [ "$(cat "$1/system")" = "$system" ] || [ -n "$(find "$1" -prune -mmin +1440)" ]
}
working() { grep -lzxF -e "` + workMark + `=$1" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3; }
leads() {
	read -r stat 2>/dev/null <"/proc/$1/stat" || return
	stat=${stat##*) }; stat=${stat#* * }
	[ "${stat%% *}" = "$1" ]
}
end() {
	tries=0
	while pids=$(working "$1"); [ -n "$pids" ]; do
		tries=$((tries + 1)) how=
		[ $tries -ne 1 ] || how=TERM
		[ $tries -le $patience ] || how=KILL
		[ $tries -le $((patience + 25)) ] || return
		for pid in $pids; do
			[ -n "$how" ] || break
			if leads "$pid"; then kill -$how "-$pid"; else kill -$how "$pid"; fi 2>/dev/null
		done
		sleep 0.2
	done
}
mounted() { case $(cat /proc/self/mountinfo 2>/dev/null) in *" $1/"*) ;; *) return 1 ;; esac; }
outside() {
	[ -r "$1/outside" ] || return 0
	while IFS= read -r o; do
		case $o in */../* | /tmp/farm-*/*) continue ;; /tmp/farm-*) [ -d "$o" ] && [ ! -L "$o" ] || continue ;; *) continue ;; esac
		! mounted "$o" || return
		rm -rf -- "$o" 2>/dev/null || mmdebstrap --unshare-helper rm -rf -- "$o" 2>/dev/null
		[ ! -e "$o" ] || rmdir -- "$o" || return
	done <"$1/outside"
}
drop() {
	ours "$1" && end "$1" && ! mounted "$1" && outside "$1" || return
	chmod -R u+rwX -- "$1" 2>/dev/null
	rm -rf -- "$1"
}
`

// strayScript defines the shell function `strays TMP`, which prints name, process and command of
// this user's processes that carry the mark of a folder below TMP that is gone. The folder is looked
// for after the mark was read, as it is there before anything carries its mark; and also as the
// process sees files, since one in a container has the same names for others. The mark that the
// shell itself inherited is left out: with it would go the farm that asks. No lock is needed to end
// them, as the name of a folder is never used again.
const strayScript = `
strays() {
	grep -lzF -e "` + workMark + `=$1/" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid _; do
		mark=$(tr '\n\000' '?\n' 2>/dev/null <"/proc/$pid/environ" | sed -n 's/^` + workMark + `=//p' | head -n 1)
		name=${mark#"$1"/}
		case $name in "$mark" | "" | .* | *[!0-9A-Za-z.]*) continue ;; esac
		[ -O "/proc/$pid" ] && [ "$mark" != "${` + workMark + `-}" ] || continue
		[ -d "$1" ] && [ ! -e "$mark" ] && [ ! -e "/proc/$pid/root$mark" ] || continue
		comm=; read -r comm 2>/dev/null <"/proc/$pid/comm"
		printf '%s\t%s\t%s\n' "$name" "$pid" "$comm"
	done
}
`

// within is the store as the work in a folder sees it: every command carries the folder's
// mark. It makes layers' files, it neither locks nor waits for room.
func (s *Store) within(dir string) *Store {
	return &Store{conn: working{s.conn, dir}, dir: s.dir, home: s.home}
}

// working is a connection whose commands carry the mark of a work folder.
type working struct {
	engine.Conn
	dir string
}

// Exec runs cmd; see engine.Conn.
func (w working) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	env := map[string]string{workMark: w.dir}
	maps.Copy(env, cmd.Env)
	cmd.Env = env
	if cmd.Script != "" && cmd.Shell == "" && cmd.Functions == "" {
		cmd.Shell = "/bin/sh" // one of its own has the mark in its environment, a forked one only its children
	}
	return w.Conn.Exec(ctx, cmd)
}

// Keep lends a running program, if the connection can; see engine.Keeper.
func (w working) Keep(ctx context.Context, b *engine.Become, argv []string) (engine.Kept, bool) {
	if k, ok := w.Conn.(engine.Keeper); ok {
		return k.Keep(ctx, b, argv)
	}
	return nil, false
}

// drop ends what still works in a work folder and removes it, also after ctx has ended.
func (s *Store) drop(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortly)
	defer cancel()
	_, err := s.sh(ctx, dropScript+`drop "$1"`, dir)
	return err
}

// workOf is where the names of a layer's work folders begin; a dot and something random follow.
func (s *Store) workOf(key string) string { return path.Join(s.dir, "tmp", key) }
