package modules

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
	"farm/engine/enginetest"
	"farm/inventory/value"
)

// rooted runs scripts in a folder that is their root.
type rooted struct {
	engine.Conn
	dir string
}

func (c rooted) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	argv := []string{"chroot", c.dir, "/bin/sh", "-c", "PATH=/bin\n" + cmd.Functions + "\n" + cmd.Script}
	return c.Conn.Exec(ctx, engine.Cmd{Argv: argv, Env: cmd.Env, Keep: cmd.Keep})
}

// system is a root without /proc and /sys, with a shell and programs that say what those of another system do.
func (b *bench) system(programs map[string]string) {
	b.Helper()
	enginetest.NeedRoot(b.T, "only root can change the root folder")
	enginetest.Need(b.T, "dash", "busybox", "chroot")
	root := b.dir + "/root"
	copyProgram(b.T, "dash", root+"/bin/sh", root) // busybox's own prefers its own programs
	copyProgram(b.T, "busybox", root+"/bin/busybox", root)
	for _, name := range []string{"grep", "date", "env", "hostname", "head", "tr", "cat", "id"} {
		if err := os.Symlink("busybox", root+"/bin/"+name); err != nil {
			b.Fatal(err)
		}
	}
	for name, says := range programs {
		dir := "bin"
		if name == "sysctl" || name == "ifconfig" || name == "route" {
			dir = "sbin"
		}
		b.write("root/"+dir+"/"+name, "#!/bin/sh\n"+says)
		os.Chmod(root+"/"+dir+"/"+name, 0o755)
	}
	os.MkdirAll(root+"/etc", 0o755)
	os.MkdirAll(root+"/dev", 0o755)
	os.WriteFile(root+"/dev/null", nil, 0o666)
	b.write("root/etc/passwd", "root:*:0:0:Charlie &:/root:/bin/sh\n")
	b.task.Conn = rooted{b.task.Conn, root}
}

// copyProgram puts a program below root, with the libraries that it needs.
func copyProgram(t *testing.T, name, to, root string) {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	put := func(from, to string) {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(program, to)
	libraries, _ := exec.Command("ldd", program).Output() // fails where there are none
	for _, word := range strings.Fields(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			put(word, root+word)
		}
	}
}

const freeBSDIfconfig = `vtnet0: flags=1008843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
	options=c00b8<VLAN_MTU,VLAN_HWTAGGING,JUMBO_MTU,VLAN_HWCSUM,VLAN_HWTSO,LINKSTATE>
	ether 52:54:00:12:34:56
	inet 10.0.2.15 netmask 0xffffff00 broadcast 10.0.2.255
	inet6 fe80::5054:ff:fe12:3456%vtnet0 prefixlen 64 scopeid 0x1
	media: Ethernet autoselect (10Gbase-T <full-duplex>)
	status: active
lo0: flags=1008049<UP,LOOPBACK,RUNNING,MULTICAST,LOWER_UP> metric 0 mtu 16384
	inet6 ::1 prefixlen 128
	inet6 fe80::1%lo0 prefixlen 64 scopeid 0x2
	inet 127.0.0.1 netmask 0xff000000
`

const openBSDIfconfig = `lo0: flags=2008049<UP,LOOPBACK,RUNNING,MULTICAST,LRO> mtu 32768
	index 3 priority 0 llprio 3
	groups: lo
	inet 127.0.0.1 netmask 0xff000000
vio0: flags=808843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,AUTOCONF4> mtu 1500
	lladdr 52:54:00:12:34:56
	media: Ethernet autoselect
	status: active
	inet 10.0.2.15 netmask 0xffffff00 broadcast 10.0.2.255
`

func onArgs(pairs ...string) string {
	var b strings.Builder
	b.WriteString("case \"$*\" in\n")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "'%s') cat <<'END'\n%s\nEND\n;;\n", pairs[i], strings.TrimSuffix(pairs[i+1], "\n"))
	}
	return b.String() + "*) echo unknown >&2; exit 1 ;;\nesac\n"
}

func (b *bench) facts(want map[string]string) {
	b.Helper()
	f := b.check("setup", "{}", "ok").Facts
	for path, want := range want {
		if got := fmt.Sprint(fact(b.T, f, "ansible_"+path)); got != want {
			b.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

func TestFactsOfFreeBSD(t *testing.T) {
	b := newBench(t)
	b.system(map[string]string{
		"uname": onArgs("-snrm", "FreeBSD vm.example 14.1-RELEASE-p5 amd64", "-v", "FreeBSD 14.1-RELEASE-p5 GENERIC"),
		"sysctl": onArgs("-n hw.physmem", "2122006528", "-n hw.ncpu", "2", "-n hw.model", "QEMU Virtual CPU version 2.5+",
			"-n vm.stats.vm.v_page_size vm.stats.vm.v_page_count vm.stats.vm.v_free_count", "4096\n503316\n400000",
			"-n kern.boottime", "{ sec = 1700000000, usec = 123456 } Tue Nov 14 22:13:20 2023", "-n kern.vm_guest", "kvm", "-n security.jail.jailed", "0"),
		"swapinfo": onArgs("-k", "Device          1K-blocks     Used    Avail Capacity\n/dev/vtbd0p3      1048576    24576  1024000     2%"),
		"mount":    onArgs("", "/dev/vtbd0p4 on / (ufs, local, journaled soft-updates)\ndevfs on /dev (devfs)\n/dev/vtbd0p1 on /boot/efi (msdosfs, local)"),
		"df":       onArgs("-kP", "Filesystem   1024-blocks    Used    Avail Capacity  Mounted on\n/dev/vtbd0p4     5061628 1500000  3156700    32%    /"),
		"ifconfig": onArgs("-a", freeBSDIfconfig), "pkg": "",
		"route":   onArgs("-n get 8.8.8.8", "   route to: 8.8.8.8\ndestination: 0.0.0.0\n    gateway: 10.0.2.2\n        fib: 0\n  interface: vtnet0\n      flags: <UP,GATEWAY,DONE,STATIC>"),
		"getconf": onArgs("LONG_BIT", "64", "_NPROCESSORS_ONLN", "2"),
	})
	b.write("root/etc/os-release", "NAME=FreeBSD\nVERSION=\"14.1-RELEASE-p5\"\nVERSION_ID=\"14.1\"\nID=freebsd\n")
	b.facts(map[string]string{
		"system": "FreeBSD", "distribution": "FreeBSD", "distribution_version": "14.1", "distribution_major_version": "14", "distribution_release": "14.1-RELEASE-p5",
		"os_family": "FreeBSD", "architecture": "amd64", "machine": "amd64", "kernel": "14.1-RELEASE-p5", "nodename": "vm.example", "hostname": "vm", "pkg_mgr": "pkgng",
		"service_mgr": "bsdinit", "memtotal_mb": "1966", "memfree_mb": "1562", "swaptotal_mb": "1024", "swapfree_mb": "1000", "processor": "[QEMU Virtual CPU version 2.5+]",
		"processor_vcpus": "2", "interfaces": "[vtnet0 lo0]", "vtnet0.macaddress": "52:54:00:12:34:56", "vtnet0.type": "ether", "lo0.type": "loopback",
		"default_ipv4.address": "10.0.2.15", "default_ipv4.gateway": "10.0.2.2", "default_ipv4.network": "10.0.2.0", "default_ipv4.netmask": "255.255.255.0",
		"default_ipv4.interface": "vtnet0", "default_ipv4.broadcast": "10.0.2.255", "default_ipv4.mtu": "1500", "all_ipv4_addresses": "[10.0.2.15]",
		"all_ipv6_addresses": "[fe80::5054:ff:fe12:3456%vtnet0]", "virtualization_type": "kvm", "virtualization_role": "guest", "user_dir": "/root",
	})
	f := b.check("setup", "{}", "ok").Facts
	if mounts := value.Text(fact(t, f, "ansible_mounts")); !strings.Contains(mounts, "journaled_soft-updates") || !strings.Contains(mounts, "msdosfs") || strings.Contains(mounts, "devfs") {
		t.Errorf("mounts: %s", mounts)
	}
	if up := fact(t, f, "ansible_uptime_seconds").(int64); up < 1 {
		t.Errorf("up for %d s", up)
	}
}

func TestFactsOfOpenBSD(t *testing.T) {
	b := newBench(t)
	b.system(map[string]string{
		"uname": onArgs("-snrm", "OpenBSD vm.example 7.5 amd64", "-v", "GENERIC.MP#82", "-p", "amd64"),
		"sysctl": onArgs("-n hw.physmem", "1056817152", "-n hw.ncpu", "1", "-n hw.model", "QEMU Virtual CPU", "-n kern.boottime", "1700000000",
			"-n kern.version", "OpenBSD 7.5-current (GENERIC.MP) #82: Mon Mar 18 10:00:00 MDT 2024", "-n hw.vendor", "QEMU", "-n hw.product", "Standard PC"),
		"vmstat":   onArgs("", " procs    memory       page                    disks    traps          cpu\n r   s   avm     fre  flt  re  pi  po  fr  sr sd0  int   sys   cs us sy id\n 1  40   20M    800M  100   0   0   0   0   0   1   10   100   20  0  0 99"),
		"swapctl":  onArgs("-sk", "total: 69268 1K-blocks allocated, 1024 used, 68244 available"),
		"mount":    onArgs("", "/dev/sd0a on / type ffs (local)\n/dev/sd0d on /usr type ffs (local, nodev, wxallowed)"),
		"df":       onArgs("-kP", "Filesystem  1024-blocks       Used   Available Capacity Mounted on\n/dev/sd0a        1000000     200000      750000    22%    /"),
		"ifconfig": onArgs("-a", openBSDIfconfig), "pkg_add": "",
		"route":   onArgs("-n get 8.8.8.8", "   route to: 8.8.8.8\ndestination: default\n    gateway: 10.0.2.2\n  interface: vio0\n if address: 10.0.2.15"),
		"getconf": onArgs("_NPROCESSORS_ONLN", "1"),
	})
	b.facts(map[string]string{
		"system": "OpenBSD", "distribution": "OpenBSD", "distribution_version": "7.5", "distribution_major_version": "7", "distribution_release": "current",
		"os_family": "OpenBSD", "architecture": "amd64", "pkg_mgr": "openbsd_pkg", "service_mgr": "bsdinit", "memtotal_mb": "1007", "memfree_mb": "800",
		"swaptotal_mb": "67", "swapfree_mb": "66", "interfaces": "[lo0 vio0]", "vio0.macaddress": "52:54:00:12:34:56", "default_ipv4.address": "10.0.2.15",
		"default_ipv4.interface": "vio0", "default_ipv4.type": "ether", "virtualization_type": "kvm", "fqdn": "vm.example",
	})
	if mounts := value.Text(fact(t, b.check("setup", "{}", "ok").Facts, "ansible_mounts")); !strings.Contains(mounts, "local,nodev,wxallowed") {
		t.Errorf("mounts: %s", mounts)
	}
}
