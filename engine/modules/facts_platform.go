package modules

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"farm/inventory/value"
)

func (f facts) platform() {
	machine := f.get("machine")
	arch := machine
	if regexp.MustCompile(`^i[3456]86$`).MatchString(machine) {
		arch = "i386"
	}
	if p := f.get("processor"); p != "" { // OpenBSD's
		arch = p
	}
	f.set("architecture", arch)
	f.set("machine", machine)
	f.set("kernel", f.get("release"))
	f.set("kernel_version", f.get("version"))
	f.set("system", f.get("system"))
	node := f.get("nodename")
	fqdn := f.get("fqdn")
	if fqdn == "" || strings.ContainsAny(fqdn, " \n") {
		fqdn = node
	}
	f.set("nodename", node)
	host, _, _ := strings.Cut(node, ".")
	f.set("hostname", host)
	f.set("fqdn", fqdn)
	_, domain, _ := strings.Cut(fqdn, ".")
	f.set("domain", domain)
	if bits := f.get("bits"); bits != "" {
		f.set("userspace_bits", bits)
		switch {
		case arch == "i386", arch == "x86_64" && bits == "32":
			f.set("userspace_architecture", "i386")
		case arch == "x86_64":
			f.set("userspace_architecture", arch)
		}
	}
}

// distro is what Ansible calls a distribution.
type distro struct{ name, family, variety string }

// distros are by the ID of os-release(5).
var distros = map[string]distro{
	"debian": {"Debian", "Debian", "Debian"}, "ubuntu": {"Ubuntu", "Debian", "Debian"}, "raspbian": {"Debian", "Debian", "Debian"},
	"kali": {"Kali", "Debian", "Debian"}, "linuxmint": {"Linux Mint", "Debian", "Debian"}, "pop": {"Pop!_OS", "Debian", "Debian"},
	"devuan": {"Devuan", "Debian", "Debian"}, "fedora": {"Fedora", "RedHat", "RedHat"}, "rhel": {"RedHat", "RedHat", "RedHat"},
	"centos": {"CentOS", "RedHat", "CentOS"}, "rocky": {"Rocky", "RedHat", "RedHat"}, "almalinux": {"AlmaLinux", "RedHat", "RedHat"},
	"ol": {"OracleLinux", "RedHat", "OracleLinux"}, "amzn": {"Amazon", "RedHat", "Amazon"}, "openEuler": {"openEuler", "RedHat", "RedHat"},
	"opensuse-leap": {"openSUSE Leap", "Suse", "SUSE"}, "opensuse-tumbleweed": {"openSUSE Tumbleweed", "Suse", "SUSE"},
	"opensuse-microos": {"openSUSE MicroOS", "Suse", "SUSE"}, "sles": {"SLES", "Suse", "SUSE"}, "sled": {"SLED", "Suse", "SUSE"},
	"alpine": {"Alpine", "Alpine", "Alpine"}, "arch": {"Archlinux", "Archlinux", "Archlinux"}, "archarm": {"Archlinux", "Archlinux", "Archlinux"},
	"manjaro": {"Manjaro", "Archlinux", "Archlinux"}, "gentoo": {"Gentoo", "Gentoo", "NA"}, "void": {"Void", "Void", "NA"}, "nixos": {"NixOS", "NixOS", "NA"},
}

var inBrackets = regexp.MustCompile(`\(([^)]*)\)`)

func (f facts) distribution() {
	if f.bsd() {
		f.bsdDistribution()
		return
	}
	rel := osRelease(f.r.get("os_release"))
	if len(rel) == 0 {
		f.unknownSystem()
		return
	}
	id := rel["ID"]
	d, known := distros[id]
	if !known {
		d.name, _, _ = strings.Cut(rel["NAME"], " ")
		d.family, d.variety = d.name, "NA"
		for like := range strings.FieldsSeq(rel["ID_LIKE"]) {
			if l, ok := distros[like]; ok {
				d.family = l.family
				break
			}
			if like == "suse" || like == "opensuse" {
				d.family = "Suse"
			}
		}
	}
	version := rel["VERSION_ID"]
	if exact := f.get("debian_version"); id == "debian" && (version == "" || strings.HasPrefix(exact, version+".")) {
		version = exact
	}
	major, minor, _ := strings.Cut(version, ".")
	codename := rel["VERSION_CODENAME"]
	if m := inBrackets.FindStringSubmatch(rel["VERSION"]); codename == "" && m != nil {
		codename = m[1]
	}
	switch {
	case id == "centos" && strings.Contains(rel["NAME"], "Stream"):
		codename = "Stream"
	case d.family == "Suse":
		codename, _, _ = strings.Cut(minor, ".")
	}
	f.set("distribution", d.name)
	f.set("distribution_version", orNA(version))
	f.set("distribution_major_version", orNA(major))
	f.set("distribution_release", orNA(codename))
	f.set("distribution_file_variety", d.variety)
	f.set("distribution_file_path", "/etc/os-release")
	f.set("distribution_file_parsed", true)
	if id == "debian" {
		f.set("distribution_minor_version", minor)
	}
	f.set("os_family", d.family)
}

// unknownSystem names a system without os-release(5) after its kernel, as Ansible does.
func (f facts) unknownSystem() {
	system, release := f.get("system"), f.get("release")
	major, _, _ := strings.Cut(release, ".")
	f.set("distribution", system)
	f.set("distribution_version", release)
	f.set("distribution_major_version", major)
	f.set("distribution_release", release)
	f.set("os_family", system)
}

func orNA(s string) string {
	if s == "" {
		return "NA"
	}
	return s
}

// osRelease reads os-release(5): shell assignments, one a line.
func osRelease(textOf string) map[string]string {
	m := map[string]string{}
	for line := range strings.SplitSeq(text(textOf), "\n") {
		k, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(k, "#") {
			continue
		}
		if words, err := splitWords(v); err == nil {
			v = strings.Join(words, " ")
		}
		m[k] = v
	}
	return m
}

func (f facts) user() {
	f.set("user_id", f.get("user"))
	f.set("user_uid", f.r.number("euid", 10))
	f.set("user_gid", f.r.number("egid", 10))
	f.set("real_user_id", f.r.number("uid", 10))
	f.set("effective_user_id", f.r.number("euid", 10))
	f.set("real_group_id", f.r.number("gid", 10))
	f.set("effective_group_id", f.r.number("egid", 10))
	if p := strings.Split(f.get("passwd"), ":"); len(p) == 7 {
		f.set("user_gecos", p[4])
		f.set("user_dir", p[5])
		f.set("user_shell", p[6])
	}
	env := value.NewDict()
	last := ""
	for line := range strings.SplitSeq(strings.TrimSuffix(text(f.r.get("env")), "\n"), "\n") {
		k, v, ok := strings.Cut(line, "=")
		if ok && variableName.MatchString(k) {
			env.Set(k, v)
			last = k
		} else if v, ok := env.Get(last); ok { // a value of several lines
			env.Set(last, v.(string)+"\n"+line)
		}
	}
	f.set("env", env)
}

func (f facts) dateTime() {
	p := strings.Split(f.get("date"), "|")
	if len(p) != 12 {
		return
	}
	secs, _ := strconv.ParseInt(p[9], 10, 64)
	utc := time.Unix(secs, 0).UTC()
	date, clock := p[0]+"-"+p[1]+"-"+p[5], p[6]+":"+p[7]+":"+p[8]
	f.set("date_time", value.NewDict(
		"year", p[0], "month", p[1], "weekday", p[2], "weekday_number", p[3], "weeknumber", p[4], "day", p[5],
		"hour", p[6], "minute", p[7], "second", p[8], "epoch", p[9], "epoch_int", p[9], "date", date, "time", clock,
		"iso8601_micro", utc.Format("2006-01-02T15:04:05.000000Z"), "iso8601", utc.Format("2006-01-02T15:04:05Z"),
		"iso8601_basic", strings.ReplaceAll(date, "-", "")+"T"+strings.ReplaceAll(clock, ":", "")+"000000",
		"iso8601_basic_short", strings.ReplaceAll(date, "-", "")+"T"+strings.ReplaceAll(clock, ":", ""),
		"tz", p[10], "tz_dst", p[10], "tz_offset", p[11]))
}

func (f facts) system() {
	cmdline := value.NewDict()
	if words, err := splitWords(f.get("cmdline")); err == nil {
		for _, w := range words {
			k, v, ok := strings.Cut(w, "=")
			if ok {
				cmdline.Set(k, v)
			} else {
				cmdline.Set(k, true)
			}
		}
	}
	f.set("cmdline", cmdline)
	f.set("pkg_mgr", f.packageManager())
	f.python()
	f.set("service_mgr", f.serviceManager())
	f.set("machine_id", f.get("machine_id"))
	f.set("fips", f.get("fips") == "1")
	f.set("dns", dns(f.get("resolv")))
	apparmor := "disabled"
	if f.r.is("apparmor") {
		apparmor = "enabled"
	}
	f.set("apparmor", value.NewDict("status", apparmor))
	selinux := value.NewDict("status", "disabled")
	if mode, ok := map[string]string{"0": "permissive", "1": "enforcing"}[f.get("selinux")]; ok {
		selinux = value.NewDict("status", "enabled", "mode", mode)
	}
	f.set("selinux", selinux)
	for key := range f.r.said {
		kind, ok := strings.CutPrefix(key, "hostkey_")
		if words := strings.Fields(f.get(key)); ok && len(words) >= 2 {
			f.set("ssh_host_key_"+kind+"_public", words[1])
			f.set("ssh_host_key_"+kind+"_public_keytype", words[0])
		}
	}
}

// packageManager is the native one: a foreign one may be installed beside it.
func (f facts) packageManager() string {
	for _, p := range [][2]string{{"dnf5", "dnf5"}, {"dnf", "dnf"}, {"microdnf", "dnf"}, {"yum", "yum"}, {"zypper", "zypper"}, {"apk", "apk"}, {"pacman", "pacman"},
		{"apt-get", "apt"}, {"xbps-install", "xbps"}, {"emerge", "portage"}, {"opkg", "opkg"}, {"pkg", "pkgng"}, {"pkg_add", "openbsd_pkg"}} {
		family, _ := f.d.Get("ansible_os_family")
		foreign := family == "Debian" && p[0] != "apt-get" || family == "Archlinux" && p[0] != "pacman" ||
			family == "Suse" && p[0] != "zypper" || family == "Alpine" && p[0] != "apk"
		if !foreign && f.r.is("pkg_"+p[0]) {
			return p[1]
		}
	}
	return "unknown"
}

func (f facts) serviceManager() string {
	switch init := f.get("init"); {
	case f.r.is("systemd"):
		return "systemd"
	case f.r.is("openrc"):
		return "openrc"
	case init == "runit" || f.r.is("runit"):
		return "runit"
	case init == "" && f.get("system") != "Linux":
		return "bsdinit"
	case init == "init" || init == "sysvinit":
		return "sysvinit"
	case init != "":
		return init
	}
	return "service"
}

func dns(resolv string) *value.Dict {
	d := value.NewDict()
	for line := range strings.SplitSeq(resolv, "\n") {
		words := strings.Fields(line)
		if len(words) < 2 || strings.HasPrefix(words[0], "#") || strings.HasPrefix(words[0], ";") {
			continue
		}
		switch words[0] {
		case "nameserver":
			list, _ := d.Get("nameservers")
			old, _ := list.([]any)
			d.Set("nameservers", append(old, words[1]))
		case "domain":
			d.Set("domain", words[1])
		case "search":
			all := []any{}
			for _, w := range words[1:] {
				all = append(all, w)
			}
			d.Set("search", all)
		}
	}
	return d
}

var pythonVersion = regexp.MustCompile(`^Python ((\d+)\.(\d+)\.(\d+))([a-z]+)?(\d+)?`)

// python tells of the host's Python, if it has one; farm does not need it.
func (f facts) python() {
	m := pythonVersion.FindStringSubmatch(f.get("python_version"))
	if m == nil {
		return
	}
	number := func(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n }
	level := map[string]string{"": "final", "a": "alpha", "b": "beta", "rc": "candidate"}[m[5]]
	parts := []any{number(m[2]), number(m[3]), number(m[4]), level, number(m[6])}
	version := value.NewDict("major", parts[0], "minor", parts[1], "micro", parts[2], "releaselevel", level, "serial", parts[4])
	f.set("python", value.NewDict("executable", f.get("python"), "type", "cpython", "version", version, "version_info", parts))
	f.set("python_version", m[1])
}
