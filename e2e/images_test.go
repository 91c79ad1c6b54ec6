//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/callbacks"
	"farm/engine"
	"farm/engine/enginetest"
	"farm/engine/images"
	"farm/engine/local"
	"farm/inventory"
	"farm/inventory/value"
)

// need is enginetest.Need with root's tools.
func need(t *testing.T, tools ...string) {
	t.Helper()
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	enginetest.Need(t, tools...)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// diskImage is a qcow2 image of 64 MiB with a GPT, a small first partition, and an ext4 root
// with the few files of /etc that an image is set up by.
func diskImage(t *testing.T, dir string) string {
	t.Helper()
	root := filepath.Join(dir, "root")
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\nshadow:x:42:\n",
		"etc/shadow": "root:*:19000:0:99999:7:::\n", "etc/hosts": "127.0.0.1 localhost\n",
		"etc/ssh/sshd_config": "UsePAM yes\n", "etc/machine-id": "0123456789abcdef0123456789abcdef\n", "etc/sudoers.d/README": "x\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw := filepath.Join(dir, "disk.raw")
	run(t, "truncate", "-s", "64M", raw)
	table := exec.Command("sfdisk", "-q", raw)
	table.Stdin = strings.NewReader("label: gpt\n2: start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\n1: start=4096, size=122880, type=linux\n")
	if out, err := table.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
	run(t, "mke2fs", "-q", "-t", "ext4", "-d", root, "-E", "offset=2097152", raw, "61440k")
	img := filepath.Join(dir, "disk.qcow2")
	run(t, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, img)
	return img
}

func openStore(t *testing.T) (*images.Store, engine.Conn) {
	t.Helper()
	conn := local.New()
	t.Cleanup(func() { conn.Close() })
	s, err := images.Open(t.Context(), conn, filepath.Join(t.TempDir(), "farm"))
	if err != nil {
		t.Fatal(err)
	}
	return s, conn
}

func task(callback string, args ...any) inventory.CallbackTask {
	return inventory.CallbackTask{Callback: callback, Args: value.NewDict(args...)}
}

func prepared(t *testing.T, img string, tasks ...inventory.CallbackTask) engine.Preparation {
	t.Helper()
	key := filepath.Join(t.TempDir(), "id")
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	vm := inventory.VM{ID: "debian_12/amd64"}
	install := task("", "src", "root.qcow2")
	vm.Def.Metadata.Sources = []inventory.Source{{
		BeforeProvision: append([]inventory.CallbackTask{task("callbacks/sources/fetch.yaml", "src", img, "dest", "in.qcow2")}, tasks...),
		OnProvision:     &install,
	}}
	vm.Def.Metadata.Hostname = "vm.amd64.debian"
	vm.Def.Metadata.Auth = inventory.Auth{User: "user", Password: "secret", BecomePassword: "rootsecret"}
	vm.Def.Disks = []inventory.Disk{{Src: "root.qcow2", Size: "256M"}, {Size: "1G"}}
	return engine.Preparation{VM: vm, Local: local.New(), KeyPath: key, Callback: callbacks.Find(nil, nil, nil), Emit: func(e engine.Event) { t.Log(e.Kind, e.Text) }}
}

// imageInfo is what qemu-img says.
type imageInfo struct {
	Format      string `json:"format"`
	VirtualSize int64  `json:"virtual-size"`
	ActualSize  int64  `json:"actual-size"`
	Backing     string `json:"full-backing-filename"`
}

func info(t *testing.T, file string) imageInfo {
	t.Helper()
	var i imageInfo
	if err := json.Unmarshal([]byte(run(t, "qemu-img", "info", "--output=json", "-f", "qcow2", file)), &i); err != nil {
		t.Fatal(err)
	}
	return i
}

func digest(t *testing.T, file string) [32]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil))
}

func TestImageIsExtendedAndSetUp(t *testing.T) {
	need(t, "qemu-img", "qemu-nbd", "sfdisk", "mke2fs", "debugfs", "resize2fs", "ssh-keygen")
	store, _ := openStore(t)
	p := prepared(t, diskImage(t, t.TempDir()),
		task("extend_and_convert", "src", "in.qcow2", "dest", "root.qcow2", "size", "128M", "to_format", "qcow2"),
		task("setup_image", "src", "root.qcow2"))
	l, err := store.Base(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	disk := l.Disks[0].Path
	run(t, "qemu-img", "check", "-q", "-f", "qcow2", disk)
	raw := filepath.Join(t.TempDir(), "out.raw")
	run(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, raw)
	dump := run(t, "sfdisk", "--verify", raw) + run(t, "sfdisk", "-d", raw)
	if !strings.Contains(dump, "No errors detected") {
		t.Errorf("the partition table: %s", dump)
	}
	part := raw + "?offset=2097152"
	run(t, "e2fsck", "-fn", part)
	if head := run(t, "dumpe2fs", "-h", part); !strings.Contains(head, "Block size:") || !strings.Contains(head, "Filesystem state:         clean") {
		t.Errorf("the file system: %s", head)
	} else if blocks := field(head, "Block count:") * field(head, "Block size:"); blocks < 120<<20 {
		t.Errorf("the file system has %d bytes", blocks)
	}
	for file, want := range map[string]string{
		"/etc/hostname": "vm.amd64.debian\n", "/etc/hosts": "127.0.1.1 vm.amd64.debian vm\n", "/etc/passwd": "user:x:1000:1000:",
		"/etc/shadow": "root:$6$", "/home/user/.ssh/authorized_keys": "ssh-ed25519 ", "/root/.ssh/authorized_keys": "ssh-ed25519 ",
		"/etc/ssh/sshd_config": "PermitRootLogin yes\n", "/etc/ssh/ssh_host_ed25519_key.pub": l.HostKeys[0], "/etc/sudoers.d/farm": "user ALL=",
	} {
		if got := run(t, "debugfs", "-R", "cat "+file, part); !strings.Contains(got, want) {
			t.Errorf("%s is %q, without %q", file, got, want)
		}
	}
	for file, want := range map[string]string{"/root/.ssh": "0700", "/home/user/.ssh/authorized_keys": "0600", "/etc/ssh/ssh_host_ed25519_key": "0600"} {
		if got := run(t, "debugfs", "-R", "stat "+file, part); !strings.Contains(got, "Mode:  "+want) {
			t.Errorf("%s: %s", file, got)
		}
	}
}

func field(text, name string) int64 {
	_, rest, _ := strings.Cut(text, name)
	var n int64
	for _, c := range strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]) {
		n = n*10 + int64(c-'0')
	}
	return n
}

func TestOverlaysAreSmallAndQuick(t *testing.T) {
	need(t, "qemu-img", "sfdisk", "mke2fs", "ssh-keygen")
	store, _ := openStore(t)
	p := prepared(t, diskImage(t, t.TempDir()), task("copy", "src", "in.qcow2", "dest", "root.qcow2"))
	l, err := store.Base(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	before := digest(t, l.Disks[0].Path)
	dir := filepath.Join(t.TempDir(), "a, b 'c'")
	start := time.Now()
	disks, err := store.Overlay(t.Context(), l, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("overlays of 2 disks: %s", time.Since(start))
	for i, want := range []int64{256 << 20, 1 << 30} {
		got := info(t, disks[i].Path)
		if got.Format != "qcow2" || got.VirtualSize != want || got.ActualSize > 1<<20 || got.Backing != l.Disks[i].Path {
			t.Errorf("overlay %d: %+v", i, got)
		}
	}
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 1M", disks[0].Path)
	clean, err := store.Freeze(t.Context(), engine.FreezeSpec{Key: strings.Repeat("a", 64), Name: "clean", Parent: l, Disks: disks, VM: p.VM.ID})
	if err != nil {
		t.Fatal(err)
	}
	again, err := store.Find(t.Context(), clean.Key)
	if err != nil {
		t.Fatal(err)
	}
	top, err := store.Overlay(t.Context(), again, dir)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-io", "-r", "-f", "qcow2", "-c", "read -P 7 1M 1M", top[0].Path)
	run(t, "qemu-io", "-f", "qcow2", "-c", "write -P 9 1M 1M", top[0].Path)
	if digest(t, l.Disks[0].Path) != before {
		t.Error("the base was written")
	}
	if _, err := store.Find(t.Context(), clean.Key); err != nil {
		t.Errorf("after use: %v", err)
	}
}

// TestHeaderRefusesWhatQemuFollows makes every kind of image that names a host's file by qemu-img
// itself and sees it refused, and the honest ones accepted.
func TestHeaderRefusesWhatQemuFollows(t *testing.T) {
	need(t, "qemu-img")
	dir := t.TempDir()
	canary := filepath.Join(dir, "canary")
	if err := os.WriteFile(canary, bytes.Repeat([]byte("secret"), 100<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	store, conn := openStore(t)
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"plain":      {nil, ""},
		"v2":         {[]string{"-o", "compat=0.10"}, ""},
		"clusters":   {[]string{"-o", "cluster_size=4096"}, ""},
		"2M":         {[]string{"-o", "cluster_size=2M"}, ""},
		"extended":   {[]string{"-o", "extended_l2=on,cluster_size=128k"}, ""},
		"zstd":       {[]string{"-o", "compression_type=zstd"}, ""},
		"backing":    {[]string{"-b", canary, "-F", "raw"}, "backing file"},
		"backing v2": {[]string{"-b", canary, "-F", "raw", "-o", "compat=0.10"}, "backing file"},
		"json":       {[]string{"-b", `json:{"driver":"raw","file":{"driver":"file","filename":"` + canary + `"}}`, "-F", "raw"}, "backing file"},
		"data file":  {[]string{"-o", "data_file=" + filepath.Join(dir, "ext") + ",data_file_raw=on"}, "data file"},
		"encrypted":  {[]string{"--object", "secret,id=s,data=x", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"}, "encrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			img := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".qcow2")
			run(t, "qemu-img", append(append([]string{"create", "-q", "-f", "qcow2"}, tt.args...), img, "64M")...)
			vm := inventory.VM{ID: name}
			vm.Def.Disks = []inventory.Disk{{Src: img}}
			_, err := store.Base(context.Background(), engine.Preparation{VM: vm, Local: conn, Callback: callbacks.Find(nil, nil, nil)})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestConvertNamesItsFormats(t *testing.T) {
	need(t, "qemu-img", "sfdisk", "mke2fs", "ssh-keygen")
	dir := t.TempDir()
	img, vmdk := diskImage(t, dir), filepath.Join(dir, "disk.vmdk")
	run(t, "qemu-img", "convert", "-f", "qcow2", "-O", "vmdk", img, vmdk)
	store, _ := openStore(t)
	_, err := store.Base(t.Context(), prepared(t, vmdk, task("img_convert", "src", "in.qcow2", "dest", "root.qcow2")))
	if err == nil || !strings.Contains(err.Error(), "naming that format as `from`") {
		t.Errorf("a VMDK that nobody named: %v", err)
	}
	l, err := store.Base(t.Context(), prepared(t, vmdk, task("img_convert", "src", "in.qcow2", "dest", "root.qcow2", "from", "vmdk", "to", "qcow2")))
	if err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-img", "compare", "-q", "-f", "qcow2", "-F", "qcow2", img, l.Disks[0].Path)
}
