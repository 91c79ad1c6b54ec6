package modules

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"farm/inventory/value"
)

func fact(t *testing.T, d *value.Dict, path string) any {
	t.Helper()
	var v any = d
	for k := range strings.SplitSeq(path, ".") {
		d, ok := v.(*value.Dict)
		if !ok {
			t.Fatalf("%s: %#v", path, v)
		}
		if v, ok = d.Get(k); !ok {
			t.Errorf("there is no fact %s", path)
		}
	}
	return v
}

func TestSetupGathersThisMachine(t *testing.T) {
	b := newBench(t)
	t.Setenv("FARM_MARK", "two\nlines")
	f := b.check("setup", "{}", "ok").Facts
	for _, name := range []string{"architecture", "machine", "distribution", "distribution_version", "os_family", "kernel", "kernel_version",
		"hostname", "nodename", "fqdn", "memtotal_mb", "memfree_mb", "swaptotal_mb", "processor_vcpus", "processor_count", "processor_cores",
		"user_dir", "user_shell", "default_ipv4", "interfaces", "mounts", "pkg_mgr", "service_mgr", "cmdline", "virtualization_type", "date_time"} {
		fact(t, f, "ansible_"+name)
	}
	if got := fact(t, f, "ansible_system"); got != "Linux" {
		t.Errorf("system %v", got)
	}
	if got := fact(t, f, "ansible_user_uid"); got != int64(os.Getuid()) {
		t.Errorf("uid %v", got)
	}
	if got := fact(t, f, "ansible_env.FARM_MARK"); got != "two\nlines" {
		t.Errorf("env %q", got)
	}
	for k := range fact(t, f, "ansible_env").(*value.Dict).All() {
		if strings.HasPrefix(k.(string), "farm_") || k == "min" {
			t.Errorf("the script's own variable %s shows", k)
		}
	}
	if got := fact(t, f, "ansible_memtotal_mb").(int64); got < 32 {
		t.Errorf("memory %d", got)
	}
}

func TestSetupSubsets(t *testing.T) {
	b := newBench(t)
	for args, want := range map[string]string{
		"gather_subset: '!all'":                      "min",
		"gather_subset: ['!all', '!min', 'network']": "network",
		"gather_subset: [hardware]":                  "min hardware",
		"gather_subset: '!network,!virtual'":         "min hardware",
		"gather_subset: ['!all', virtual]":           "min virtual",
		"{}":                                         "min hardware network virtual",
		"filter: ansible_kernel":                     "",
	} {
		f := b.check("setup", args, "ok").Facts
		var got []string
		for _, p := range [][2]string{{"min", "ansible_system"}, {"hardware", "ansible_memtotal_mb"}, {"network", "ansible_interfaces"}, {"virtual", "ansible_virtualization_type"}} {
			if f.Has(p[1]) {
				got = append(got, p[0])
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", args, got, want)
		}
	}
	b.check("setup", "gather_subset: nonsense", "failed")
	if f := b.check("setup", "filter: [kernel, 'distribution*']", "ok").Facts; !f.Has("ansible_kernel") || !f.Has("ansible_distribution_version") || f.Has("ansible_system") {
		t.Errorf("%v", f.Keys())
	}
}

func TestDistributionFacts(t *testing.T) {
	for release, want := range map[string]string{
		"ID=debian\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\n|12.5": "Debian Debian 12.5 12 bookworm Debian",
		"ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_CODENAME=forky|forky/sid":                    "Debian Debian forky/sid forky/sid forky Debian",
		"ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble|trixie/sid":        "Ubuntu Debian 24.04 24 noble Debian",
		"ID=fedora\nVERSION_ID=42\nVERSION=\"42 (Cloud Edition)\"\nVERSION_CODENAME=\"\"|":          "Fedora RedHat 42 42 Cloud Edition RedHat",
		"ID=alpine\nVERSION_ID=3.22.1|":                                        "Alpine Alpine 3.22.1 3 NA Alpine",
		"ID=arch\nNAME=\"Arch Linux\"|":                                        "Archlinux Archlinux NA NA NA Archlinux",
		"ID=\"opensuse-leap\"\nVERSION_ID=\"15.6\"|":                           "openSUSE Leap Suse 15.6 15 6 SUSE",
		"ID=\"centos\"\nNAME=\"CentOS Stream\"\nVERSION_ID=\"9\"|":             "CentOS RedHat 9 9 Stream CentOS",
		"ID=zorin\nNAME='Zorin OS'\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=17|": "Zorin Debian 17 17 NA NA",
	} {
		text, exact, _ := strings.Cut(release, "|")
		f := facts{r: reply{said: map[string]string{"os_release": text, "debian_version": exact}}, d: value.NewDict()}
		f.distribution()
		var got []string
		for _, k := range []string{"distribution", "os_family", "distribution_version", "distribution_major_version", "distribution_release", "distribution_file_variety"} {
			got = append(got, fmt.Sprint(fact(t, f.d, "ansible_"+k)))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

const ipAddr = `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
    inet6 ::1/128 scope host 
2: ens3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff
    inet 10.0.2.15/24 metric 100 brd 10.0.2.255 scope global dynamic ens3
    inet6 fec0::5054:ff:fe12:3456/64 scope site dynamic mngtmpaddr
3: veth-1@if4: <BROADCAST> mtu 1400 qdisc noop
    link/ether 52:54:00:12:34:57 brd ff:ff:ff:ff:ff:ff`

func TestNetworkFacts(t *testing.T) {
	f := facts{r: reply{said: map[string]string{"addr": ipAddr, "route4": "8.8.8.8 via 10.0.2.2 dev ens3 src 10.0.2.15 uid 0"}}, d: value.NewDict()}
	f.network()
	for path, want := range map[string]string{
		"ansible_interfaces": "[lo ens3 veth-1]", "ansible_all_ipv4_addresses": "[10.0.2.15]", "ansible_ens3.ipv4.netmask": "255.255.255.0",
		"ansible_ens3.ipv4.network": "10.0.2.0", "ansible_ens3.macaddress": "52:54:00:12:34:56", "ansible_veth_1.mtu": "1400", "ansible_veth_1.active": "false",
		"ansible_default_ipv4.address": "10.0.2.15", "ansible_default_ipv4.gateway": "10.0.2.2", "ansible_default_ipv4.interface": "ens3",
		"ansible_all_ipv6_addresses": "[fec0::5054:ff:fe12:3456]",
	} {
		if got := fmt.Sprint(fact(t, f.d, path)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

func TestProcessorFacts(t *testing.T) {
	x86 := strings.Repeat("processor\t: 0\nvendor_id\t: I\nmodel name\t: M\nphysical id\t: 0\nsiblings\t: 4\ncpu cores\t: 2\n\n", 4)
	arm := "processor\t: 0\nBogoMIPS\t: 125.00\n\nprocessor\t: 1\n"
	s390 := "vendor_id       : IBM/S390\n# processors    : 2\n"
	for _, c := range []struct{ cpuinfo, nproc, want string }{
		{x86, "4", "1 2 2 4 4"}, {arm, "2", "2 1 1 2 2"}, {s390, "2", "2 1 1 2 2"}, {"", "", "1 1 1 1 1"},
	} {
		f := facts{r: reply{said: map[string]string{"cpuinfo": c.cpuinfo, "nproc": c.nproc}}, d: value.NewDict()}
		f.processor()
		var got []string
		for _, k := range []string{"count", "cores", "threads_per_core", "vcpus", "nproc"} {
			got = append(got, fmt.Sprint(fact(t, f.d, "ansible_processor_"+k)))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.cpuinfo, got, c.want)
		}
	}
}

func TestFactsAreFoundInFilesAndID(t *testing.T) {
	f := facts{r: reply{said: map[string]string{
		"uname": "Linux vm.example 6.1.0-1 aarch64",
		"id":    "uid=1000(a b) gid=1000(c) euid=0(root) groups=1000(c),27(uid=5)",
		"files": "/usr/lib/os-release:ID=debian\n/proc/1/comm:systemd\n/sys/class/dmi/id/sys_vendor:A: B\n/etc/ssh/ssh_host_rsa_key.pub:ssh-rsa AAAA x\n/etc/other:y\n",
	}}, d: value.NewDict()}
	f.unpack()
	for key, want := range map[string]string{
		"system": "Linux", "nodename": "vm.example", "release": "6.1.0-1", "machine": "aarch64",
		"uid": "1000", "euid": "0", "gid": "1000", "egid": "1000",
		"os_release": "ID=debian", "init": "systemd", "dmi_sys_vendor": "A: B", "hostkey_rsa": "ssh-rsa AAAA x",
	} {
		if got := f.get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func TestPythonIsToldOfWhereThereIsOne(t *testing.T) {
	for said, want := range map[string]string{
		"Python 3.11.2":     `{"executable":"/usr/bin/python3","type":"cpython","version":{"major":3,"minor":11,"micro":2,"releaselevel":"final","serial":0},"version_info":[3,11,2,"final",0]} 3.11.2`,
		"Python 3.14.0rc2":  `{"executable":"/usr/bin/python3","type":"cpython","version":{"major":3,"minor":14,"micro":0,"releaselevel":"candidate","serial":2},"version_info":[3,14,0,"candidate",2]} 3.14.0`,
		"":                  "",
		"command not found": "",
	} {
		d := value.NewDict()
		facts{d: d, r: reply{said: map[string]string{"python": "/usr/bin/python3", "python_version": said}}}.python()
		got := ""
		if v, ok := d.Get("ansible_python"); ok {
			version, _ := d.Get("ansible_python_version")
			text, _ := value.JSON(v)
			got = string(text) + " " + value.Text(version)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", said, got, want)
		}
	}
}
