package libvirt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"regexp"
	"time"

	"farm/engine"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"
)

// names is farm's own grammar: libvirt takes nearly anything, command lines and file
// names do not.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Define makes a machine, not started. It copies the NVRAM into spec.Dir and takes a
// port where the guest is reached by a forwarded one; both are undone on an error.
func (h *Host) Define(ctx context.Context, spec engine.MachineSpec) (engine.Machine, error) {
	m, err := h.define(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("define machine %q on %q: %w", spec.Name, h.cfg.Name, err)
	}
	return m, nil
}

func (h *Host) define(ctx context.Context, spec engine.MachineSpec) (*Machine, error) {
	if !names.MatchString(spec.Name) {
		return nil, fmt.Errorf("its name may have letters, digits, dots, dashes and underlines, at most 100")
	}
	if !path.IsAbs(spec.Dir) {
		return nil, fmt.Errorf("its folder %q is not an absolute path", spec.Dir)
	}
	if err := h.refuseNamesake(ctx, spec.Name); err != nil {
		return nil, err
	}
	caps, err := h.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	k := mark{Owner: spec.Owner, Made: time.Now().UTC().Truncate(time.Millisecond), Console: path.Join(spec.Dir, "console.log")}
	b := &builder{spec: spec, caps: caps, mark: &k, asRoot: h.rootSession, uuid: newUUID()}
	if err := b.resolve(); err != nil {
		return nil, engine.Blame(engine.UserFault, err)
	}
	if k.Port, err = h.takePort(ctx, spec.Name, b.wishedPort()); err != nil {
		return nil, err
	}
	m, err := h.install(ctx, b)
	if err != nil {
		// the port must not leak even when ctx has ended
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryBudget)
		defer cancel()
		return nil, errors.Join(err, h.releasePort(undo, k.Port))
	}
	return m, nil
}

// install builds the domain and hands it to libvirt.
func (h *Host) install(ctx context.Context, b *builder) (*Machine, error) {
	dom, err := b.domain()
	if err != nil {
		return nil, engine.Blame(engine.UserFault, err)
	}
	if err := h.copyNVRAM(ctx, b.nvramFrom, b.mark.NVRAM); err != nil {
		return nil, err
	}
	text, err := dom.Marshal()
	if err != nil {
		return nil, err
	}
	d, err := h.defineXML(ctx, text)
	if err != nil {
		return nil, err
	}
	return newMachine(h, d, *b.mark), nil
}

func (h *Host) defineXML(ctx context.Context, text string) (rpc.Domain, error) {
	o := op{what: "hand over the definition", budget: probeBudget}
	return ask(ctx, h.link, o, func(r *rpc.Libvirt) (rpc.Domain, error) {
		return r.DomainDefineXMLFlags(text, rpc.DomainDefineValidate)
	})
}

// refuseNamesake keeps Define from changing a domain that is there.
func (h *Host) refuseNamesake(ctx context.Context, name string) error {
	dom, err := h.lookup(ctx, name)
	if errors.Is(err, engine.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	m, ours, err := h.adopt(ctx, dom)
	switch {
	case err != nil:
		return err
	case !ours:
		return fmt.Errorf("a domain of that name is there, and farm did not make it")
	}
	o := m.Owner()
	return fmt.Errorf("a machine of that name is there: VM %q of run %q by %s", o.VM, o.Run, o.User)
}

// copyNVRAM makes the machine's own variable store.
func (h *Host) copyNVRAM(ctx context.Context, from, to string) error {
	if to == "" {
		return nil
	}
	script := `umask 077 && cp -- "$1" "$2.new" && chmod 600 "$2.new" && mv -- "$2.new" "$2"`
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Argv: []string{"/bin/sh", "-c", script, "sh", from, to}, Keep: 8 << 10})
	if err != nil {
		return fmt.Errorf("copy the NVRAM %q to %q: %w: %s", from, to, err, clean(string(out.Stderr)))
	}
	return nil
}

// movePort gives the machine another forwarded port, in libvirt's definition too.
func (m *Machine) movePort(ctx context.Context) error {
	h, k := m.host, m.mark()
	d, err := m.definition(ctx, rpc.DomainXMLInactive|rpc.DomainXMLSecure)
	if err != nil {
		return err
	}
	old := k.Port
	if k.Port, err = h.takePort(ctx, m.Name(), portWish{any: true}); err != nil {
		return err
	}
	if !moveForward(d, old, k.Port) {
		return errors.Join(fmt.Errorf("port %d is taken, and the definition of %q does not say where", old, m.Name()),
			h.releasePort(ctx, k.Port))
	}
	if err := m.redefine(ctx, d, k); err != nil {
		return errors.Join(err, h.releasePort(ctx, k.Port))
	}
	return h.releasePort(ctx, old)
}

// redefine hands a changed definition with its mark to libvirt, for the next start.
func (m *Machine) redefine(ctx context.Context, d *libvirtxml.Domain, k mark) error {
	d.Metadata = &libvirtxml.DomainMetadata{XML: k.prefixed()}
	text, err := d.Marshal()
	if err != nil {
		return err
	}
	dom, err := m.host.defineXML(ctx, text)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.d, m.k = dom, k
	m.mu.Unlock()
	return nil
}

// newUUID is a random UUID, version 4 (RFC 9562).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
