package modules

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// putting is a file that shall have certain content and attributes in the guest.
type putting struct {
	dest     string        // a folder, if name is set, or the file itself
	name     string        // the file's name where dest is a folder; "" = that is an error
	sum      string        // SHA-1 of the content, in hex
	md5      func() string // of the content that was sent, in hex; may be nil
	src      string        // what the result calls its source, where it is written; may be ""
	size     int64
	open     func() (io.ReadCloser, error) // the content; nil with from
	from     string                        // a file of the guest to copy
	mode     string                        // by modeText
	owner    string
	group    string
	flags    string // for chattr; "" = as they are
	validate string // command that must accept the file, %s in it
	backup   bool   // keep the old content beside it
	keep     bool   // leave a file alone that is there already (force: false)
	follow   bool   // write through a link rather than replace it
	unsafe   *bool  // write into the file itself where its folder takes no other; nil = as the host's environment says
	parents  string // mode of folders to be made on the way; "-" = default, "" = none are made
}

// content is a putting's open for bytes in memory; it sets sum and size.
func (p *putting) content(b []byte) {
	h := sha1.Sum(b)
	m := md5.Sum(b)
	p.sum, p.size = hex.EncodeToString(h[:]), int64(len(b))
	p.md5 = func() string { return hex.EncodeToString(m[:]) }
	p.open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

const putScript = fileFuncs + `
putfile() {
changed=
case $dest in '~'* | *'$'*) dest=$(untilde "$dest") ;; esac
case $dest in
*/)
	if [ ! -d "$dest" ] && [ -n "$name" ]; then
		changed=1
		if [ -n "$check" ]; then say changed 1; say path "$dest$name"; exit; fi
		mkdir -p -- "$dest" || exit
	fi ;;
esac
if [ -d "$dest" ]; then
	[ -n "$name" ] || die "can not use content with a dir as dest: $dest is a folder"
	dest=${dest%/}/$name
	[ ! -d "$dest" ] || die "$dest is a folder"
fi
if [ -n "$follow" ] && [ -L "$dest" ]; then dest=$(readlink -f -- "$dest"); fi
case $dest in
*/*) parent=${dest%/*}/ ;;
*) parent=./ dest=./$dest ;;
esac
if [ ! -d "$parent" ]; then
	[ -n "$parents" ] || die "the folder ${parent%/} does not exist"
	changed=1
	if [ -z "$check" ]; then
		mkdir -p -- "$parent" || exit
		if [ "$parents" != - ]; then chmod -- "$parents" "$parent"; fi
	fi
fi
if [ -n "$from" ]; then
	from=$(untilde "$from")
	[ -e "$from" ] || die "the source $from does not exist"
	[ -f "$from" ] || die "the source $from is no file"
	sumof sha1 "$from"
	sum=$farm_s
	if [ "$mode" = preserve ]; then set -- $(meta "$from"); mode=00$1; fi
fi
say sum "$sum"
kindof "$dest"
is=$farm_k
case $is in
other) die "$dest is neither a file nor a folder" ;;
esac
if [ $is != absent ] && [ -n "$keep" ]; then report "$dest"; exit 0; fi
old=
if [ -f "$dest" ]; then
	sumof sha1 "$dest"
	old=$farm_s
fi
if [ "$old" != "$sum" ]; then
	changed=1
	say content 1
	if [ -n "$diff" ] && [ -z "$shown" ] && [ -f "$dest" ]; then
		set -- $(meta "$(readlink -f -- "$dest" || echo "$dest")")
		if [ "${4:-0}" -gt "$diff" ]; then say large 1
		elif tr -d '\000' <"$dest" | cmp -s - "$dest"; then tell before cat -- "$dest"
		else say binary 1; fi
	fi
	if [ -n "$check" ]; then say changed 1; say path "$dest"; say state "$is"; exit 0; fi
	if [ -z "$from$send" ]; then say want 1; exit 0; fi
	base=${dest##*/}
	tmp=$parent.$base.farm-$token
	case $unsafe${ANSIBLE_UNSAFE_WRITES-} in
	env1 | env[Tt]rue | env[Yy]es) unsafe=1 ;;
	env*) unsafe= ;;
	esac
	if [ -n "$unsafe" ] && [ -f "$dest" ] && ! (: >"$tmp") 2>/dev/null; then tmp=$(mktemp "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit; fi
	trap 'rm -f -- "$tmp"' EXIT
	trap 'exit 1' HUP INT TERM
	farm_s=
	bare= # the file is new, with the mode that new files have
	if [ -f "$dest" ]; then
		cp -p -- "$dest" "$tmp" || exit
		[ -w "$tmp" ] || chmod u+w "$tmp"
	elif [ -z "$mode$owner$group" ]; then bare=1
	else (umask 077; : >"$tmp") || exit; fi
	if [ -n "$from" ]; then cat <"$from" >"$tmp" || exit
	elif [ -n "$inline" ]; then content >"$tmp" || exit
	elif has sha1sum; then # sums up what arrives, and a word more where it cannot be written
		set -- $({ tee "$tmp" || echo failed; } | sha1sum)
		farm_s=$1
	else cat >"$tmp" || exit; fi
	if [ -z "$inline" ]; then
		[ -n "$farm_s" ] || sumof sha1 "$tmp"
		[ "$farm_s" = "$sum" ] || die "$dest: the content did not arrive whole"
	fi
	if [ -f "$dest" ]; then set -- $(meta "$(readlink -f -- "$dest" || echo "$dest")"); chmod "00$1" "$tmp"
	elif [ -z "$bare" ]; then
		case $mode in
		'' | *[!0-7]*) chmod =rw "$tmp" ;;
		esac
	fi
	set -- "$farm_flags"
	farm_flags= # they go to the file in its place: one that may not be changed cannot be moved
	attrs "$tmp"
	farm_flags=$1
	if [ -n "$validate" ]; then
		farm_v="'$(printf %s "$tmp" | sed "s/'/'\\\\''/g")'"
		sh -c "${validate%%%s*}$farm_v${validate#*%s}" >&2 </dev/null || die "the check \"$validate\" refuses the file"
	fi
	if [ -n "$backup" ] && [ -f "$dest" ]; then
		cp -p -- "$dest" "$dest$backup" || exit
		say backup "$dest$backup"
	fi
	moved= told=
	if [ -L /dev/fd ] && [ -e /dev/fd/0 ]; then # Linux: what mv moves is looked at meanwhile
		told=1
		printf '\036meta='
		{ stat -L -c '%a %u %g %s %U %G' /dev/fd/3 3<"$tmp" 2>/dev/null >&4 | mv -f -- "$tmp" "$dest" && moved=1; } 4>&1
		printf '\0'
	elif mv -f -- "$tmp" "$dest"; then moved=1; fi
	if [ -n "$moved" ]; then
		trap - EXIT # one program less to start
		if [ -n "$told" ] && [ -z "$farm_flags" ]; then tellplace "$dest"; exit 0; fi
		mode= owner= group= # it has them
	else cat <"$tmp" >"$dest" || exit; fi
fi
attrs "$dest"
report "$dest"
}
`

// smallFile is the longest content that is sent without asking first whether it is needed.
const smallFile = 16 << 10

// put makes the file so. The result has dest, checksum, the file's attributes and
// backup_file; in check mode what would be changed is all there is.
func (p putting) put(ctx context.Context, t *engine.Task) (engine.Result, error) {
	r, res, err := p.putting(ctx, t)
	if err != nil || res.Failed {
		return res, err
	}
	wrote := r.is("content")
	switch {
	case wrote && t.Check:
		res.Values = value.NewDict() // Ansible asks for no more than whether it would change
	case wrote && p.md5 != nil:
		res.Values.Set("md5sum", p.md5())
	case wrote:
	case p.keep && r.has("meta"):
		res.Values = value.NewDict("dest", text(r.get("path")))
	default:
		res.Values.Set("path", text(r.get("path")))
	}
	if p.src != "" && wrote && !t.Check {
		res.Values.Set("src", p.src)
	}
	return res, nil
}

// putting is put with what the scripts said.
func (p putting) putting(ctx context.Context, t *engine.Task) (reply, engine.Result, error) {
	vars := map[string]string{
		"dest": p.dest, "name": p.name, "sum": p.sum, "from": p.from, "mode": p.mode, "owner": p.owner, "group": p.group,
		"validate": p.validate, "keep": flag(p.keep), "follow": flag(p.follow), "check": flag(t.Check), "token": token(),
		"parents": p.parents, "farm_flags": p.flags, "unsafe": "env", "send": "", "inline": "", "backup": "", "diff": "", "shown": "",
	}
	if t.Diff && p.open != nil {
		vars["diff"] = strconv.Itoa(maxDiff)
	}
	if p.unsafe != nil {
		vars["unsafe"] = flag(*p.unsafe)
	}
	if p.backup {
		vars["backup"] = backupSuffix()
	}
	send := p.open != nil && p.size <= smallFile && !t.Check
	r, bad, err := p.try(ctx, t, vars, send)
	if err == nil && bad == nil && r.is("want") {
		before := r.said
		vars["shown"] = "1"
		r, bad, err = p.try(ctx, t, vars, true)
		for _, k := range []string{"before", "large", "binary"} {
			if v, ok := before[k]; ok && r.said != nil {
				r.said[k] = v
			}
		}
	}
	if err != nil {
		return r, engine.Result{}, err
	}
	if bad != nil {
		return r, *bad, nil
	}
	if !r.ok() {
		return r, r.failure(fmt.Sprintf("write %q", p.dest)), nil
	}
	if r.has("meta") && r.get("meta") == "" { // mv was quicker
		again, err := run(ctx, t, fileFuncs+`tellmeta "$dest"`, map[string]string{"dest": r.get("path")})
		if err != nil {
			return r, engine.Result{}, err
		}
		r.said["meta"] = again.get("meta")
	}
	if m := strings.Fields(r.get("meta")); r.is("changed") && vars["inline"] != "" && len(m) >= 6 && m[3] != strconv.FormatInt(p.size, 10) {
		return r, failed("write %q: the file has %s bytes, not %d", p.dest, m[3], p.size), nil
	}
	d := value.NewDict("dest", text(r.get("path")), "checksum", r.get("sum"))
	if b := r.get("backup"); b != "" {
		d.Set("backup_file", text(b))
	}
	res := engine.Result{Changed: r.is("changed"), Values: fileValues(r, d)}
	if t.Diff && res.Changed {
		res.Diff = p.diff(r)
	}
	return r, res, nil
}

func (p putting) try(ctx context.Context, t *engine.Task, vars map[string]string, send bool) (reply, *engine.Result, error) {
	s := script{Functions: putScript, Text: "putfile", Vars: vars}
	if send {
		vars["send"] = "1"
		src, err := p.open()
		if err != nil {
			res := failed("%v", err)
			return reply{}, &res, nil
		}
		defer src.Close()
		s.Stdin = src
		if p.size <= smallFile {
			b, err := io.ReadAll(io.LimitReader(src, p.size+1))
			if err != nil {
				res := failed("%v", err)
				return reply{}, &res, nil
			}
			vars["inline"] = "1"
			s.Text, s.Stdin = contentFunc(b)+"putfile", nil
			if p.plain(t) {
				return p.ask(ctx, t, s, b)
			}
		}
	}
	r, err := s.run(ctx, t)
	return r, nil, err
}

// plain reports whether the program that is kept for it can write the file.
func (p putting) plain(t *engine.Task) bool {
	return !t.Check && !t.Diff && p.validate == "" && !p.backup && !p.keep && p.flags == "" && !strings.HasSuffix(p.dest, "/")
}

// ask has the program that is kept for it write content, or runs s.
func (p putting) ask(ctx context.Context, t *engine.Task, s script, content []byte) (reply, *engine.Result, error) {
	vars := map[string]string{"content": string(content)}
	for _, k := range []string{"dest", "mode", "owner", "group", "sum", "token"} {
		vars[k] = s.Vars[k]
	}
	r, ok, _ := askResident(ctx, t, "look", p.dest, vars)
	lost := false
	if ok && r.is("absent") {
		r, ok, lost = askResident(ctx, t, "put", p.dest, vars)
	}
	if ok {
		return r, nil, nil
	}
	r, err := s.run(ctx, t)
	if lost && err == nil && r.ok() {
		r.said["changed"], r.said["content"] = "1", "1" // it was not there before
	}
	return r, nil, err
}

// token is part of the name of a temporary file.
func token() string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// backupSuffix is what a backup's name ends with, as Ansible has it but for the process id.
func backupSuffix() string {
	return "." + token()[:6] + time.Now().Format(".2006-01-02@15:04:05") + "~"
}

// contentFunc is the shell function content, which prints b: small content goes along with
// the script, and no program need be started to write it. Only letters, digits and what
// means nothing to a shell stand for themselves.
func contentFunc(b []byte) string {
	var f strings.Builder
	f.WriteString("content() { printf '")
	for i, c := range b {
		switch {
		case i == 0 && c == '-': // no option
			f.WriteString("\\055")
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(" \n._,:;=+-/()[]{}#", c) >= 0:
			f.WriteByte(c)
		default:
			fmt.Fprintf(&f, "\\%03o", c)
		}
	}
	f.WriteString("'; }\n")
	return f.String()
}
