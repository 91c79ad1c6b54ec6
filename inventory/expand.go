package inventory

import (
	"context"
	"fmt"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// expanded is what a VM was made from, so that Place can make it anew.
type expanded struct {
	vm     VM
	wish   *wish
	number int         // from 1 with count, else 0
	added  *value.Dict // variables by add_host
	suffix string      // "@host" where several hypervisors want the same pair
	faulty bool
}

// Expand lists the VMs that the inventory asks for: every host's list first, then
// platforms x targets, platform-major. It may be empty. The error holds every fault found;
// all VMs are returned beside it, the faulty as far as they can be made.
func (inv *Inventory) Expand(ctx context.Context, o ExpandOptions) ([]VM, error) {
	wishes, err := inv.wishes()
	errs := []error{err} // the wishes that are right are still built: their faults are told too
	hosts := map[string]int{}
	platforms, targets := map[string]bool{}, map[string]bool{}
	for _, w := range wishes {
		hosts[w.id()]++
		w.first = !platforms[w.platform] || !targets[w.target]
		platforms[w.platform], targets[w.target] = true, true
	}
	var all []*expanded
	for _, g := range inv.grant(ctx, wishes, hosts, o) {
		all, errs = append(all, g.vms...), append(errs, g.err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	errs = append(errs, inv.vars.faults()...) // of VMs' groups too, which Load does not know
	inv.register(all)
	vms, limitErr := limit(all, o.Limit)
	if err := source.Join(append(errs, uniqueNames(all))...); err != nil {
		return vms, inv.Likely(err) // a bad pattern is told once the rest is right
	}
	return vms, limitErr
}

// granted is what a wish comes to: the VMs up to the first that has faults.
type granted struct {
	vms []*expanded
	err error
}

// share is how many wishes are worth a goroutine.
const share = 16

// grant builds what wishes ask for, on all processors, and returns it in their order. hosts
// is how many hosts want a pair, by its id.
func (inv *Inventory) grant(ctx context.Context, wishes []*wish, hosts map[string]int, o ExpandOptions) []granted {
	all := make([]granted, len(wishes))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(wishes)/share+1) {
		workers.Go(func() {
			builders := map[string]*builder{}
			for i := next.Add(1) - 1; i < int64(len(wishes)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				w := wishes[i]
				b, err := builders[w.host], error(nil)
				if b == nil {
					if b, err = inv.builder(w.host, o); err != nil {
						all[i].err = err
						continue
					}
					builders[w.host] = b
				}
				suffix := ""
				if hosts[w.id()] > 1 && w.host != "" {
					suffix = "@" + w.host
				}
				all[i].vms, all[i].err = b.grant(ctx, w, suffix)
			}
		})
	}
	workers.Wait()
	return all
}

// grant builds the VMs of one wish.
func (b *builder) grant(ctx context.Context, w *wish, suffix string) ([]*expanded, error) {
	var all []*expanded
	for n := range max(w.count, 1) {
		x := &expanded{wish: w, suffix: suffix}
		if w.count > 1 {
			x.number = n + 1
		}
		if err := ctx.Err(); err != nil {
			return all, err
		}
		err := b.build(ctx, x)
		if err == nil || x.vm.ID != "" {
			all = append(all, x)
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// register makes VMs known to groups and hostvars.
func (inv *Inventory) register(all []*expanded) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.order, inv.groups = all, nil
	inv.expanded, inv.byName = make(map[string]*expanded, len(all)), make(map[string]*expanded, len(all))
	for _, x := range all {
		inv.expanded[x.vm.ID] = x
		inv.byName[x.vm.Name] = x
		delete(inv.scopes, x.vm.Name)
	}
}

func uniqueNames(all []*expanded) error {
	first := make(map[string]*expanded, len(all))
	var errs []error
	for _, x := range all {
		if x.faulty {
			continue
		}
		if other := first[x.vm.Name]; other != nil {
			errs = append(errs, &source.Error{Pos: x.vm.Pos, What: fmt.Sprintf("VMs %q and %q have the same name %q", other.vm.ID, x.vm.ID, x.vm.Name), Hint: "use metadata.platform_name and metadata.target_name in metadata.name"})
			continue
		}
		first[x.vm.Name] = x
	}
	return source.Join(errs...)
}

// limit selects VMs by a host pattern over ids, pairs, names and groups, in order.
func limit(all []*expanded, pattern string) ([]VM, error) {
	vms := make([]VM, 0, len(all))
	if pattern == "" {
		for _, x := range all {
			vms = append(vms, x.vm)
		}
		return vms, nil
	}
	u := &universe{names: make([][]string, len(all)), groups: map[string][]int{}}
	for i, x := range all {
		u.names[i] = []string{x.vm.ID, x.vm.Platform + "/" + x.vm.Target, x.vm.Name}
		for _, gr := range x.vm.Groups {
			u.groups[gr] = append(u.groups[gr], i)
		}
	}
	items, err := u.sel(pattern)
	if err != nil {
		return nil, err
	}
	sort.Ints(items)
	for _, i := range items {
		vms = append(vms, all[i].vm)
	}
	return vms, nil
}

// Place evaluates vm's definition anew for the host that it was placed on. Its id and
// name stay as they are.
func (inv *Inventory) Place(ctx context.Context, vm VM, host string, o ExpandOptions) (VM, error) {
	inv.mu.Lock()
	x := inv.expanded[vm.ID]
	inv.mu.Unlock()
	if x == nil {
		return VM{}, fmt.Errorf("place %q: the inventory has no such VM", vm.ID)
	}
	b, err := inv.builder(host, o)
	if err != nil {
		return VM{}, err
	}
	placed := &expanded{wish: x.wish, number: x.number, suffix: x.suffix}
	if err := b.build(ctx, placed); err != nil {
		return VM{}, err
	}
	placed.vm.ID, placed.vm.Name, placed.vm.Host = vm.ID, vm.Name, host
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.expanded[vm.ID], inv.byName[vm.Name] = placed, placed
	delete(inv.scopes, vm.Name)
	return placed.vm, nil
}

// builder makes the VMs of one hypervisor, or those not placed yet.
type builder struct {
	inv   *Inventory
	host  string // whose variables definitions see
	pin   string // "" = not placed
	base  *expr.Vars
	facts *value.Dict
	dir   string // of definitions
	uri   string // libvirt URI, by default
	// templates tells that the user has domain templates, which may read any key.
	templates bool
	number    int // of the VM that is being built, from 1 with count, else 0
	run       DefinitionRunner
}

func (inv *Inventory) builder(pin string, o ExpandOptions) (*builder, error) {
	b := &builder{inv: inv, host: pin, pin: pin, run: o.Run, uri: "qemu:///session"}
	if pin == "" {
		b.host = "localhost"
	}
	if o.Facts != nil {
		b.facts = o.Facts(b.host)
	}
	if b.facts.Len() == 0 {
		b.facts = controllerFacts()
	}
	b.base = inv.HostVars(b.host).With(b.facts, inv.extra)
	var err error
	if b.dir, err = inv.definitionDir(b.host, b.base); err != nil {
		return nil, err
	}
	b.templates = hasTemplates(b.dir)
	v, ok, err := b.base.Get("ansible_libvirt_uri")
	if err != nil {
		return nil, err
	}
	if ok && v != nil {
		b.uri = value.Text(v)
	}
	return b, nil
}

// scope is what a definition's templates see: the host's variables, the definition's own,
// `vm` as merged so far, the number of the VM among those of its count, and -e over all.
func (b *builder) scope(vars, vm *value.Dict) *expr.Vars {
	return b.base.With(vars, value.NewDict("vm", vm, "vm_index", int64(max(b.number, 1))), b.inv.extra)
}

// build makes the VM of x.wish.
func (b *builder) build(ctx context.Context, x *expanded) error {
	b.number = x.number
	p, w := b.pair(x.wish), x.wish
	// Of definitions that are wrong as they are written not every pair is made: the faults would be the same.
	if !p.partial || w.first || w.vars != nil || w.extra != nil {
		p.build(ctx, x)
	}
	x.faulty = p.partial
	return p.atUser(source.Join(p.faults...))
}

// build goes on after a fault, as far as it can, to find them all.
func (p *pair) build(ctx context.Context, x *expanded) {
	raw := p.defaults(x)
	added := map[string]*value.Dict{}
	for _, def := range []*definition{p.target, p.platform} {
		seen := p.whole(raw)
		made, err := p.evaluate(ctx, def, seen, added)
		p.fail(def, err)
		if seen != raw {
			made = value.Merge(raw, made)
		}
		raw = made
		if def == p.target { // the platform is evaluated with it
			if err := p.misnamed(raw); err != nil {
				p.fail(def, err)
				raw = value.Merge(raw, value.NewDict("metadata", value.NewDict("hostname", value.Omit{})))
			}
			p.fail(def, definitionRules.Check(raw))
			p.arch = textAt(raw, "arch")
		}
	}
	if extra := p.wish.extra; extra != nil {
		if !isStatic(extra) {
			v, err := p.scope(p.wish.vars, p.whole(raw)).Partly(extra)
			p.fail(p.platform, err)
			extra, _ = v.(*value.Dict) // a mapping stays one
		}
		edited, err := edit(raw, extra)
		p.fail(p.platform, err)
		raw = edited
	}
	p.finish(x, raw, added)
}

// whole is raw without the values that could not be made.
func (p *pair) whole(raw *value.Dict) *value.Dict {
	if !p.partial {
		return raw
	}
	v, _ := p.inv.engine.Vars().Eval(raw)
	d, _ := v.(*value.Dict)
	return d
}

// with is def with a list item's variables over its own.
func (def *definition) with(vars *value.Dict) *definition {
	d := *def
	d.vars = def.vars.Copy()
	lay(d.vars, vars)
	return &d
}

// finish turns the merged mapping into the VM.
func (p *pair) finish(x *expanded, raw *value.Dict, added map[string]*value.Dict) {
	w := x.wish
	metadata, _ := get(raw, "metadata").(*value.Dict) // another type is told by decoding
	suffix := x.suffix
	if x.number > 0 {
		suffix = "#" + strconv.Itoa(x.number) + suffix
	}
	name := textAt(metadata, "name")
	x.added = added[name]
	if suffix != "" && !strings.HasSuffix(name, suffix) {
		name += suffix
		metadata = metadata.Copy()
		metadata.Set("name", name)
		raw = raw.Copy()
		raw.Set("metadata", metadata)
	}
	vm := VM{
		Index: max(x.number, 1), ID: w.id() + suffix, Platform: textAt(metadata, "platform_name"), Target: textAt(metadata, "target_name"),
		Name: name, Host: p.pin, Pos: w.pos,
	}
	if !p.partial && metadata != nil && (vm.Name == "" || vm.Platform == "" || vm.Target == "") {
		p.fail(p.platform, source.Errorf(raw.KeyPos("metadata"), "metadata of %q has an empty name, platform_name or target_name", vm.ID))
	}
	vm.Groups = p.inv.vmGroups(vm)
	vm.Vars = p.inv.rawVMVars(vm, x)
	raw, err := p.network(x, vm, raw)
	if err != nil {
		p.fail(p.platform, err)
		raw = raw.Copy()
		raw.Set("net", value.Omit{})
	}
	p.fail(p.platform, source.Join(within(vm, decodeDefinition(raw, &vm.Def, p.templates))...))
	vm.Arch = vm.Def.Arch
	if !p.lacking && get(raw, "arch") == nil {
		p.fail(p.target, &source.Error{Pos: w.targetPos, What: fmt.Sprintf("target %q sets no arch", w.target), Hint: "such as arch: x86_64"})
	}
	vm.Def.Raw = p.whole(raw)
	x.vm = vm
}

// within gives faults without a place that of the VM's wish.
func within(vm VM, err error) []error {
	errs := source.Flatten(err)
	for i, one := range errs {
		if bad, ok := one.(*source.Error); ok && bad.Pos.IsZero() {
			errs[i] = &source.Error{Pos: vm.Pos, What: "definition of " + strconv.Quote(vm.ID), Err: bad}
		}
	}
	return errs
}

func get(d *value.Dict, key string) any {
	v, _ := d.Get(key)
	return v
}

// textAt is a scalar as text, "" where it could not be made.
func textAt(d *value.Dict, key string) string {
	v := get(d, key)
	if _, failed := v.(value.Omit); failed {
		return ""
	}
	return value.Text(v)
}

// decodeDefinition fills def from raw, where firmware may be a path, and checks it.
func decodeDefinition(raw *value.Dict, def *Definition, templates bool) error {
	d := raw
	if path, ok := get(raw, "firmware").(string); ok {
		d = raw.Copy()
		if path == "" {
			d.Delete("firmware")
		} else {
			fw := value.NewDict("loader", path)
			fw.SetPos(raw.KeyPos("firmware"))
			d.Set("firmware", fw)
		}
	}
	*def = Definition{DiskMode: "snapshot"}
	err := value.Decode(d, def)
	def.Raw = raw
	return beside(err, def.check(raw, templates))
}

// beside joins err with those of more that are about other places: a wrong type is told once.
func beside(err, more error) error {
	errs := source.Flatten(err)
	told := map[source.Pos]bool{}
	for _, one := range errs {
		if bad, ok := one.(*source.Error); ok && !bad.Pos.IsZero() {
			told[bad.Pos] = true
		}
	}
	for _, one := range source.Flatten(more) {
		if bad, ok := one.(*source.Error); !ok || !told[bad.Pos] {
			errs = append(errs, one)
		}
	}
	return source.Join(errs...)
}
