package modules

import (
	"os"
	"testing"
)

// fakeMount mounts in a file of what mount prints without /proc; DIR's paths stand for mount points.
var fakeMount = map[string]string{
	"uname": "echo ${SYSTEM:-Linux}",
	"mount": `[ $# -gt 0 ] || { cat mounted 2>/dev/null; exit 0; }
[ ! -e broken ] || { echo "mount: wrong fs type" >&2; exit 32; }
file= remount= src=
while [ $# -gt 1 ]; do case $1 in
-T | -F) file=$2; shift 2 ;; -o) case $2 in remount*) remount=1 ;; esac; shift 2 ;; -t) shift 2 ;; -u) remount=1; shift ;; *) src=$1; shift ;;
esac; done
[ -n "$src" ] || src=$(awk -v p="$1" '$2 == p { print $1 }' "$file")
if [ -n "$remount" ]; then [ ! -e stuck ] || { echo "mount: busy" >&2; exit 32; }; else echo "$src on $1 type x (rw)" >>mounted; fi`,
	"umount": `grep -v " on $1 " mounted >m2; mv m2 mounted`,
}

func newMounts(t *testing.T) *system {
	s := newSystem(t, fakeMount)
	s.keep("mounted", "")
	return s
}

func TestMountLinesOfFstab(t *testing.T) {
	for _, c := range []struct{ before, args, after string }{
		{"# c\n\n/dev/a / ext4 defaults 0 1", "{path: /m, src: /dev/b, fstype: xfs, state: present}", "# c\n\n/dev/a / ext4 defaults 0 1\n/dev/b /m xfs defaults 0 0\n"},
		{"/dev/a\t/m  ext4 ro\n# x\n", "{path: /m/, src: /dev/a, fstype: ext4, opts: rw, passno: 2, state: present}", "/dev/a /m ext4 rw 0 2\n# x\n"},
		{"", `{path: /m n, src: 'a\b&c', fstype: ext4, opts: ro, boot: no, dump: 1, state: present}`, "a\\134b\\046c /m\\040n ext4 ro,noauto 1 0\n"},
		{"/dev/a none swap sw 0 0\n", "{path: none, src: /dev/b, fstype: swap, opts: sw, state: present}", "/dev/a none swap sw 0 0\n/dev/b none swap sw 0 0\n"},
		{"/dev/a none swap sw\n/dev/b none swap sw 0 0\n", "{path: none, src: /dev/a, state: absent_from_fstab}", "/dev/b none swap sw 0 0\n"},
		{"a b\n/dev/a /m ext4 ro 0 0\n#/dev/a /m ext4 ro 0 0\n/x /m ext4 ro 0 0", "{path: /m, state: absent_from_fstab}", "a b\n#/dev/a /m ext4 ro 0 0\n"},
	} {
		s := newMounts(t)
		s.write("fstab", c.before)
		os.Chmod(s.dir+"/fstab", 0o600)
		s.cycle("mount", "{fstab: DIR/fstab, "+trimBraces(c.args)+"}")
		s.holds("fstab", c.after, 0o600)
	}
	s := newMounts(t)
	s.cycle("mount", "{path: /m, src: /dev/b, fstype: xfs, state: present, fstab: DIR/new/fstab}")
	s.holds("new/fstab", "/dev/b /m xfs defaults 0 0\n", 0o644)
	s.check("mount", "{path: /m, state: absent_from_fstab, fstab: DIR/none}", "ok")
}

func TestMountIsMounted(t *testing.T) {
	s := newMounts(t)
	s.write("fstab", "# mine\n")
	r := s.cycle("mount", "{path: DIR/a/b, src: tmpfs, fstype: tmpfs, state: mounted, fstab: DIR/fstab}")
	s.values(r, "opts", "defaults", "boot", "yes", "backup_file", "", "src", "tmpfs")
	s.kept("mounted", "tmpfs on "+s.dir+"/a/b type x (rw)")
	s.called("mount -", "mount -T "+s.dir+"/fstab "+s.dir+"/a/b")
	s.check("mount", "{path: DIR/a/b, src: tmpfs, fstype: tmpfs, opts: ro, state: mounted, fstab: DIR/fstab}", "changed")
	s.called("mount -", "mount -T "+s.dir+"/fstab -o remount "+s.dir+"/a/b")
	s.keep("stuck", "")
	s.check("mount", "{path: DIR/a/b, state: remounted, fstab: DIR/fstab}", "changed")
	s.called("umount", "umount "+s.dir+"/a/b")
	s.fails("mount", "{path: DIR/a/b, state: remounted, opts: rw, fstab: DIR/fstab}", 1, "then mounted")
	s.cycle("mount", "{path: DIR/a/b, state: unmounted, fstab: DIR/fstab}")
	s.only("a", "b")
	s.check("mount", "{path: DIR/a/b, src: tmpfs, fstype: tmpfs, opts: ro, state: mounted, fstab: DIR/fstab}", "changed")
	s.cycle("mount", "{path: DIR/a/b, state: absent, fstab: DIR/fstab}")
	s.kept("mounted", "")
	s.only("a")
	s.holds("fstab", "# mine\n", 0)
}

func TestMountThatFailsLeavesNothing(t *testing.T) {
	s := newMounts(t)
	s.write("fstab", "# mine\n")
	s.keep("broken", "")
	s.fails("mount", "{path: DIR/a/b, src: tmpfs, fstype: tmpfs, state: mounted, fstab: DIR/fstab}", 1, "wrong fs type")
	s.holds("fstab", "# mine\n", 0)
	s.only("", "fstab")
}

func TestMountWithoutALine(t *testing.T) {
	s := newMounts(t)
	args := "{path: DIR/a, src: tmpfs, fstype: tmpfs, opts: size=1m, state: ephemeral}"
	s.dry("mount", args, "changed")
	s.only("")
	s.check("mount", args, "changed")
	s.called("mount -", "mount -t tmpfs -o size=1m tmpfs "+s.dir+"/a")
	s.check("mount", args, "changed")
	s.fails("mount", "{path: DIR/a, src: other, fstype: tmpfs, state: ephemeral}", 0, "mounted on")
	s.task.Env["SYSTEM"] = "OpenBSD"
	s.fails("mount", "{path: DIR/b, src: x, fstype: ffs, state: mounted, fstab: DIR/fstab}", 1, "OpenBSD")
}

func TestMountRefuses(t *testing.T) {
	s := newMounts(t)
	for args, part := range map[string]string{
		"{path: m, state: absent}":                           "no absolute path",
		"{path: /m, state: present, src: x}":                 "needs src and fstype",
		"{path: none, state: mounted, src: x, fstype: swap}": "in fstab only",
		"{path: /m, state: gone}":                            "state",
		"{path: /m, state: absent, fstab: x}":                "fstab",
		`{path: /m, state: present, src: "a\nb", fstype: x}`: "one line",
	} {
		s.fails("mount", args, 0, part)
	}
}

func TestMountedOnReadsTheKernelsList(t *testing.T) {
	r := reply{said: map[string]string{"mountinfo": `22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /tmp/a\040b rw - tmpfs tmp rw
31 22 8:1 /srv/x /mnt/bind rw shared:1 master:2 - ext4 /dev/sda1 rw
32 22 8:2 / /mnt/two rw - xfs /dev/sdb rw
33 32 8:2 /deep /mnt/two/b rw - xfs /dev/sdb rw
`}}
	for path, want := range map[string]string{"/": "/dev/sda1", "/tmp/a b": "tmp", "/mnt/bind": "/srv/x", "/mnt/two": "/dev/sdb", "/mnt/two/b": "/mnt/two/deep", "/tmp": ""} {
		if src, is := mountedOn(r, path); src != want || is != (want != "") {
			t.Errorf("%s: %q %v, want %q", path, src, is, want)
		}
	}
}
