package modules

// factsScript says what a host is. What it says is text as the system gives it; Go makes
// facts of it. Everything is optional: a system that lacks a file or program has fewer
// facts. The variables min, hardware, network and virtual are 1 for what is asked for.
const factsScript = `
LC_ALL=C
head_of() { [ -r "$1" ] && head -c "${2:-65536}" "$1" 2>/dev/null; }
limited() { if has timeout; then timeout 5 "$@"; else "$@"; fi 2>/dev/null; }
if [ "$min" = 1 ]; then
	say env "$(env 2>/dev/null | head -c 131072)"
	export LC_ALL
	say system "$(uname -s)"
	say release "$(uname -r)"
	say version "$(uname -v)"
	say machine "$(uname -m)"
	say nodename "$(uname -n)"
	say fqdn "$(limited hostname -f)"
	if [ -r /etc/os-release ]; then say os_release "$(head_of /etc/os-release)"
	else say os_release "$(head_of /usr/lib/os-release)"; fi
	say debian_version "$(head_of /etc/debian_version 200)"
	say date "$(date '+%Y|%m|%A|%w|%W|%d|%H|%M|%S|%s|%Z|%z')"
	say uid "$(id -u)"
	say ruid "$(id -ru)"
	say gid "$(id -g)"
	say rgid "$(id -rg)"
	farm_u=$(id -un)
	say user "$farm_u"
	if has getent; then say passwd "$(limited getent passwd "$farm_u")"
	else say passwd "$(grep "^$farm_u:" /etc/passwd)"; fi
	say cmdline "$(head_of /proc/cmdline)"
	say init "$(head_of /proc/1/comm 100)"
	for farm_p in apt-get dnf5 dnf microdnf yum zypper apk pacman xbps-install emerge opkg pkg pkg_add; do
		if has "$farm_p" || [ -x "/sbin/$farm_p" ]; then say "pkg_$farm_p" 1; fi
	done
	if [ -d /run/systemd/system ]; then say systemd 1; fi
	if has openrc || [ -x /sbin/openrc ]; then say openrc 1; fi
	if has runsvdir; then say runit 1; fi
	say machine_id "$(head_of /etc/machine-id 100)"
	say resolv "$(head_of /etc/resolv.conf)"
	say bits "$(getconf LONG_BIT 2>/dev/null)"
	if [ -e /sys/fs/selinux/enforce ]; then say selinux "$(head_of /sys/fs/selinux/enforce 10)"; fi
	if [ -d /sys/kernel/security/apparmor ]; then say apparmor 1; fi
	say fips "$(head_of /proc/sys/crypto/fips_enabled 10)"
	for farm_f in /etc/ssh/ssh_host_*_key.pub; do
		[ -r "$farm_f" ] || continue
		farm_k=${farm_f#/etc/ssh/ssh_host_}
		say "hostkey_${farm_k%_key.pub}" "$(head_of "$farm_f" 8192)"
	done
fi
export LC_ALL
if [ "$hardware" = 1 ]; then
	say meminfo "$(head_of /proc/meminfo)"
	say cpuinfo "$(head_of /proc/cpuinfo 262144)"
	if has nproc; then say nproc "$(nproc)"
	else say nproc "$(getconf _NPROCESSORS_ONLN 2>/dev/null)"; fi
	if [ ! -r /proc/meminfo ] && has sysctl; then
		say physmem "$(sysctl -n hw.physmem 2>/dev/null)"
		say ncpu "$(sysctl -n hw.ncpu 2>/dev/null)"
		say model "$(sysctl -n hw.model 2>/dev/null)"
	fi
	say mounts "$(head_of /proc/mounts 131072)"
	say df "$(limited df -kP | head -c 131072)"
	say uptime "$(head_of /proc/uptime 100)"
	for farm_f in product_name product_version product_serial product_uuid sys_vendor board_name bios_version bios_date chassis_vendor; do
		say "dmi_$farm_f" "$(head_of "/sys/class/dmi/id/$farm_f" 256)"
	done
fi
if [ "$network" = 1 ]; then
	PATH=$PATH:/usr/sbin:/sbin
	if has ip; then
		say addr "$(limited ip addr | head -c 262144)"
		say route4 "$(limited ip -4 route get 8.8.8.8 | head -n 1)"
		say route6 "$(limited ip -6 route get 2404:6800:400a:800::1012 | head -n 1)"
	else
		for farm_f in /sys/class/net/*; do
			if [ -e "$farm_f/mtu" ]; then say "net_${farm_f##*/}" "$(cat "$farm_f/mtu" "$farm_f/address" 2>/dev/null)"; fi
		done
		if has ifconfig; then say ifconfig "$(limited ifconfig -a | head -c 262144)"; fi
	fi
fi
if [ "$virtual" = 1 ]; then
	if has systemd-detect-virt; then say detect "$(systemd-detect-virt 2>/dev/null)"; fi
	say virt_product "$(head_of /sys/class/dmi/id/product_name 256)"
	say virt_vendor "$(head_of /sys/class/dmi/id/sys_vendor 256)"
	say virt_tree "$(head_of /proc/device-tree/model 256 | tr -d '\000')"
	say virt_compatible "$(head_of /proc/device-tree/compatible 256 | tr '\000' ' ')"
	say virt_cpu "$(grep -m 1 -E '^(model name|vendor_id|cpu)[[:space:]]*:.*(QEMU|KVM)' /proc/cpuinfo 2>/dev/null)"
	if grep -q '^flags.* hypervisor' /proc/cpuinfo 2>/dev/null; then say virt_flag 1; fi
	if [ -e /.dockerenv ]; then say virt_container docker; fi
	if [ -e /run/.containerenv ]; then say virt_container podman; fi
	say virt_env "$(tr '\000' '\n' </proc/1/environ 2>/dev/null | grep '^container=' | head -n 1)"
	if [ -d /proc/xen ]; then say virt_xen "$(head_of /proc/xen/capabilities 256)-"; fi
	if [ -d /sys/module/kvm ]; then say virt_kvm 1; fi
fi
exit 0
`
