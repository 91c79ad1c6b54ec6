package libvirt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"farm/engine"
	"farm/engine/libvirt/savefile"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"
)

var _ engine.Resumer = (*Machine)(nil)

// memoryBudget bounds the writing and reading of a guest's memory.
const memoryBudget = 10 * time.Minute

// Remember is Snapshot with the guest's memory, put into file; see engine.Resumer. It is libvirt's
// external snapshot with memory, without metadata: unlike a save it leaves the guest running.
// https://libvirt.org/formatsnapshot.html
func (m *Machine) Remember(ctx context.Context, now, next []engine.MachineDisk, file string) error {
	fail := func(err error) error {
		return fmt.Errorf("save the memory of %q on %q: %w", m.Name(), m.host.Name(), err)
	}
	s, err := m.planSnapshot(ctx, now, next)
	if err != nil {
		return fail(err)
	}
	if len(s.drives) > 0 {
		return fail(errors.New("the emulator cannot save a guest with an NVMe disk"))
	}
	var snap libvirtxml.DomainSnapshot
	if err := snap.Unmarshal(s.xml); err != nil {
		return fail(err)
	}
	snap.Memory = &libvirtxml.DomainSnapshotMemory{Snapshot: "external", File: file}
	text, err := snap.Marshal()
	if err != nil {
		return fail(err)
	}
	flags := rpc.DomainSnapshotCreateAtomic | rpc.DomainSnapshotCreateNoMetadata | rpc.DomainSnapshotCreateReuseExt
	dom := m.dom()
	err = m.host.link.call(ctx, m.op("save the memory of", memoryBudget, false), func(r *rpc.Libvirt) error {
		_, err := r.DomainSnapshotCreateXML(dom, text, uint32(flags))
		return err
	})
	if err != nil {
		return errors.Join(err, m.goOn(ctx))
	}
	return nil
}

// goOn lets a guest go on that a saving which failed has left standing still.
func (m *Machine) goOn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyBudget)
	defer cancel()
	if s, err := m.State(ctx); err != nil || s != engine.Paused {
		return err
	}
	dom := m.dom()
	return m.host.link.call(ctx, m.op("resume", destroyBudget, false), func(r *rpc.Libvirt) error { return r.DomainResume(dom) })
}

// Memory describes a file of Remember; see engine.Resumer.
func (m *Machine) Memory(ctx context.Context, file string) (engine.Memory, error) {
	fail := func(err error) (engine.Memory, error) {
		return engine.Memory{}, fmt.Errorf("the memory of %q on %q: %w", m.Name(), m.host.Name(), err)
	}
	start, size, err := m.host.readStart(ctx, file)
	if err != nil {
		return fail(err)
	}
	text, err := m.ownText(ctx)
	if err != nil {
		return fail(err)
	}
	if _, err := start.With(text); err != nil {
		return fail(err)
	}
	needs, err := m.needs(ctx, text)
	if err != nil {
		return fail(err)
	}
	return engine.Memory{Path: file, Bytes: size, Needs: needs}, nil
}

// Resume starts the machine from a memory; see engine.Resumer. libvirt gets a copy of the file, with
// this machine's definition in its start.
func (m *Machine) Resume(ctx context.Context, mem engine.Memory) error {
	fail := func(err error) error {
		return fmt.Errorf("resume %q on %q: %w", m.Name(), m.host.Name(), err)
	}
	text, err := m.ownText(ctx)
	if err != nil {
		return fail(err)
	}
	needs, err := m.needs(ctx, text)
	if err != nil {
		return fail(err)
	}
	if why := unlike(mem.Needs, needs); why != "" {
		return fail(fmt.Errorf("%w: %s", engine.ErrUnfit, why))
	}
	start, _, err := m.host.readStart(ctx, mem.Path)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", engine.ErrUnfit, err))
	}
	own, err := start.With(text)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", engine.ErrUnfit, err))
	}
	if err := m.host.keepLogDaemon(ctx); err != nil {
		return fail(err)
	}
	file := path.Join(m.mark().Owner.Dir, "resume")
	defer m.host.remove(ctx, file)
	if err := m.host.copyMemory(ctx, mem.Path, file, own); err != nil {
		return fail(err)
	}
	err = m.host.link.call(ctx, m.op("resume", memoryBudget, false), func(r *rpc.Libvirt) error {
		return r.DomainRestoreFlags(file, nil, uint32(rpc.DomainSaveRunning))
	})
	if err != nil {
		return m.withLog(ctx, err)
	}
	return nil
}

// ownText is the machine's definition as a save file holds it.
func (m *Machine) ownText(ctx context.Context) (string, error) {
	dom := m.dom()
	return ask(ctx, m.host.link, m.op("read the definition of", queryBudget, true), func(r *rpc.Libvirt) (string, error) {
		return r.DomainGetXMLDesc(dom, rpc.DomainXMLInactive|rpc.DomainXMLSecure|rpc.DomainXMLMigratable)
	})
}

// startScript prints a file's size, and its start of `$2` bytes. Only a file of our own
// can become a layer's.
const startScript = `[ -O "$1" ] || { echo 'the file belongs to another user' >&2; exit 1; }
stat -c %s -- "$1" && head -c "$2" -- "$1"`

// readStart reads the start of a save file on the host.
func (h *Host) readStart(ctx context.Context, file string) (start savefile.Start, size int64, err error) {
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{
		Argv: []string{"/bin/sh", "-c", startScript, "sh", file, strconv.Itoa(savefile.Largest)}, Keep: savefile.Largest + 64,
	})
	if err != nil {
		return start, 0, fmt.Errorf("read %q: %w: %s", file, err, clean(string(out.Stderr)))
	}
	head, rest, _ := bytes.Cut(out.Stdout, []byte("\n"))
	if size, err = strconv.ParseInt(string(head), 10, 64); err != nil {
		return start, 0, fmt.Errorf("the size of %q: %w", file, err)
	}
	if start, err = savefile.Read(rest); err != nil {
		return start, 0, fmt.Errorf("%q: %w", file, err)
	}
	return start, size, nil
}

// copyMemory copies a save file, with another start.
func (h *Host) copyMemory(ctx context.Context, from, to string, start []byte) error {
	script := `umask 077; rm -f -- "$2" && cp --reflink=auto --sparse=never --no-preserve=mode -- "$1" "$2" && dd conv=notrunc status=none of="$2"`
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Argv: []string{"/bin/sh", "-c", script, "sh", from, to}, Stdin: bytes.NewReader(start), Keep: 8 << 10})
	if err != nil {
		return fmt.Errorf("copy the memory %q to %q: %w: %s", from, to, err, clean(string(out.Stderr)))
	}
	return nil
}

// remove deletes a file in a machine's folder, which goes as a whole later if this fails.
func (h *Host) remove(ctx context.Context, file string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryBudget)
	defer cancel()
	if _, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Argv: []string{"rm", "-f", "--", file}}); err != nil {
		h.cfg.Log.Warn("a file stays until its machine goes", "host", h.cfg.Name, "file", file, "error", err)
	}
}

// needs is what has to be the same where a guest resumes from the memory that a machine with this
// definition makes.
func (m *Machine) needs(ctx context.Context, text string) (map[string]string, error) {
	var d libvirtxml.Domain
	if err := d.Unmarshal(text); err != nil {
		return nil, fmt.Errorf("read the definition of %q: %w", m.Name(), err)
	}
	needs, err := definitionNeeds(&d)
	if err != nil {
		return nil, err
	}
	emulator := ""
	if d.Devices != nil {
		emulator = d.Devices.Emulator
	}
	made, err := m.host.makers(ctx, emulator)
	if err != nil {
		return nil, err
	}
	maps.Copy(needs, made)
	if d.Type != "kvm" {
		delete(needs, hostCPU) // an emulated one is the same everywhere
	}
	return needs, nil
}

const hostCPU = "the hypervisor's CPU"

// makers holds what was asked of the programs that make memories, by emulator.
type makers struct {
	mu sync.Mutex
	by map[string]map[string]string
}

// makersScript tells the emulator's file apart from other builds of it, and the host's CPU from
// others with other features.
const makersScript = `stat -L -c '%s bytes of %y' -- "$1" || exit
sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1
grep -m 1 -E '^(flags|Features)' /proc/cpuinfo | sha256sum`

// makers are the versions of what makes memories on the host with an emulator.
func (h *Host) makers(ctx context.Context, emulator string) (map[string]string, error) {
	h.made.mu.Lock()
	defer h.made.mu.Unlock()
	if known, ok := h.made.by[emulator]; ok {
		return known, nil
	}
	type versions struct{ qemu, libvirt uint64 }
	v, err := ask(ctx, h.link, op{what: "ask for versions", budget: probeBudget, again: true}, func(r *rpc.Libvirt) (v versions, err error) {
		if v.qemu, err = r.ConnectGetVersion(); err != nil {
			return v, err
		}
		v.libvirt, err = r.ConnectGetLibVersion()
		return v, err
	})
	if err != nil {
		return nil, err
	}
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Argv: []string{"/bin/sh", "-c", makersScript, "sh", emulator}, Keep: 8 << 10})
	if err != nil {
		return nil, fmt.Errorf("look at the emulator %q: %w: %s", emulator, err, clean(string(out.Stderr)))
	}
	lines := strings.Split(string(out.Stdout)+"\n\n\n", "\n")
	made := map[string]string{
		"QEMU": versionText(v.qemu), "libvirt": versionText(v.libvirt), "the emulator's file": clean(lines[0]),
		hostCPU: clean(fmt.Sprintf("%s (features %.12s)", lines[1], lines[2])),
	}
	if h.made.by == nil {
		h.made.by = map[string]map[string]string{}
	}
	h.made.by[emulator] = made
	return made, nil
}

// definitionNeeds is what a definition says of the machine that a guest's memory knows: what people ask
// for by name, and a digest of it all but what belongs to one machine alone.
func definitionNeeds(d *libvirtxml.Domain) (map[string]string, error) {
	needs := map[string]string{"acceleration": d.Type}
	if d.OS != nil && d.OS.Type != nil {
		needs["machine type"] = d.OS.Type.Arch + " " + d.OS.Type.Machine
	}
	if d.Memory != nil {
		needs["memory"] = fmt.Sprintf("%d %s", d.Memory.Value, d.Memory.Unit)
	}
	if d.VCPU != nil {
		needs["vCPUs"] = fmt.Sprint(d.VCPU.Value)
	}
	if d.CPU != nil {
		text, err := d.CPU.Marshal()
		if err != nil {
			return nil, err
		}
		needs["CPU"] = strings.Join(strings.Fields(text), " ")
	}
	anonymize(d)
	text, err := d.Marshal()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(text))
	needs["definition"] = hex.EncodeToString(sum[:8])
	return needs, nil
}

var (
	hostPort = regexp.MustCompile(`(hostfwd=tcp:[^:]*:)\d+-`)
	userCard = regexp.MustCompile(`^user,id=([^,]+)`)
	cardNet  = regexp.MustCompile(`(?:^|,)netdev=([^,]+)`)
	cardMAC  = regexp.MustCompile(`,mac=[^,]+`)
)

// anonymize takes out of a definition what is of one machine alone: names, files, forwarded
// ports, and the addresses of cards on QEMU's own network, which no other guest sees.
func anonymize(d *libvirtxml.Domain) {
	d.Name, d.UUID, d.Metadata, d.ID = "", "", nil, nil
	if d.OS != nil && d.OS.NVRam != nil {
		d.OS.NVRam = &libvirtxml.DomainNVRam{}
	}
	if dev := d.Devices; dev != nil {
		for i := range dev.Disks {
			if dev.Disks[i].Source != nil {
				dev.Disks[i].Source.File = &libvirtxml.DomainDiskSourceFile{}
			}
			dev.Disks[i].BackingStore = nil
		}
		for i := range dev.Serials {
			anonymizePort(dev.Serials[i].Source, dev.Serials[i].Log)
		}
		for i := range dev.Consoles {
			anonymizePort(dev.Consoles[i].Source, dev.Consoles[i].Log)
		}
		for i := range dev.Channels {
			anonymizePort(dev.Channels[i].Source, dev.Channels[i].Log)
		}
	}
	if d.QEMUCommandline == nil {
		return
	}
	users := map[string]bool{}
	for _, a := range d.QEMUCommandline.Args {
		if id := userCard.FindStringSubmatch(a.Value); id != nil {
			users[id[1]] = true
		}
	}
	for i := range d.QEMUCommandline.Args {
		a := &d.QEMUCommandline.Args[i]
		a.Value = hostPort.ReplaceAllString(a.Value, "${1}-")
		if of := cardNet.FindStringSubmatch(a.Value); of != nil && users[of[1]] {
			a.Value = cardMAC.ReplaceAllString(a.Value, "")
		}
	}
}

func anonymizePort(source *libvirtxml.DomainChardevSource, log *libvirtxml.DomainChardevLog) {
	if source != nil && source.UNIX != nil {
		source.UNIX.Path = ""
	}
	if source != nil && source.Pty != nil {
		source.Pty.Path = ""
	}
	if log != nil {
		log.File = ""
	}
}

// unlike names the first thing in which a machine differs from what a memory needs; "" if there is
// none. The digest of the definition comes last, as it tells least.
func unlike(want, have map[string]string) string {
	names := slices.Sorted(maps.Keys(want))
	for name := range maps.Keys(have) {
		if _, ok := want[name]; !ok {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if last := "definition"; a == last || b == last {
			return map[bool]int{true: 1, false: -1}[a == last]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		if want[name] != have[name] && name == "definition" {
			return "the machine is defined in another way"
		} else if want[name] != have[name] {
			return fmt.Sprintf("%s was %q, is %q", name, want[name], have[name])
		}
	}
	return ""
}
