package inventory

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"farm/inventory/catalog"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// pair is a target and a platform that a wish puts together, with what the user set for them.
type pair struct {
	*builder
	wish             *wish
	target, platform *definition
	arch             string // that the target has; "" = not known yet
	faults           []error
	lacking          bool // a definition, or what it extends, could not be read
	partial          bool // some values of the VM could not be made
}

// Faulty reports whether faults were found in a VM, so that parts of its definition are missing.
func (inv *Inventory) Faulty(vm VM) bool {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	x := inv.expanded[vm.ID]
	return x != nil && x.faulty
}

// AtUser replaces faults of a VM that stand in the catalogue, where there is nothing to mend, by
// faults at what of the user's led to them. Of a faulty VM it drops those that follow from others.
func (inv *Inventory) AtUser(vm VM, err error) error {
	inv.mu.Lock()
	x := inv.expanded[vm.ID]
	inv.mu.Unlock()
	if x == nil || err == nil {
		return err
	}
	b, berr := inv.builder(x.wish.host, ExpandOptions{})
	if berr != nil {
		return err
	}
	p := b.pair(x.wish)
	p.arch, p.partial, p.faults = vm.Arch, x.faulty, nil
	p.fail(p.platform, err)
	return p.atUser(source.Join(p.faults...))
}

// pair looks up the definitions that a wish names. One that cannot be read is empty.
func (b *builder) pair(w *wish) *pair {
	p := &pair{builder: b, wish: w}
	find := func(kind, name string, pos source.Pos) *definition {
		def, err := b.inv.lookup(kind, name, b.dir, pos)
		if err != nil {
			def = &definition{kind: kind, name: name, pos: pos, faults: err, lacking: true, chain: value.NewDict(), fixed: true}
		}
		if p.lacking = p.lacking || def.lacking; def.faults != nil {
			p.faults, p.partial = append(p.faults, def.faults), true
		}
		return def
	}
	p.target, p.platform = find("targets", w.target, w.targetPos), find("platforms", w.platform, w.platformPos)
	if w.vars != nil {
		for _, def := range []**definition{&p.target, &p.platform} {
			if (*def).vars != nil {
				*def = (*def).with(w.vars)
			}
		}
	}
	return p
}

// fail records what is wrong, but for what only follows from faults known already.
func (p *pair) fail(def *definition, err error) {
	for _, one := range source.Flatten(err) {
		if !p.follows(def, one) {
			p.faults = append(p.faults, p.unseen(one))
		}
	}
	p.partial = p.partial || err != nil
}

// unseen tells of an undefined variable that it is one of the VM's groups: those come after definitions.
func (p *pair) unseen(err error) error {
	var undefined *expr.UndefinedError
	bad, ok := err.(*source.Error)
	if !ok || bad.Hint != "" || !errors.As(err, &undefined) {
		return err
	}
	for _, name := range p.inv.vmGroups(VM{Platform: p.wish.platform, Target: p.wish.target}) {
		of, _ := p.inv.vars.get("group_vars", name) // a fault there is told elsewhere
		if gr := p.inv.graph.groups[name]; gr != nil && gr.vars.Has(undefined.Name) || of.Has(undefined.Name) {
			told := *bad
			told.Hint = fmt.Sprintf("the group %s sets it, but definitions see the variables of `all` and of the hypervisor", name)
			return &told
		}
	}
	return err
}

// follows reports whether a fault, found in def, is there because something else is wrong.
func (p *pair) follows(def *definition, err error) bool {
	var undefined *expr.UndefinedError
	if errors.As(err, &undefined) && (def.lacking || p.partial && strings.HasPrefix(undefined.Name+".", "vm.")) {
		return true
	}
	bad, ok := err.(*source.Error)
	return ok && p.partial && builtIn(bad.Pos)
}

// atUser is AtUser for what was found in a pair.
func (p *pair) atUser(err error) error {
	errs := source.Flatten(err)
	for i, one := range errs {
		if bad, ok := one.(*source.Error); ok && builtIn(bad.Pos) {
			errs[i] = p.blame(bad)
		}
	}
	return source.Join(errs...)
}

// builtIn reports whether a place is in the catalogue.
func builtIn(pos source.Pos) bool { return strings.HasPrefix(pos.File, catalogName) }

// catalogName begins the names of the catalogue's files.
const catalogName = "catalog:"

// blame finds what of the user's led to a fault in the catalogue.
func (p *pair) blame(bad *source.Error) error {
	var undefined *expr.UndefinedError
	if errors.As(bad, &undefined) {
		return p.unset(bad, undefined.Name)
	}
	bare := *bad
	bare.Pos, bare.Hint = source.Pos{}, ""
	if name, pos := p.given(p.textAt(bad.Pos)); name != "" {
		return &source.Error{Pos: pos, What: fmt.Sprintf("%s, by the variable %q", bare.Error(), name), Hint: bad.Hint}
	}
	return p.unmade(bad)
}

// unmade is a fault of the pair as a whole.
func (p *pair) unmade(cause error) error {
	return &source.Error{Pos: p.wish.platformPos, What: fmt.Sprintf("platform %q cannot be made for target %q", p.wish.platform, p.wish.target), Err: cause}
}

// misnamed is the fault of a name that the host name of the VM cannot be made from.
func (p *pair) misnamed(vm *value.Dict) error {
	metadata, _ := get(vm, "metadata").(*value.Dict)
	w := p.wish
	if name := value.Text(get(metadata, "hostname")); name != defaultHostname(w) || hostName.MatchString(name) {
		return nil
	}
	kind, name, pos := "platform", w.platform, w.platformPos
	if !hostName.MatchString("vm." + w.target) {
		kind, name, pos = "target", w.target, w.targetPos
	}
	return &source.Error{Pos: pos, What: fmt.Sprintf("%q is no name of a %s, as it is part of the VM's host name", name, kind), Hint: "letters, digits, _ and -, at most 63"}
}

// unset says what a pair has to set so that the catalogue's definitions have all they read.
func (p *pair) unset(bad *source.Error, name string) error {
	w := p.wish
	if p.arch == "" {
		return &source.Error{Pos: w.targetPos, What: fmt.Sprintf("target %q sets no arch", w.target), Hint: "such as arch: x86_64"}
	}
	pos := w.platformPos
	if !builtIn(p.platform.pos) {
		pos = p.platform.pos
	}
	name, _, _ = strings.Cut(name, "[")
	raw, ok := p.platform.vars.Get(name)
	if !ok && !strings.Contains(name, ".") {
		return &source.Error{Pos: pos, What: fmt.Sprintf("platform %q does not set the variable %q, which %s reads", w.platform, name, bad.Pos.File),
			Hint: fmt.Sprintf("vars: {%s: ...}", name)}
	}
	at := p.platform.vars.ValPos(name)
	own := ok && !builtIn(at)
	if own {
		pos = at
	}
	by, isDict := raw.(*value.Dict)
	switch {
	case own && !isDict:
		return &source.Error{Pos: pos, What: fmt.Sprintf("the variable %q is %s, not a mapping with a key for the arch %s", name, value.Kind(raw), p.arch),
			Hint: fmt.Sprintf("%s: {%s: ...}", name, p.arch)}
	case !isDict || by.Has(p.arch):
		return p.unmade(bad)
	}
	keys := by.Keys()
	slices.Sort(keys)
	return &source.Error{Pos: pos, What: fmt.Sprintf("platform %q cannot be made for target %q: its variable %q has nothing for the arch %s, only for %s",
		w.platform, w.target, name, p.arch, strings.Join(keys, ", ")), Hint: p.otherTargets(name, keys)}
}

// otherTargets says how a pair can be made after all.
func (p *pair) otherTargets(name string, archs []string) string {
	var targets []string
	for _, target := range catalog.Names("targets") {
		if def, err := p.inv.lookup("targets", target, p.dir, source.Pos{}); err == nil && slices.Contains(archs, value.Text(get(def.chain, "arch"))) {
			targets = append(targets, target)
		}
	}
	hint := fmt.Sprintf("set vars: {%s: {%s: ...}}", name, p.arch)
	if len(targets) > 0 {
		hint = "a target such as " + strings.Join(targets, ", ") + ", or " + hint
	}
	return hint
}

var identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// given is the first variable that the user set among those that a template reads, and those that
// these are made from; "" where there is none.
func (p *pair) given(text string) (name string, pos source.Pos) {
	host := p.inv.RawHostVars(p.host)
	seen := map[string]bool{}
	todo := identifier.FindAllString(text, -1)
	for len(todo) > 0 {
		name, todo = todo[0], todo[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		if p.inv.extra.Has(name) {
			return name, p.inv.extra.ValPos(name)
		}
		set := p.platform.vars
		if !set.Has(name) {
			set = host
		}
		if pos = set.ValPos(name); set.Has(name) && !pos.IsZero() && !builtIn(pos) {
			return name, pos
		}
		raw, _ := set.Get(name)
		eachTemplate(raw, func(t value.Template) { todo = append(todo, identifier.FindAllString(t.Text, -1)...) })
	}
	return "", source.Pos{}
}

// textAt is the template that holds a place.
func (p *pair) textAt(pos source.Pos) string {
	best := value.Template{}
	for _, d := range []*value.Dict{p.platform.chain, p.platform.vars, p.target.chain, p.target.vars} {
		eachTemplate(d, func(t value.Template) {
			if t.Pos.File == pos.File && t.Pos.Line == pos.Line && t.Pos.Col <= pos.Col && t.Pos.Col > best.Pos.Col {
				best = t
			}
		})
	}
	return best.Text
}

// eachTemplate calls f for the templates in v, at any depth.
func eachTemplate(v any, f func(value.Template)) {
	switch t := v.(type) {
	case value.Template:
		f(t)
	case []any:
		for _, item := range t {
			eachTemplate(item, f)
		}
	case *value.Dict:
		for _, item := range t.All() {
			eachTemplate(item, f)
		}
	}
}
