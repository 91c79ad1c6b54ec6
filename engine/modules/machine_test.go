package modules

import (
	"os"
	"path/filepath"
	"testing"
)

// fakeSystemctl keeps the state of the unit sshd in files.
const fakeSystemctl = `while :; do case $1 in --user | --no-block) shift ;; *) break ;; esac; done
op=$1; for n; do :; done
[ "$op" = daemon-reload ] || [ "$n" = sshd ] || { [ "$op" = show ] && echo LoadState=not-found; exit 5; }
case $op in
show) if [ -e masked ]; then echo LoadState=masked; else echo LoadState=loaded; fi ;;
is-active) if [ -e active ]; then echo active; else echo inactive; exit 3; fi ;;
is-enabled) if [ -e enabled ]; then echo enabled; else echo disabled; exit 1; fi ;;
start | restart) [ ! -e bad ] || { echo "Job for sshd.service failed." >&2; exit 1; }; : >active ;;
stop) rm -f active ;; enable) : >enabled ;; disable) rm -f enabled ;;
mask) : >masked ;; unmask) rm -f masked ;;
esac`

func TestServiceWithSystemd(t *testing.T) {
	s := newSystem(t, map[string]string{"systemctl": fakeSystemctl})
	s.write("run/systemd/system/x", "")
	s.values(s.cycle("service", "{name: sshd, state: started, enabled: yes}"), "state", "started", "enabled", true)
	s.cycle("systemd", "{name: sshd, enabled: no}")
	s.check("service", "{name: sshd, state: restarted}", "changed")
	s.dry("service", "{name: sshd, state: restarted}", "changed")
	s.check("service", "{name: sshd, state: reloaded}", "changed")
	s.values(s.cycle("service", "{name: sshd, state: stopped}"), "state", "stopped")
	s.cycle("systemd", "{name: sshd, masked: yes}")
	s.cycle("systemd", "{name: sshd, masked: no}")
	os.Remove(filepath.Join(s.state, "calls"))
	s.check("systemd", "daemon_reload: yes", "ok")
	s.called("systemctl", "systemctl daemon-reload")
	s.fails("service", "{name: nonesuch, state: started}", 1, `no service "nonesuch"`)
	s.keep("bad", "")
	s.fails("service", "{name: sshd, state: started}", 1, "Job for sshd.service failed.")
	s.fails("service", "state: started", 0, "name is missing")
	s.fails("systemd", "{}", 0, "name is missing")
	s.fails("service", "{name: sshd, state: up}", 0, "state")
}

func TestServiceWithOpenRC(t *testing.T) {
	s := newSystem(t, map[string]string{
		"rc-service": `case $1 in -e) [ "$2" = sshd ]; exit ;; esac
case $2 in status) [ -e active ] || exit 3 ;; start) : >active ;; stop) rm -f active ;; esac`,
		"rc-update": `case $1 in show) [ ! -e enabled ] || echo "      sshd | default" ;; -q) case $2 in add) : >enabled ;; del) rm -f enabled ;; esac ;; esac`,
	})
	s.cycle("service", "{name: sshd, state: started, enabled: yes}")
	s.cycle("service", "{name: sshd, state: stopped, enabled: no}")
	s.fails("service", "{name: ssh, state: started}", 1, `no service "ssh"`)
	s.fails("systemd", "{name: sshd, state: started}", 1, "systemd does not run")
}

func TestServiceWithInitScripts(t *testing.T) {
	s := newSystem(t, map[string]string{
		"service":     `case $2 in status) [ -e active ] || exit 3 ;; start) : >active ;; stop) rm -f active ;; esac`,
		"update-rc.d": `case $2 in enable) mkdir -p "$ETC/rc2.d"; : >"$ETC/rc2.d/S01$1" ;; disable) rm -f "$ETC/rc2.d/S01$1" ;; esac`,
	})
	s.write("etc/init.d/ssh", "")
	if err := os.Chmod(filepath.Join(s.dir, "etc/init.d/ssh"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.task.Env["ETC"] = filepath.Join(s.dir, "etc")
	s.cycle("service", "{name: ssh, state: started, enabled: yes}")
	s.cycle("service", "{name: ssh, state: stopped, enabled: no}")
}

func TestModprobe(t *testing.T) {
	s := newSystem(t, map[string]string{"uname": "echo 6.1", "modprobe": `case $1 in
-r) rmdir "$SYS/$(echo "$3" | tr - _)" ;;
*) [ "$2" != nonesuch ] || { echo "modprobe: FATAL: Module nonesuch not found" >&2; exit 1; }
mkdir -p "$SYS/$(echo "$2" | tr - _)" ;; esac`})
	s.task.Env["SYS"] = filepath.Join(s.dir, "sys/module")
	s.write("lib/modules/6.1/modules.builtin", "kernel/fs/ext4/ext4.ko\n")
	s.dry("modprobe", "name: nbd-x", "changed")
	s.called("modprobe")
	s.cycle("modprobe", "{name: nbd-x, params: nbds_max=4 part=1}")
	s.called("modprobe", "modprobe -- nbd-x nbds_max=4 part=1")
	s.check("modprobe", "name: ext4", "ok")
	s.cycle("modprobe", "{name: nbd-x, persistent: present, params: a=1}")
	s.holds("etc/modules-load.d/nbd-x.conf", "nbd-x\n", 0)
	s.holds("etc/modprobe.d/nbd-x.conf", "options nbd-x a=1\n", 0)
	s.cycle("modprobe", "{name: nbd-x, persistent: absent}")
	s.only("etc/modprobe.d")
	s.cycle("modprobe", "{name: nbd-x, state: absent}")
	s.fails("modprobe", "name: nonesuch", 1, "not found")
	s.fails("modprobe", "name: '../x'", 0, "no name of a kernel module")
}

func TestSysctl(t *testing.T) {
	s := newSystem(t, map[string]string{"sysctl": `ignore=''
while :; do case $1 in -e) ignore=1; shift ;; -q) shift ;; *) break ;; esac; done
case $1 in
-n) sed -n "s/^$2=//p" kernel ;;
-w) k=${2%%=*}; grep -q "^$k=" kernel || { [ -n "$ignore" ] && exit 0; echo "sysctl: cannot stat /proc/sys/$k" >&2; exit 255; }
	sed -i "s/^$k=.*/$2/" kernel ;;
-p) : ;; esac`})
	s.keep("kernel", "net.ipv4.ip_forward=0\nnet.ipv4.tcp_rmem=1\t2\t3\n")
	s.write("c.conf", "# a comment\n-net.ipv4.ip_forward = 0\nnet.ipv4.ip_forwards = 5\n; other\n")
	s.cycle("sysctl", "{name: net.ipv4.ip_forward, value: 1, sysctl_file: DIR/c.conf}")
	s.holds("c.conf", "# a comment\nnet.ipv4.ip_forwards = 5\n; other\nnet.ipv4.ip_forward=1\n", 0o644)
	s.kept("kernel", "net.ipv4.ip_forward=0\nnet.ipv4.tcp_rmem=1\t2\t3")
	s.cycle("sysctl", "{name: net.ipv4.ip_forward, value: 1, sysctl_file: DIR/c.conf, sysctl_set: yes}")
	s.check("sysctl", "{name: net.ipv4.tcp_rmem, value: 1 2  3, sysctl_file: DIR/new, sysctl_set: yes}", "changed")
	s.check("sysctl", "{name: net.ipv4.tcp_rmem, value: 1 2 3, sysctl_file: DIR/new, sysctl_set: yes}", "ok")
	s.cycle("sysctl", "{name: net.ipv4.conf.eth0/1.x, value: 1, sysctl_file: DIR/c.conf}")
	s.cycle("sysctl", "{name: net.ipv4.ip_forwards, state: absent, sysctl_file: DIR/c.conf}")
	s.holds("c.conf", "# a comment\n; other\nnet.ipv4.ip_forward=1\nnet.ipv4.conf.eth0/1.x=1\n", 0o644)
	s.only("", "c.conf", "new")
	s.fails("sysctl", "{name: none.such, value: 1, sysctl_file: DIR/new, sysctl_set: yes}", 255, "cannot stat")
	s.check("sysctl", "{name: none.two, value: 1, sysctl_file: DIR/new, sysctl_set: yes, ignoreerrors: yes}", "changed")
	s.fails("sysctl", "name: a.b", 0, "value is missing")
}

func TestHostname(t *testing.T) {
	s := newSystem(t, map[string]string{"uname": "cat name", "hostname": `echo "$1" >name`})
	s.keep("name", "old")
	s.write("etc/hostname", "old\n")
	r := s.cycle("hostname", "name: build.example.org")
	s.holds("etc/hostname", "build.example.org\n", 0)
	if got, _ := r.Facts.Get("ansible_hostname"); got != "build" {
		t.Errorf("ansible_hostname %v", got)
	}
	s.fails("hostname", "name: 'a b'", 0, "no name of a host")
}

func TestHostnameWithSystemd(t *testing.T) {
	s := newSystem(t, map[string]string{"uname": "cat name", "hostnamectl": `echo "$2" >name`})
	s.keep("name", "old")
	s.write("run/systemd/system/x", "")
	s.cycle("hostname", "name: new")
}
