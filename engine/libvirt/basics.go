package libvirt

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"farm/engine"
)

// basics is what one small script tells of a host.
type basics struct {
	uid          int
	user         string
	home         string
	runtime      string // XDG_RUNTIME_DIR; may be empty
	cache        string // XDG_CACHE_HOME or its default
	helper       string // path of virt-ssh-helper; "" = none
	managed      bool   // systemd runs the daemons
	arch         string // uname -m
	kernel       string // uname -r
	bootID       string
	distribution string // Ansible's name: Debian
	distVersion  string
	vcpus        int
	totalMiB     int
	availableMiB int
	freeMiB      int
	kvm          string // "ok", "none" or "denied": whether /dev/kvm opens
	daemon, logs string // paths of libvirtd (or virtqemud) and virtlogd
}

// daemons may lie where only root's PATH leads.
const basicsScript = `PATH=$PATH:/usr/sbin:/sbin
say() { printf '%s=%s\n' "$1" "$2"; }
say uid "$(id -u)"
say user "$(id -un)"
say home "$HOME"
say runtime "$XDG_RUNTIME_DIR"
say cache "${XDG_CACHE_HOME:-$HOME/.cache}"
say helper "$(command -v virt-ssh-helper)"
say daemon "$(command -v libvirtd || command -v virtqemud)"
say logs "$(command -v virtlogd)"
[ ! -d /run/systemd/system ] || say managed yes
say arch "$(uname -m)"
say kernel "$(uname -r)"
say boot "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
say vcpus "$(nproc 2>/dev/null || grep -c ^processor /proc/cpuinfo)"
while read -r key kib unit; do
	case $key in MemTotal: | MemAvailable: | MemFree:) say "$key" "$kib" ;; esac
done </proc/meminfo
if [ ! -e /dev/kvm ]; then say kvm none
elif ( : <>/dev/kvm ) 2>/dev/null; then say kvm ok
else say kvm denied
fi
if [ -r /etc/os-release ]; then
	. /etc/os-release
	say os "$ID"
	say os_name "$NAME"
	say os_version "$VERSION_ID"
fi
`

func readBasics(ctx context.Context, conn engine.Conn) (basics, error) {
	out, err := conn.Exec(ctx, engine.Cmd{Script: basicsScript, Keep: 64 << 10})
	if err != nil {
		return basics{}, fmt.Errorf("look at the host: %w", err)
	}
	b := parseBasics(string(out.Stdout))
	if b.home == "" || b.arch == "" {
		return b, fmt.Errorf("look at the host: no home folder or architecture in its answer %q", clean(string(out.Stdout)))
	}
	return b, nil
}

func parseBasics(text string) basics {
	v := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		v[key] = value
	}
	num := func(key string) int {
		n, _ := strconv.Atoi(v[key])
		return n
	}
	b := basics{
		uid: -1, user: v["user"], home: v["home"], runtime: v["runtime"], cache: v["cache"],
		helper: v["helper"], daemon: v["daemon"], logs: v["logs"], managed: v["managed"] != "",
		arch: v["arch"], kernel: v["kernel"], bootID: v["boot"], kvm: v["kvm"],
		distribution: distribution(v["os"], v["os_name"]), distVersion: v["os_version"],
		vcpus: num("vcpus"), totalMiB: num("MemTotal:") >> 10,
		availableMiB: num("MemAvailable:") >> 10, freeMiB: num("MemFree:") >> 10,
	}
	if v["uid"] != "" {
		b.uid = num("uid")
	}
	return b
}

// distribution is Ansible's word for an os-release ID.
func distribution(id, name string) string {
	known := map[string]string{
		"debian": "Debian", "ubuntu": "Ubuntu", "fedora": "Fedora", "centos": "CentOS",
		"rhel": "RedHat", "rocky": "Rocky", "almalinux": "AlmaLinux", "arch": "Archlinux",
		"alpine": "Alpine", "opensuse-leap": "openSUSE Leap", "opensuse-tumbleweed": "openSUSE Tumbleweed",
	}
	if n := known[id]; n != "" {
		return n
	}
	word, _, _ := strings.Cut(name, " ")
	return word
}

// sockets lists where the daemon of uri may listen, the likeliest first.
// See libvirt's "Daemon configuration", daemons.html.
func (b basics) sockets(uri string) []string {
	dirs := []string{"/run/libvirt"}
	if u, err := url.Parse(uri); err == nil && u.Path == "/session" && b.uid != 0 {
		dirs = dirs[:0]
		if b.runtime != "" {
			dirs = append(dirs, path.Join(b.runtime, "libvirt"))
		}
		dirs = append(dirs, path.Join(b.cache, "libvirt"))
	}
	var out []string
	for _, d := range dirs {
		out = append(out, path.Join(d, "virtqemud-sock"), path.Join(d, "libvirt-sock"))
	}
	return out
}
