package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// mountModule manages the lines of fstab, and mounts and unmounts what they name.
type mountModule struct {
	// The mount point, an absolute path; none for swap.
	Path string `yaml:"path|name,required"`
	// Device, UUID=..., server:/path, or the folder for a bind mount.
	Src string `yaml:"src"`
	// Type of the filesystem.
	Fstype string `yaml:"fstype"`
	// Options, separated by commas; default "defaults", on FreeBSD "rw".
	Opts string `yaml:"opts"`
	// Fifth field of the line: whether dump saves it.
	Dump string `yaml:"dump"`
	// Sixth field: the order of the checks at boot.
	Passno string `yaml:"passno"`
	// present: in fstab; mounted: and mounted too; unmounted; absent: neither, and the folder is removed; absent_from_fstab;
	// remounted: mounted anew, with opts if they are given; ephemeral: mounted without a line.
	State string `yaml:"state,required"`
	// Another file than /etc/fstab.
	Fstab string `yaml:"fstab"`
	// false adds noauto to opts.
	Boot bool `yaml:"boot"`
	// Keep the old fstab beside it.
	Backup bool `yaml:"backup"`

	root string // before /proc; "" but for tests
}

func newMount() engine.Module { return &mountModule{Dump: "0", Passno: "0", Boot: true} }

// What is mounted on the path is found in the kernel's list; the last entry is on top.
const mountLookScript = `say system "$(uname -s)"
say real "$(readlink -f -- "$path" 2>/dev/null)"
if [ -d "$path" ]; then say folder 1; fi
if [ -r "$root/proc/self/mountinfo" ]; then tell mountinfo cat "$root/proc/self/mountinfo"; else tell mounts mount; fi
if [ -e "$fstab" ]; then
	say there 1
	cat <"$fstab" || exit
fi
exit 0
`

// The folders that were made are removed again where mounting fails.
const mountScript = `made=
folders() { # makes a folder and notes which ones are new
	[ ! -d "$1" ] || return 0
	case $1 in */*) folders "${1%/*}" || return ;; esac
	[ -z "$1" ] || { mkdir "$1" && made="$1
$made"; }
}
undo() {
	printf '%s' "$made" | while IFS= read -r d; do rmdir "$d"; done
	exit 1
}
domount() {
	if [ -n "$ephemeral" ]; then
		if [ "$opts" = defaults ]; then mount -t "$fstype" "$src" "$path"; else mount -t "$fstype" -o "$opts" "$src" "$path"; fi
	elif [ "$fstab" = /etc/fstab ]; then mount "$path"
	else
		case $system in
		OpenBSD) die "mount has no option for another fstab on OpenBSD" ;;
		*BSD) mount -F "$fstab" "$path" ;;
		*) mount -T "$fstab" "$path" ;;
		esac
	fi
}
remount() {
	case $system in
	*BSD) mount -u ${set_opts:+-o "$opts"} "$path" ;;
	*)
		if [ -n "$ephemeral" ]; then mount -o remount -t "$fstype" "$src" "$path"
		elif [ "$fstab" = /etc/fstab ]; then mount -o "remount${set_opts:+,$opts}" "$path"
		else mount -T "$fstab" -o "remount${set_opts:+,$opts}" "$path"; fi ;;
	esac
}
need mount umount
case $do in
mount) folders "$path" >&2 && domount >&2 || undo ;;
remount)
	if ! remount >&2; then
		[ -z "$set_opts" ] || die "mounting anew with the options $opts fails; use unmounted, and then mounted with all options"
		umount "$path" >&2 && domount >&2
	fi ;;
umount) umount "$path" >&2 ;;
esac || exit
if [ -n "$rmdir" ] && [ -d "$path" ]; then rmdir "$path" || exit; fi
exit 0
`

// Validate checks what goes together.
func (m *mountModule) Validate() error {
	needs := m.State == "present" || m.State == "mounted" || m.State == "ephemeral"
	switch {
	case m.Path == "none" || m.Path == "swap":
		if needs && m.State != "present" {
			return fmt.Errorf("path: %q can be in fstab only: state: present", m.Path)
		}
	case !strings.HasPrefix(m.Path, "/"):
		return fmt.Errorf("path: %q is no absolute path", m.Path)
	}
	switch {
	case needs && (m.Src == "" || m.Fstype == ""):
		return fmt.Errorf("state %s needs src and fstype", m.State)
	case m.Fstab != "" && !strings.HasPrefix(m.Fstab, "/"):
		return fmt.Errorf("fstab: %q is no absolute path", m.Fstab)
	case strings.ContainsAny(m.Path+m.Src+m.Fstype+m.Opts+m.Dump+m.Passno, "\n\t"), strings.ContainsAny(m.Fstype+m.Dump+m.Passno, " "):
		return errors.New("a field of fstab is one line without tabs; type, dump and passno are one word")
	}
	return oneOf("state", m.State, "present", "absent", "mounted", "unmounted", "remounted", "ephemeral", "absent_from_fstab")
}

// Run edits fstab and mounts.
func (m *mountModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("mount: %v", err), nil
	}
	if len(m.Path) > 1 {
		m.Path = strings.TrimRight(m.Path, "/")
	}
	fstab := m.Fstab
	if fstab == "" {
		fstab = "/etc/fstab"
	}
	r, err := script{Text: mountLookScript, Keep: 8 << 20, Vars: map[string]string{"path": m.Path, "fstab": fstab, "root": m.root}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		r.Stdout = nil
		return r.failure("mount"), nil
	}
	system := r.get("system")
	setOpts := m.Opts != ""
	boot := m.options(t, system)
	old := string(r.Stdout)
	now := old
	switch m.State {
	case "present", "mounted":
		now = m.setLine(old)
	case "absent", "absent_from_fstab":
		now = m.dropLine(old)
	}
	res := engine.Result{Changed: now != old, Values: value.NewDict("name", m.Path, "opts", m.Opts, "dump", m.Dump, "passno", m.Passno,
		"fstab", fstab, "boot", boot, "backup_file", "")}
	if m.Src != "" {
		res.Values.Set("src", m.Src)
	}
	if m.Fstype != "" {
		res.Values.Set("fstype", m.Fstype)
	}
	src, mounted := mountedOn(r, m.Path)
	do, bad := m.what(src, mounted, now != old)
	if bad != "" {
		return failed("mount: %s", bad), nil
	}
	res.Changed = res.Changed || do != ""
	if res.Changed && t.Diff && now != old {
		res.Diff = textDiff(fstab, old, fstab, now)
	}
	if !res.Changed || t.Check {
		return res, nil
	}
	if now != old {
		bad, err := m.write(ctx, t, fstab, now, r.is("there") && m.Backup)
		if err != nil || bad.Failed {
			return bad, err
		}
		if b, ok := bad.Values.Get("backup_file"); ok {
			res.Values.Set("backup_file", b)
		}
	}
	if do == "" && m.State != "absent" {
		return res, nil
	}
	r, err = run(ctx, t, mountScript, map[string]string{"do": do, "path": m.Path, "src": m.Src, "fstype": m.Fstype, "opts": m.Opts, "fstab": fstab,
		"system": system, "ephemeral": flag(m.State == "ephemeral"), "set_opts": flag(m.State == "remounted" && setOpts), "rmdir": flag(m.State == "absent")})
	if err != nil {
		return engine.Result{}, err
	}
	if r.ok() {
		return res, nil
	}
	if now != old && m.State == "mounted" {
		if bad, err := m.write(ctx, t, fstab, old, false); err != nil || bad.Failed {
			return bad, err
		}
	}
	return r.failure(fmt.Sprintf("%s %q", either(do == "", "remove", do), m.Path)), nil
}

// options completes opts and says whether it is mounted at boot: yes or no.
func (m *mountModule) options(t *engine.Task, system string) string {
	if m.Opts == "" {
		m.Opts = either(system == "FreeBSD", "rw", "defaults")
	}
	m.Dump, m.Passno = either(m.Dump == "", "0", m.Dump), either(m.Passno == "", "0", m.Passno)
	list := strings.Split(m.Opts, ",")
	switch {
	case m.Boot:
		return "yes"
	case slices.Contains(list, "noauto"):
		return "yes"
	case slices.Contains(list, "defaults"):
		warn(t, "boot: no changes nothing where opts has defaults; write noauto into opts")
	default:
		m.Opts += ",noauto"
	}
	return "no"
}

// what is to be done beside fstab: mount, remount, umount or "".
func (m *mountModule) what(src string, mounted, edited bool) (do, bad string) {
	switch m.State {
	case "mounted":
		if !mounted {
			return "mount", ""
		}
		if edited {
			return "remount", ""
		}
	case "ephemeral":
		if mounted && src != m.Src {
			return "", fmt.Sprintf("%q is mounted on %q already; unmount it first, or take another path", src, m.Path)
		}
		return either(mounted, "remount", "mount"), ""
	case "remounted":
		return "remount", ""
	case "unmounted":
		if mounted {
			return "umount", ""
		}
	case "absent":
		if mounted && edited {
			return "umount", ""
		}
	}
	return "", ""
}

func (m *mountModule) write(ctx context.Context, t *engine.Task, fstab, text string, backup bool) (engine.Result, error) {
	quiet := *t
	quiet.Diff = false // it is known here
	p := putting{dest: fstab, follow: true, parents: "-", backup: backup}
	p.content([]byte(text))
	return p.put(ctx, &quiet)
}

// escapeFstab writes a field as fstab(5) has it.
var escapeFstab = strings.NewReplacer(`\`, `\134`, " ", `\040`, "&", `\046`)

// fields of a line of fstab: source, path, type, options, and two numbers that may be left out; nil = it is none.
func fstabFields(line string) []string {
	f := strings.Fields(line)
	if len(f) < 4 || len(f) > 6 || strings.HasPrefix(f[0], "#") {
		return nil
	}
	for len(f) < 6 {
		f = append(f, "0")
	}
	return f
}

// is reports whether the line is about the path. Swap has no path, it is told apart by its source.
func (m *mountModule) is(f []string) bool {
	if f == nil || f[1] != escapeFstab.Replace(m.Path) {
		return false
	}
	return m.Src == "" || f[1] != "none" || f[2] != "swap" || f[0] == escapeFstab.Replace(m.Src)
}

func (m *mountModule) setLine(old string) string {
	want := []string{m.Src, m.Path, m.Fstype, m.Opts, m.Dump, m.Passno}
	for i := range want {
		want[i] = escapeFstab.Replace(want[i])
	}
	line := strings.Join(want, " ") + "\n"
	list, found, changed := splitLines(old), false, false
	for i := range list {
		if !strings.HasSuffix(list[i], "\n") {
			list[i] += "\n"
		}
		if f := fstabFields(list[i]); m.is(f) {
			found = true
			if !slices.Equal(f, want) {
				list[i], changed = line, true
			}
		}
	}
	if !found {
		list, changed = append(list, line), true
	}
	if !changed {
		return old
	}
	return strings.Join(list, "")
}

func (m *mountModule) dropLine(old string) string {
	return strings.Join(slices.DeleteFunc(splitLines(old), func(l string) bool { return m.is(fstabFields(l)) }), "")
}

// mountedOn is what is mounted on the path. For a bind mount it is the folder, as the kernel's list tells it.
func mountedOn(r reply, path string) (src string, mounted bool) {
	if real := r.get("real"); real != "" {
		path = real
	}
	type entry struct{ root, point, source string }
	byID := map[string]entry{}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(r.get("mountinfo")) {
		// ID PARENT DEVICE ROOT POINT OPTIONS... - TYPE SOURCE OPTIONS; see proc(5)
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if len(f) < 6 || dash < 0 || len(f) < dash+3 {
			continue
		}
		e := entry{unescape.Replace(f[3]), unescape.Replace(f[4]), unescape.Replace(f[dash+2])}
		if e.point == path {
			src, mounted = e.source, true
			if parent, ok := byID[f[1]]; ok && e.root != "/" && e.source == parent.source {
				below := strings.TrimPrefix(e.root, strings.TrimSuffix(parent.root, "/"))
				src = strings.TrimSuffix(parent.point, "/") + below
			}
		}
		byID[f[0]] = e
	}
	for line := range strings.Lines(r.get("mounts")) { // SOURCE on POINT ...
		source, rest, ok := strings.Cut(line, " on ")
		if ok && (strings.HasPrefix(rest, path+" type ") || strings.HasPrefix(rest, path+" (")) {
			src, mounted = source, true
		}
	}
	return src, mounted
}
