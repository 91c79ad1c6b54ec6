package images

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"farm/engine"
	"farm/engine/local"
	"farm/inventory"
	"farm/inventory/value"
)

// host is this machine with a home folder of the test's own, and a qemu-img that knows
// what the store asks of it.
type host struct {
	*local.Conn
	home, bin string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{Conn: local.New(), home: t.TempDir(), bin: t.TempDir()}
	t.Cleanup(func() { h.Close() })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(h.bin, "qemu-img")); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *host) Exec(ctx context.Context, c engine.Cmd) (engine.Output, error) {
	env := map[string]string{
		"HOME": h.home, "PATH": h.bin + ":" + os.Getenv("PATH"), "FARM_TEST_QEMU_IMG": "1",
		"GORACE": "atexit_sleep_ms=0", // under -race each qemu-img would sleep a second before it exits
	}
	maps.Copy(env, c.Env)
	c.Env = env
	return h.Conn.Exec(ctx, c)
}

func TestMain(m *testing.M) {
	if os.Getenv("FARM_TEST_QEMU_IMG") != "" && filepath.Base(os.Args[0]) == "qemu-img" {
		if err := fakeQemuImg(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "qemu-img:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fakeQemuImg does `create -q -f qcow2 [-F FORMAT -b BACKING] -- FILE [SIZE]` and nothing else.
func fakeQemuImg(args []string) error {
	if len(args) < 6 || strings.Join(args[:4], " ") != "create -q -f qcow2" {
		return fmt.Errorf("not told about %q", args)
	}
	args = args[4:]
	var backing, format string
	var size int64
	if args[0] == "-F" && args[2] == "-b" {
		format, backing, args = args[1], args[3], args[4:]
		b, err := os.ReadFile(backing)
		if err != nil {
			return err
		}
		head, err := ReadHeader(b[:min(len(b), HeaderBytes)], int64(len(b)))
		if err != nil || head.Format != format {
			return fmt.Errorf("backing file is %q, not %q: %v", head.Format, format, err)
		}
		size = head.VirtualBytes
	}
	if args[0] != "--" {
		return fmt.Errorf("not told about %q", args)
	}
	if len(args) == 3 {
		n, err := strconv.ParseInt(args[2], 10, 64)
		if err != nil {
			return err
		}
		size = n
	}
	return os.WriteFile(args[1], qcow2(size, backing, format), 0o644)
}

// qcow2 is an empty image of version 3 with clusters of 64 KiB.
func qcow2(size int64, backing, format string) []byte {
	const cluster = 64 << 10
	b := make([]byte, 4*cluster)
	copy(b, "QFI\xfb")
	put32, put64 := binary.BigEndian.PutUint32, binary.BigEndian.PutUint64
	put32(b[4:], 3)
	put32(b[20:], 16)
	put64(b[24:], uint64(size))
	put32(b[36:], uint32((size+512<<20-1)/(512<<20)))
	put64(b[40:], 3*cluster)
	put64(b[48:], cluster)
	put32(b[56:], 1)
	put32(b[96:], 4)
	put32(b[100:], 104)
	at := 104
	if format != "" {
		put32(b[at:], extBackingFormat)
		put32(b[at+4:], uint32(len(format)))
		copy(b[at+8:], format)
		at += 8 + (len(format)+7)&^7
	}
	at += 8
	if backing != "" {
		put64(b[8:], uint64(at))
		put32(b[16:], uint32(len(backing)))
		copy(b[at:], backing)
	}
	return b
}

// put is a callback that writes an image into the layer and counts how often it ran.
type put struct {
	Name  string `yaml:"name"`
	Size  string `yaml:"size"`
	ran   func(ctx context.Context, im *engine.Image) error
	Extra string `yaml:"extra"`
}

func (p *put) Run(ctx context.Context, im *engine.Image) error {
	if p.ran != nil {
		if err := p.ran(ctx, im); err != nil {
			return err
		}
	}
	n, err := ParseSize(p.Size)
	if err != nil {
		return err
	}
	return im.Conn.Upload(ctx, filepath.Join(im.PoolDir, p.Name), 0o644, bytes.NewReader(qcow2(n, "", "")))
}

// preparation is one VM with a disk made by put and a blank one.
func preparation(ran func(context.Context, *engine.Image) error) engine.Preparation {
	vm := inventory.VM{ID: "debian_12/amd64"}
	vm.Def.Metadata.Sources = []inventory.Source{{BeforeProvision: []inventory.CallbackTask{{
		Callback: "put", Args: value.NewDict("name", "root.qcow2", "size", "1G"),
	}}}}
	vm.Def.Disks = []inventory.Disk{{Type: "qcow2", Src: "root.qcow2", Size: "3G"}, {Size: "100M", Serial: "scratch"}}
	return engine.Preparation{VM: vm, Callback: func(name string) (engine.CallbackDef, error) {
		if name != "put" {
			return engine.CallbackDef{}, fmt.Errorf("unknown callback %q", name)
		}
		return engine.CallbackDef{Name: "put", New: func() engine.Callback { return &put{ran: ran} }}, nil
	}}
}
