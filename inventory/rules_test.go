package inventory

import (
	"strings"
	"testing"
)

// expandKeys expands one VM with keys in its list item, which begin at line 6, column 40.
func expandKeys(t *testing.T, keys string) error {
	t.Helper()
	_, _, err := expandText(t, "all:\n  hosts:\n    localhost:\n      config:\n        list:\n          - {platform: p1, target: t1, "+keys+"}\n"+someDefinitions, ExpandOptions{})
	return err
}

func TestDefinitionsAreJudgedByTheirValues(t *testing.T) {
	for keys, want := range map[string]string{
		"vcpus: 0":                                             `6:47: vcpus is 0 (a whole number from 1 to 4096)`,
		"vcpus: ":                                              `6:47: vcpus is nothing, not a whole number`,
		"ram: -1":                                              `6:45: ram is -1 (a whole number from 1 to 67108864, in MiB)`,
		"ram: 2G":                                              `6:45: ram is text, not a whole number`,
		"timeout_scale: abc":                                   `6:55: timeout_scale is text, not a number`,
		"timeout_scale: -1":                                    `6:55: timeout_scale is -1 (a number above 0)`,
		"arch: amd64":                                          `6:46: arch is "amd64" (libvirt calls it x86_64)`,
		"arch: aarch46":                                        `6:46: arch is "aarch46" (did you mean "aarch64"?)`,
		"virt_domain: kwm":                                     `6:53: virt_domain is "kwm" (did you mean "kvm"?)`,
		"disk_mode: none":                                      `6:51: disk_mode is "none" (one of snapshot, persistent)`,
		"emulator: qemu":                                       `6:50: emulator is "qemu" (an absolute path)`,
		"firmware: OVMF.fd":                                    `6:50: firmware is "OVMF.fd" (an absolute path on the hypervisor, or auto)`,
		"firmware: {loader: x}":                                `6:59: firmware.loader is "x" (an absolute path`,
		"requires: kvm &&":                                     `6:50: requires is "kvm &&": a word is missing beside & (labels`,
		"requires: a | b":                                      `6:50: requires is "a | b": "a | b" is no word (labels`,
		"disks: [{src: a, size: 10Q}]":                         `6:63: disks[0].size is "10Q" (a size such as 10G or 512M)`,
		"disks: [{src: a, size: -5}]":                          `6:63: disks[0].size is -5 (a size`,
		"disks: [{src: a, size: 65T}]":                         `6:63: disks[0].size is "65T", not between 1 byte and 64 TiB`,
		"disks: [{src: a, size: [1]}]":                         `6:63: size is a list, not text`,
		"disks: [{src: a, siez: 1G}]":                          `6:57: unknown key "siez" (did you mean "size"?)`,
		"disks: [{src: a, colour: red}]":                       `6:57: unknown key "colour" (known: `,
		"disks: [{bus: virtio}]":                               `6:48: disks[0] has neither src nor size (src: of an image`,
		"disks: [{src: a}, {src: b, bus: vritio}]":             `6:72: disks[1].bus is "vritio" (did you mean "virtio"?)`,
		"disks: [{src: a, format: vmdk}]":                      `6:65: disks[0].format is "vmdk" (one of qcow2, raw)`,
		"disks: [{src: a, boot: 1}, {src: b, boot: 1}]":        `6:82: disks[1].boot is 1, as disks[0].boot is already`,
		"disks: [{src: a, cache: fast}]":                       `6:64: disks[0].cache is "fast" (one of `,
		"disks: {src: a, devname: /dev/vda}":                   `6:65: disks.devname is "/dev/vda" (a name such as vda`,
		"net: {type: usr}":                                     `6:52: net.type is "usr" (did you mean "user"?)`,
		`net: {mac: "52:54:zz"}`:                               `6:51: net.mac is "52:54:zz" (six pairs of hex digits`,
		`net: {mac: "53:54:00:00:00:01"}`:                      `6:51: net.mac is "53:54:00:00:00:01", the address of a group`,
		"net: {ip: 300.1.1.1}":                                 `6:50: net.ip is "300.1.1.1" (an IP address`,
		"net: {type: bridge}":                                  `6:52: net is of type bridge and has no source (the name of a bridge`,
		"net: {source: hostfwd=tcp::99999-:22}":                `6:54: net.source: "hostfwd=tcp::99999-:22": 99999 is no port from 1 to 65535`,
		"net: {source: hostfwd=8022-22}":                       `6:54: net.source: "hostfwd=8022-22" is no forward (such as `,
		`net: {source: "hostfwd=tcp::1-:2,hostfwd=tcp::1-:3"}`: `6:54: net.source: host port is tcp 1, as `,
		`net: [{mac: "52:54:00:00:00:01"}, {mac: "52:54:00:00:00:01"}]`: `6:80: net[1].mac is 52:54:00:00:00:01, as net[0].mac is already`,
		"shares: [{src: /a}]":                            `6:49: shares[0] has no tag`,
		"shares: [{tag: a}]":                             `6:49: shares[0] has no src`,
		"shares: [{src: a, tag: b}]":                     `6:55: shares[0].src is "a" (an absolute path)`,
		"shares: [{src: /a, tag: b}, {src: /c, tag: b}]": `6:83: shares[1].tag is b, as shares[0].tag is already`,
		"metadata: {hostname: a b}":                      `6:61: metadata.hostname is "a b" (letters`,
		"metadata: {hostnmae: a}":                        `6:51: unknown key "hostnmae" (did you mean "hostname"?)`,
		"metadata: {connection: here}":                   `6:63: metadata.connection is "here" (a libvirt URI`,
		"metadata: {auth: {become_method: sudu}}":        `6:73: metadata.auth.become_method is "sudu" (did you mean "sudo"?)`,
		"metadata: {auth: {user: 1 2}}":                  `6:64: metadata.auth.user is "1 2" (letters`,
		"metadata: {auth: {usr: x}}":                     `6:58: unknown key "usr" (did you mean "user"?)`,
		"metadata: {sources: {fetch: x}}":                `6:60: metadata.sources has neither before_provision nor on_provision`,
		"kernel: {params: quiet}":                        `6:48: kernel has no src`,
		"metadata: {sources: [{on_provision: {src: a, dest: b}, befor_provision: []}]}": `6:95: unknown key "befor_provision" (did you mean "before_provision"?)`,
		"disks: [{src: a, snapshot: no}]":                                               `6:67: disks[0].snapshot is False (write "no" in quotes)`,
		"count: 0":                                                                      `count is 0, less than 1`,
		"count: -1":                                                                     `count is -1, less than 1`,
	} {
		err := expandKeys(t, keys)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s:\ngot  %v\nwant %s", keys, err, want)
		}
	}
}

func TestDefinitionsMayHoldWhatTheySay(t *testing.T) {
	for _, keys := range []string{
		"disks: [{src: a.qcow2, size: 10G}, {size: 512M, bus: scsi, boot: 2}, {src: b.iso, type: raw, readonly: yes, snapshot: 'no'}]",
		"disks: {source: a, format: qcow2, size: 1073741824, serial: 0x1, cache: none}",
		"net: null", "net: [{type: user}, {type: vde}, {type: network, source: default, ip: 10.0.0.2, mask: 255.0.0.0}]",
		"net: {ip: localhost, source: 'hostfwd=tcp::8022-:22,hostfwd=tcp:127.0.0.1:8080-:80'}",
		"shares: [{src: /a, tag: a, mount: /mnt, readonly: true}]",
		"firmware: auto", "firmware: /usr/share/OVMF.fd", "firmware: ''", "requires: kvm & !slow & big-one", "requires: ''",
		"timeout_scale: 2.5", "virt_domain: kvm", "metadata: {own: 1, auth: {user: me, shell: /bin/sh}}",
	} {
		if err := expandKeys(t, keys); err != nil {
			t.Errorf("%s: %v", keys, err)
		}
	}
}

func TestDomainTemplatesMayReadKeysOfTheirOwn(t *testing.T) {
	text := "all: {hosts: {localhost: {config: {list: [{platform: p1, target: t1, disks: [{src: a, colour: red}]}]}}}}\n" + someDefinitions
	if _, _, err := expandText(t, text, ExpandOptions{}, "setup_vm/templates/default.xml.j2", "<domain/>"); err != nil {
		t.Error(err)
	}
}
