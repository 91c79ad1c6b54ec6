package modules

import (
	"regexp"
	"strings"
)

// factsScript says what a host is. What it says is text as the system gives it; Go makes
// facts of it. Everything is optional: a system that lacks a file or program has fewer
// facts. The variables min, hardware, network and virtual are 1 for what is asked for.
//
// Starting a program is what takes time, in an emulated guest above all: one grep reads all
// files, each line with its file's name, and the shell itself does what it can.
const factsScript = `
limited() { if has timeout; then timeout 5 "$@"; else "$@"; fi 2>/dev/null; }
named() { # by /etc/hosts: of the first line with the host's address, the first name with a dot, or the first
	farm_i=
	while [ $farm_n -lt 200 ] && read -r farm_a farm_f farm_l; do
		farm_n=$((farm_n + 1))
		case $farm_a in '#'*) continue ;; esac
		for farm_w in $farm_f ${farm_l%%#*}; do
			if [ "$farm_w" = "$1" ]; then farm_i=$farm_a farm_n=200; fi
		done
	done </etc/hosts
	[ -n "$farm_i" ] || return 1
	while read -r farm_a farm_f farm_l; do
		[ "$farm_a" = "$farm_i" ] || continue
		for farm_w in $farm_f ${farm_l%%#*}; do
			case $farm_w in *.*) farm_f=$farm_w; return 0 ;; esac
		done
		return 0
	done </etc/hosts
	return 1
}
account() { # of /etc/passwd
	while [ $farm_n -lt 200 ] && IFS= read -r farm_l; do
		farm_n=$((farm_n + 1))
		case $farm_l in "$1":*) return 0 ;; esac
	done </etc/passwd
	return 1
}
set --
if [ "$min" = 1 ]; then
	tell env env
	LC_ALL=C
	export LC_ALL
	farm_l=$(uname -snrm)
	say uname "$farm_l"
	case $farm_l in
	OpenBSD*)
		tell processor uname -p
		tell kern_version /sbin/sysctl -n kern.version ;;
	esac
	farm_f=${farm_l#* }
	farm_f=${farm_f%% *} farm_n=0
	if [ -r /etc/hosts ] && named "$farm_f"; then say fqdn "$farm_f"
	else tell fqdn limited hostname -f; fi
	farm_n=0
	case $fact_path in '~'*) fact_path=$(untilde "$fact_path") ;; esac
	for farm_p in "$fact_path"/*.fact; do
		if [ -L "$farm_p" ] && [ ! -e "$farm_p" ]; then
			say "local_name$farm_n" "$farm_p"; say "local_dead$farm_n" 1
			farm_n=$((farm_n + 1))
			continue
		fi
		[ -r "$farm_p" ] && [ ! -d "$farm_p" ] || continue
		say "local_name$farm_n" "$farm_p"
		if [ -x "$farm_p" ]; then
			farm_l=$("$farm_p" 2>/dev/null </dev/null) || say "local_bad$farm_n" $?
			say "local$farm_n" "$farm_l"
		else tell "local$farm_n" cat -- "$farm_p"; fi
		farm_n=$((farm_n + 1))
	done
	if [ ! -r /proc/sys/kernel/version ]; then tell version uname -v; fi
	for farm_p in python3 python; do
		has $farm_p || continue
		say python "$(command -v $farm_p)"
		say python_version "$($farm_p -V 2>&1)"
		break
	done
	tell date date '+%Y|%m|%A|%w|%W|%d|%H|%M|%S|%s|%Z|%z'
	farm_l=$(id)
	say id "$farm_l"
	case $farm_l in
	*' euid='*) farm_u=${farm_l#* euid=} ;;
	*) farm_u=${farm_l#uid=} ;;
	esac
	case ${farm_u%% *} in
	*'('*) farm_u=${farm_u#*'('} farm_u=${farm_u%%')'*} ;;
	*) farm_u=${farm_u%% *} ;;
	esac
	say user "$farm_u"
	farm_n=0
	if [ -r /etc/passwd ] && account "$farm_u"; then say passwd "$farm_l"
	elif has getent; then tell passwd limited getent passwd "$farm_u"; fi
	for farm_p in apt-get dnf5 dnf microdnf yum zypper apk pacman xbps-install emerge opkg pkg pkg_add; do
		if has "$farm_p" || [ -x "/sbin/$farm_p" ]; then say "pkg_$farm_p" 1; fi
	done
	if [ -d /run/systemd/system ]; then say systemd 1; fi
	if has openrc || [ -x /sbin/openrc ]; then say openrc 1; fi
	if has runsvdir; then say runit 1; fi
	tell bits getconf LONG_BIT
	if [ -d /sys/kernel/security/apparmor ]; then say apparmor 1; fi
	set -- "$@" /etc/os-release /usr/lib/os-release /etc/debian_version /etc/machine-id /etc/resolv.conf \
		/proc/cmdline /proc/1/comm /proc/sys/kernel/version /proc/sys/crypto/fips_enabled /sys/fs/selinux/enforce \
		/etc/ssh/ssh_host_*_key.pub
fi
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin
if [ "$hardware" = 1 ]; then
	if has nproc; then tell nproc nproc
	else tell nproc getconf _NPROCESSORS_ONLN; fi
	if [ ! -r /proc/meminfo ] && has sysctl; then
		tell physmem sysctl -n hw.physmem
		tell ncpu sysctl -n hw.ncpu
		tell model sysctl -n hw.model
		tell vm_pages sysctl -n vm.stats.vm.v_page_size vm.stats.vm.v_page_count vm.stats.vm.v_free_count
		tell boottime sysctl -n kern.boottime
		tell now date +%s
		tell vmstat limited vmstat
		if has swapinfo; then tell swap swapinfo -k
		else tell swap swapctl -sk; fi
		tell mount limited mount
	fi
	tell df limited df -kP
	set -- "$@" /proc/meminfo /proc/mounts /proc/uptime
	for farm_f in product_version product_serial product_uuid board_name bios_version bios_date chassis_vendor; do
		set -- "$@" "/sys/class/dmi/id/$farm_f"
	done
fi
if [ "$network" = 1 ]; then
	if has ip; then
		tell addr limited ip addr
		tell route4 limited ip -4 route get 8.8.8.8
		tell route6 limited ip -6 route get 2404:6800:400a:800::1012
	else
		for farm_f in /sys/class/net/*; do
			farm_l= farm_a=
			if [ -e "$farm_f/mtu" ]; then
				read -r farm_l <"$farm_f/mtu"
				read -r farm_a <"$farm_f/address"
				say "net_${farm_f##*/}" "$farm_l
$farm_a"
			fi
		done 2>/dev/null
		if has ifconfig; then tell ifconfig limited ifconfig -a; fi
		if [ ! -d /sys/class/net ] && has route; then
			tell bsdroute4 limited route -n get 8.8.8.8
			tell bsdroute6 limited route -n get -inet6 2404:6800:400a:800::1012
		fi
	fi
fi
if [ "$virtual" = 1 ]; then
	if has systemd-detect-virt; then tell detect systemd-detect-virt; fi
	if [ ! -d /sys/class ] && has sysctl; then
		tell vm_guest sysctl -n kern.vm_guest
		tell jailed sysctl -n security.jail.jailed
		tell hw_vendor sysctl -n hw.vendor
		tell hw_product sysctl -n hw.product
	fi
	if [ -r /proc/device-tree/model ]; then
		say virt_tree "$(head -c 256 /proc/device-tree/model | tr -d '\000')"
		say virt_compatible "$(head -c 256 /proc/device-tree/compatible | tr '\000' ' ')"
	fi
	if [ -e /.dockerenv ]; then say virt_container docker; fi
	if [ -e /run/.containerenv ]; then say virt_container podman; fi
	if [ -r /proc/1/environ ]; then say virt_env "$(tr '\000' '\n' </proc/1/environ 2>/dev/null | grep '^container=')"; fi
	if [ -d /proc/xen ]; then say virt_xen -; fi
	if [ -d /sys/module/kvm ]; then say virt_kvm 1; fi
	set -- "$@" /proc/xen/capabilities
fi
if [ "$hardware$virtual" != "" ]; then
	set -- "$@" /proc/cpuinfo /sys/class/dmi/id/product_name /sys/class/dmi/id/sys_vendor
fi
if [ $# -gt 0 ]; then tell files grep -s '' /dev/null "$@"; fi
exit 0
`

// factFiles are the keys of what is read from files.
var factFiles = map[string]string{
	"/etc/os-release": "os_release", "/usr/lib/os-release": "lib_release", "/etc/debian_version": "debian_version",
	"/etc/machine-id": "machine_id", "/etc/resolv.conf": "resolv", "/proc/cmdline": "cmdline", "/proc/1/comm": "init",
	"/proc/sys/kernel/version": "version", "/proc/sys/crypto/fips_enabled": "fips", "/sys/fs/selinux/enforce": "selinux",
	"/proc/meminfo": "meminfo", "/proc/cpuinfo": "cpuinfo", "/proc/mounts": "mounts", "/proc/uptime": "uptime",
	"/proc/xen/capabilities": "virt_xen",
}

// unpack gives what the script said in one piece the keys of its parts.
func (f facts) unpack() {
	said := f.r.said
	for line := range strings.SplitSeq(said["files"], "\n") {
		file, line, _ := strings.Cut(line, ":")
		key := factFiles[file]
		if name, ok := strings.CutPrefix(file, "/sys/class/dmi/id/"); ok {
			key = "dmi_" + name
		} else if name, ok := strings.CutPrefix(file, "/etc/ssh/ssh_host_"); ok {
			key = "hostkey_" + strings.TrimSuffix(name, "_key.pub")
		}
		if key != "" && len(said[key]) < maxFactFile {
			said[key] += line + "\n"
		}
	}
	delete(said, "files")
	if said["os_release"] == "" && said["lib_release"] != "" {
		said["os_release"] = said["lib_release"]
	}
	if p := strings.Fields(said["uname"]); len(p) >= 4 {
		said["system"], said["nodename"], said["release"], said["machine"] = p[0], p[1], p[2], p[3]
	}
	for _, p := range numberedID.FindAllStringSubmatch(said["id"], -1) {
		said[p[1]] = p[2]
	}
	for key, real := range map[string]string{"euid": "uid", "egid": "gid"} {
		if said[key] == "" {
			said[key] = said[real]
		}
	}
}

// maxFactFile bounds a file's content, in bytes.
const maxFactFile = 256 << 10

// numberedID finds the numbers in the output of id(1); groups have none of these names.
var numberedID = regexp.MustCompile(`(?:^| )(e?[ug]id)=([0-9]+)`)
