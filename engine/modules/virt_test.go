package modules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine/enginetest"
)

// driver is an URI of libvirt's test driver, which each connection finds as the file describes it: a machine that runs, one
// that is off and one that is paused, a network that is active and one that is not.
func (b *bench) driver() string {
	b.Helper()
	enginetest.Need(b.T, "virsh")
	domain := func(name, uuid, state string) string {
		return "<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>" + name + "</name><uuid>" + uuid +
			"</uuid><memory>8192</memory><vcpu>2</vcpu><os><type>hvm</type></os><test:runstate>" + state + "</test:runstate></domain>"
	}
	b.write("node.xml", "<node>"+domain("up", "11111111-6b9e-4a3c-8f3b-2a6a3d0a0001", "1")+domain("halted", "11111111-6b9e-4a3c-8f3b-2a6a3d0a0002", "5")+
		domain("held", "11111111-6b9e-4a3c-8f3b-2a6a3d0a0003", "3")+
		`<network><name>lan</name><uuid>11111111-6b9e-4a3c-8f3b-2a6a3d0a0004</uuid><forward mode='nat'/><bridge name='vbr7'/><domain name='lan.test'/>
		<ip address='10.9.8.1' netmask='255.255.255.0'><dhcp><range start='10.9.8.2' end='10.9.8.9'/><host mac='52:54:00:00:00:01' name='one' ip='10.9.8.5'/></dhcp></ip></network></node>`)
	return "uri: 'test://" + b.dir + "/node.xml'"
}

func TestVirtReachesStates(t *testing.T) {
	b := newBench(t)
	uri := b.driver()
	for args, want := range map[string]string{
		"name: up, state: running": "ok", "name: up, state: shutdown": "changed", "name: up, state: destroyed": "changed", "name: up, state: paused": "changed",
		"name: halted, state: running": "changed", "name: halted, state: shutdown": "ok", "name: halted, state: destroyed": "ok", "name: halted, state: paused": "ok",
		"name: held, state: running": "changed", "name: held, state: paused": "ok", "name: held, state: destroyed": "changed",
		"name: nobody, state: running": "failed", "guest: halted, autostart: yes": "changed", "name: halted, autostart: no": "ok",
		"name: halted, command: start": "changed", "name: up, command: start": "failed", "name: up, command: shutdown": "changed",
		"name: up, command: destroy": "changed", "name: up, command: pause": "changed", "name: held, command: unpause": "changed",
		"name: halted, command: undefine": "changed", "name: up, command: status": "ok",
		"name: halted, state: running, autostart: no": "changed", "name: up, state: running, autostart: yes": "changed",
		"command: define, xml: \"<domain type='test'><name>new</name><memory>1</memory><os><type>hvm</type></os></domain>\"":                                                     "changed",
		"command: define, xml: \"<domain type='test'><name>halted</name><memory>1</memory><os><type>hvm</type></os></domain>\"":                                                  "ok",
		"command: define, xml: \"<domain type='test'><name>halted</name><uuid>11111111-6B9E-4a3c-8f3b-2a6a3d0a0002</uuid><memory>1</memory><os><type>hvm</type></os></domain>\"": "ok",
	} {
		if strings.Contains(args, "6B9E") { // each connection begins anew, so the change does not show
			b.dry("virt", "{"+args+", "+uri+"}", "changed")
			b.run("virt", "{"+args+", "+uri+"}")
			continue
		}
		r := b.check("virt", "{"+args+", "+uri+"}", want)
		if want != "failed" && strings.Contains(args, "state") {
			b.dry("virt", "{"+args+", "+uri+"}", want)
		} else if want == "failed" && r.Msg == "" {
			t.Errorf("%s: it does not say why", args)
		}
	}
}

// The test driver has no flags of undefine: a program in place of virsh.
func TestVirtUndefinesWithFlags(t *testing.T) {
	b := newBench(t)
	b.write("bin/virsh", "#!/bin/sh\nshift 3\n[ $1 = list ] && echo vm || echo \"$*\" >>\"$DIR/calls\"\n")
	if err := os.Chmod(filepath.Join(b.dir, "bin/virsh"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.task.Env = map[string]string{"PATH": filepath.Join(b.dir, "bin") + ":" + os.Getenv("PATH"), "DIR": b.dir}
	b.dry("virt", "{name: vm, command: undefine, force: yes}", "changed")
	b.check("virt", "{name: vm, command: undefine, flags: [keep_nvram, managed_save]}", "changed")
	b.check("virt", "{name: vm, command: undefine, force: yes}", "changed")
	b.holds("calls", "undefine --domain vm --keep-nvram --managed-save\n"+
		"undefine --domain vm --managed-save --snapshots-metadata --nvram --checkpoints-metadata\n", 0)
}

func TestVirtAnswers(t *testing.T) {
	b := newBench(t)
	uri := b.driver()
	ask := func(args string) string {
		t.Helper()
		text, err := b.check("virt", "{"+args+", "+uri+"}", "ok").Values.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for args, want := range map[string]string{
		"command: list_vms, state: shutdown": `{"list_vms":["halted"]}`,
		"command: list_vms, state: paused":   `{"list_vms":["held"]}`,
		"command: status, name: halted":      `{"status":"shutdown"}`,
		"command: virttype":                  `{"virttype":"TEST"}`,
	} {
		if got := ask(args); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	for args, want := range map[string]string{
		"command: list_vms": `"halted"`, "command: get_xml, name: up": "name>up",
		"command: info":     `"halted":{"state":"shutdown","maxMem":"8192","memory":"8192","nrVirtCpu":2,"cpuTime":"`,
		"command: nodeinfo": `"cpus":"16"`,
	} {
		if got := ask(args); !strings.Contains(got, want) {
			t.Errorf("%s: %s holds no %s", args, got, want)
		}
	}
}

func TestVirtRefuses(t *testing.T) {
	b := newBench(t)
	for args, want := range map[string]string{
		"{}": "give state, command or autostart", "{name: x, state: runing}": "running", "{name: x, state: running, command: start}": "one of the two",
		"{state: running}": "name is missing", "{command: start}": "name is missing", "{name: x, command: strat}": "start", "{name: x, command: stop}": "destroy",
		"{command: define}": "define needs xml", "{command: define, xml: '<network/>'}": "not <domain>", "{command: define, xml: '<domain>'}": "xml: ",
		"{command: define, xml: '<domain/>'}": "xml has no name", "{name: '12', state: running}": "tell from an id", "{command: list_vms, state: up}": "unknown value",
		"{name: x, command: undefine, flags: [all]}": "unknown value", "{name: x, command: undefine, flags: [nvram, keep_nvram]}": "exclude each other",
		"{name: x, state: running, force: yes}": "belong to command: undefine",
	} {
		if r := b.check("virt", args, "failed"); !strings.Contains(r.Msg, want) {
			t.Errorf("%s: %q", args, r.Msg)
		}
	}
	for args, want := range map[string]string{
		"{}": "give state, command or autostart", "{name: x, state: up}": "unknown value", "{name: x, command: strat}": "start", "{state: active}": "name is missing",
		"{name: x, state: active, autostart: yes}": "autostart stands alone", "{name: x, command: define}": "define needs xml",
		"{name: x, command: modify}": "modify needs xml", "{name: x, state: present, xml: '<domain/>'}": "not <network>",
		"{name: x, state: active, command: start}": "one of the two", "{command: list_nets, state: up}": "unknown value",
	} {
		if r := b.check("virt_net", args, "failed"); !strings.Contains(r.Msg, want) {
			t.Errorf("%s: %q", args, r.Msg)
		}
	}
}

func TestVirtNamesWhatIsMissing(t *testing.T) {
	b := newBench(t)
	b.task.Env = map[string]string{"PATH": b.dir}
	if r := b.check("virt", "command: list_vms", "failed"); !strings.Contains(r.Msg, "libvirt-clients (Debian)") {
		t.Error(r.Msg)
	}
}

func TestVirtNetOnTheTestDriver(t *testing.T) {
	b := newBench(t)
	uri := b.driver()
	for args, want := range map[string]string{
		"name: lan, state: active": "ok", "name: lan, state: inactive": "changed", "name: lan, state: present": "ok", "name: other, state: absent": "ok",
		"name: other, state: inactive": "ok", "name: lan, command: start": "ok", "name: lan, command: stop": "changed", "name: other, command: undefine": "ok",
		"network: lan, autostart: yes": "changed", "name: lan, autostart: no": "ok", "name: lan, command: status": "ok",
		"name: other, state: present, xml: \"<network><name>other</name></network>\"":                   "changed",
		"name: other, command: modify, xml: \"<network><name>other</name></network>\"":                  "changed",
		"name: lan, command: define, xml: \"<network><name>lan</name></network>\"":                      "ok",
		"name: lan, command: modify, xml: \"<host mac='52:54:00:00:00:01' name='one' ip='10.9.8.5'/>\"": "ok",
		"name: lan, command: modify, xml: \"<host mac='52:54:00:00:00:01' name='one' ip='10.9.8.6'/>\"": "changed",
		"name: lan, command: modify, xml: \"<host mac='52:54:00:00:00:02' name='two' ip='10.9.8.7'/>\"": "changed",
	} {
		b.check("virt_net", "{"+args+", "+uri+"}", want)
		if !strings.Contains(args, "name: other") {
			b.dry("virt_net", "{"+args+", "+uri+"}", want)
		}
	}
	for _, args := range []string{"name: other, state: active", "name: other, command: status", "name: other, state: present", "name: other, command: facts",
		"name: lan, command: modify, xml: \"<ip/>\""} {
		b.check("virt_net", "{"+args+", "+uri+"}", "failed")
	}
	b.dry("virt_net", "{name: other, state: active, "+uri+"}", "changed") // a task before may define it
	got, err := b.check("virt_net", "{command: facts, "+uri+"}", "ok").Facts.MarshalJSON()
	want := `{"ansible_libvirt_networks":{"lan":{"autostart":"no","persistent":"yes","state":"active","uuid":"11111111-6b9e-4a3c-8f3b-2a6a3d0a0004",` +
		`"bridge":"vbr7","forward_mode":"nat","domain":"lan.test"}}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	b.values(b.check("virt_net", "{command: list_nets, state: active, "+uri+"}", "ok"), "list_nets", "[lan]")
}

// A network that is ended and removed, and its leases, which the test driver has not: a program in place of virsh.
func TestVirtNetRemovesAndTellsLeases(t *testing.T) {
	b := newBench(t)
	b.write("bin/virsh", `#!/bin/sh
cd "$DIR" || exit
shift 3
echo "$*" >>calls
case $1 in
net-list) [ -e gone ] || echo ' lan ' ;;
net-info) printf 'Name:  lan\nActive:  %s\nPersistent:  yes\nAutostart:  yes\n' "$([ -e stopped ] && echo no || echo yes)" ;;
net-destroy) : >stopped ;;
net-undefine) : >gone ;;
net-dumpxml) echo "<network><name>lan</name><uuid>u</uuid><mac address='m'/></network>" ;;
net-dhcp-leases) echo ' 2026-01-02 03:04:05   52:54:00:00:00:01   ipv4   10.9.8.5/24   one   -' ;;
*) exit 1 ;;
esac
`)
	if err := os.Chmod(filepath.Join(b.dir, "bin/virsh"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.task.Env = map[string]string{"PATH": filepath.Join(b.dir, "bin") + ":" + os.Getenv("PATH"), "DIR": b.dir}
	got, err := b.check("virt_net", "command: info", "ok").Values.MarshalJSON()
	want := `{"networks":{"lan":{"autostart":"yes","persistent":"yes","state":"active","uuid":"u","macaddress":"m",` +
		`"dhcp_leases":[{"mac":"52:54:00:00:00:01","type":0,"ipaddr":"10.9.8.5","prefix":24,"hostname":"one","clientid":null}]}}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	b.dry("virt_net", "{name: lan, state: absent}", "changed")
	b.check("virt_net", "{name: lan, state: absent}", "changed")
	b.check("virt_net", "{name: lan, state: absent}", "ok")
	calls, err := os.ReadFile(filepath.Join(b.dir, "calls"))
	if n := strings.Count(string(calls), "net-undefine --network lan\n"); err != nil || n != 1 {
		t.Errorf("%s, %v", calls, err)
	}
}
