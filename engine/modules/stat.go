package modules

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// Stat tells about a file.
type Stat struct {
	Path        string `yaml:"path|dest|name,required"`                // the file; ~ is a home folder
	Follow      bool   `yaml:"follow"`                                 // of a link: tell about its target
	GetChecksum bool   `yaml:"get_checksum"`                           // of a file (the default)
	Algorithm   string `yaml:"checksum_algorithm|checksum|checksum_a"` // sha1 (the default), md5, sha256, ...
	GetMime     bool   `yaml:"get_mime|mime|mime_type|mime-type"`      // the type and charset, where the program file is there
	GetAttrs    bool   `yaml:"get_attributes|attr|attributes"`         // accepted: there are none
}

func newStat() engine.Module {
	return &Stat{GetChecksum: true, Algorithm: "sha1", GetMime: true, GetAttrs: true}
}

// newHash makes the checksums that there are.
var newHash = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// Validate checks the algorithm.
func (m *Stat) Validate() error {
	if newHash[m.Algorithm] != nil {
		return nil
	}
	return fmt.Errorf("checksum_algorithm %q is none of md5, sha1, sha224, sha256, sha384, sha512", m.Algorithm)
}

const statScript = fileFuncs + `
statfile() {
case $path in '~'* | *'$'*) path=$(untilde "$path") ;; esac
say path "$path"
if [ ! -e "$path" ] && [ ! -L "$path" ]; then exit 0; fi
if [ -L "$path" ]; then
	if [ -n "$follow" ]; then
		[ -e "$path" ] || exit 0
	else
		say lnk_target "$(readlink -- "$path")"
		say lnk_source "$(readlink -f -- "$path" 2>/dev/null)"
	fi
fi
[ -z "$follow" ] || follow=-L
` + magicScript + `
printf '\036stat='
stat $follow -c '%f|%a|%u|%g|%s|%i|%d|%h|%b|%o|%X|%Y|%Z|%U|%G|%n' -- "$path" "$@" 2>/dev/null || [ $# -gt 0 ] ||
	stat $follow -f '%Xp|%Mp%Lp|%u|%g|%z|%i|%d|%l|%b|%k|%a|%m|%c|%Su|%Sg|%N' -- "$path"
printf '\0'
for f in r w x; do
	if [ -$f "$path" ]; then say "may_$f" 1; fi
done
if [ -n "$algorithm" ] && [ -f "$path" ] && { [ -n "$follow" ] || [ ! -L "$path" ]; } && [ -r "$path" ]; then
	if has "${algorithm}sum"; then tell checksum "${algorithm}sum" <"$path"
	else
		sumof "$algorithm" "$path"
		say checksum "$farm_s"
	fi
fi
if [ -n "$mime" ] && has file; then tell mime file -bi -- "$path"; fi
exit 0
}
`

// Run asks.
func (m *Stat) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("stat: %v", err), nil
	}
	vars := map[string]string{"path": m.Path, "follow": flag(m.Follow), "algorithm": m.Algorithm, "mime": flag(m.GetMime), "magic": "", "list": ""}
	if !m.GetChecksum {
		vars["algorithm"] = ""
	}
	var kept *keptFile
	if m.GetMime && !m.Follow {
		kept = keepFile(ctx, t, m.Path)
		defer kept.release()
	}
	if kept != nil {
		kept.prepare(vars)
	}
	r, err := m.ask(ctx, t, vars)
	if err != nil {
		return engine.Result{}, err
	}
	switch {
	case !r.ok():
		return r.failure(fmt.Sprintf("stat %q", m.Path)), nil
	case !r.has("stat"):
		return engine.Result{Values: value.NewDict("stat", value.NewDict("exists", false))}, nil
	}
	stat, more := r.get("stat"), ""
	if kept != nil {
		stat, more, _ = strings.Cut(stat, "\n") // the path has none
	}
	p := strings.SplitN(strings.TrimSuffix(stat, "\n"), "|", 16)
	if len(p) != 16 || p[15] != r.get("path") {
		return failed("stat %q: the program stat is missing on this host, or answers strangely: %s", m.Path, r.stderr()), nil
	}
	if err := kept.tell(ctx, t, r, more); err != nil {
		return engine.Result{}, err
	}
	return engine.Result{Values: value.NewDict("stat", statValues(r, p))}, nil
}

// ask asks the program that is kept for it, or runs the script.
func (m *Stat) ask(ctx context.Context, t *engine.Task, vars map[string]string) (reply, error) {
	if vars["list"] == "" {
		vars["most"] = strconv.Itoa(smallFile)
		if r, ok, _ := askResident(ctx, t, "stat", m.Path, vars); ok {
			if b, err := hex.DecodeString(r.get("bytes")); err == nil && r.has("bytes") {
				h := newHash[m.Algorithm]()
				h.Write(b)
				r.said["checksum"] = hex.EncodeToString(h.Sum(nil))
			}
			return r, nil
		}
	}
	return script{Functions: statScript, Text: "statfile", Vars: vars}.run(ctx, t)
}

func statValues(r reply, p []string) *value.Dict {
	raw, _ := strconv.ParseUint(p[0], 16, 32)
	mode, _ := strconv.ParseUint(p[1], 8, 32)
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(p[i], 10, 64)
		return n
	}
	is := func(kind uint64) bool { return raw&0o170000 == kind }
	bit := func(b uint64) bool { return mode&b != 0 }
	d := value.NewDict("exists", true, "path", text(r.get("path")), "mode", fmt.Sprintf("%04o", mode),
		"isdir", is(0o040000), "ischr", is(0o020000), "isblk", is(0o060000), "isreg", is(0o100000),
		"isfifo", is(0o010000), "islnk", is(0o120000), "issock", is(0o140000),
		"uid", number(2), "gid", number(3), "size", number(4), "inode", number(5), "dev", number(6), "nlink", number(7),
		"blocks", number(8), "block_size", number(9),
		"atime", float64(number(10)), "mtime", float64(number(11)), "ctime", float64(number(12)),
		"wusr", bit(0o200), "rusr", bit(0o400), "xusr", bit(0o100), "wgrp", bit(0o020), "rgrp", bit(0o040), "xgrp", bit(0o010),
		"woth", bit(0o002), "roth", bit(0o004), "xoth", bit(0o001), "isuid", bit(0o4000), "isgid", bit(0o2000),
		"readable", r.is("may_r"), "writeable", r.is("may_w"), "executable", r.is("may_x"),
		"pw_name", text(p[13]), "gr_name", text(p[14]))
	if r.has("lnk_target") {
		d.Set("lnk_target", text(r.get("lnk_target")))
		d.Set("lnk_source", text(r.get("lnk_source")))
	}
	if sum := strings.Fields(r.get("checksum")); len(sum) > 0 {
		d.Set("checksum", sum[0]) // of "SUM  -"
	}
	if kind, charset, ok := strings.Cut(r.get("mime"), "; charset="); ok {
		d.Set("mimetype", text(kind))
		d.Set("charset", text(strings.TrimSpace(charset)))
	}
	return d
}
