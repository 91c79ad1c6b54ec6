package inventory

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"

	"farm/inventory/expr"
	"farm/inventory/regex"
	"farm/inventory/source"
	"farm/inventory/value"
)

// maxVMs bounds what one inventory may ask for.
const maxVMs = 200_000

// wish is one (platform, target) pair that a `config` asks for.
type wish struct {
	platform, target string
	host             string // hypervisor it is pinned to; "" = the dispatcher's
	count            int    // 0 = one VM without a number
	vars             *value.Dict
	extra            *value.Dict // keys of `vm` from a list item; may be nil
	pos              source.Pos
	platformPos      source.Pos
	targetPos        source.Pos
	first            bool // of those with its platform, or with its target
}

func (w *wish) id() string { return w.platform + "/" + w.target }

// wishes reads every `config`: localhost's, then those of hypervisors.
func (inv *Inventory) wishes() ([]*wish, error) {
	var all []*wish
	var errs []error
	read := func(name, pin string) (any, error) {
		raw := inv.RawHostVars(name)
		v, ok := raw.Get("config")
		if !ok || v == nil {
			return nil, nil
		}
		pos := raw.KeyPos("config")
		if !isStatic(v) {
			evaluated, err := evalConfig(inv.HostVars(name), v)
			if evaluated == nil {
				return v, err
			}
			ws, perr := parseConfig(evaluated, pos, pin)
			all = append(all, ws...)
			return v, source.Join(err, perr)
		}
		ws, err := parseConfig(v, pos, pin)
		all = append(all, ws...)
		return v, err
	}
	global, err := read("localhost", "")
	errs = append(errs, err)
	for _, name := range inv.hypervisorNames() {
		if name == "localhost" {
			continue
		}
		// A config that every host inherits, from `all` or -e, is localhost's.
		if v, _ := inv.RawHostVars(name).Get("config"); global != nil && same(v, global) {
			continue
		}
		_, err := read(name, name)
		errs = append(errs, err)
	}
	return all, source.Join(errs...)
}

// evalConfig evaluates a config's templates except those in the keys of list items that
// belong to the VM: these see the VM's variables, later. With the error comes what is right.
func evalConfig(vars *expr.Vars, v any) (any, error) {
	d, ok := v.(*value.Dict)
	if !ok {
		return vars.Eval(v)
	}
	out := d.Copy()
	var errs []error
	for k, section := range d.All() {
		list, isList := section.([]any)
		if k != "list" || !isList {
			v, err := vars.Partly(section)
			errs = append(errs, err)
			out.Set(k, v)
			continue
		}
		items := make([]any, 0, len(list))
		for _, entry := range list {
			item, err := evalItem(vars, entry)
			if errs = append(errs, err); err == nil {
				items = append(items, item)
			}
		}
		out.Set(k, items)
	}
	return out, source.Join(errs...)
}

// evalItem is evalConfig for an item of the list.
func evalItem(vars *expr.Vars, entry any) (any, error) {
	item, ok := entry.(*value.Dict)
	if !ok {
		return vars.Eval(entry)
	}
	item = item.Copy()
	var errs []error
	for _, key := range []string{"platform", "target", "count"} {
		if raw, ok := item.Get(key); ok {
			v, err := vars.Eval(raw)
			errs = append(errs, err)
			item.Set(key, v)
		}
	}
	return item, source.Join(errs...)
}

func same(a, b any) bool {
	x, xok := a.(*value.Dict)
	y, yok := b.(*value.Dict)
	if xok && yok {
		return x == y
	}
	return !xok && !yok && reflect.DeepEqual(a, b)
}

type config struct {
	Permutations *value.Dict `yaml:"permutations"`
	List         []any       `yaml:"list"`
	Exclude      []string    `yaml:"exclude"`
}

type permutations struct {
	Platforms []string `yaml:"platforms"`
	Targets   []string `yaml:"targets"`
}

// item is an entry of config.list; Rest holds keys of `vm`.
type item struct {
	Platform string      `yaml:"platform,required"`
	Target   string      `yaml:"target,required"`
	Count    *int        `yaml:"count"` // nil = one VM without a number
	Vars     *value.Dict `yaml:"vars"`
	Template any         `yaml:"template"`
	Rest     *value.Dict `yaml:",rest"`
}

func parseConfig(v any, pos source.Pos, pin string) ([]*wish, error) {
	d, ok := v.(*value.Dict)
	if !ok {
		return nil, source.Errorf(pos, "config is %s, not a mapping with permutations, list and exclude", value.Kind(v))
	}
	var c config
	errs := []error{value.Decode(d, &c)}
	var all []*wish
	at := map[string]*wish{}
	add := func(w *wish) {
		if have := at[w.id()]; have != nil {
			have.merge(w)
			return
		}
		at[w.id()] = w
		all = append(all, w)
	}
	for i, entry := range c.List {
		w, err := parseItem(entry, i, d.KeyPos("list"))
		errs = append(errs, err)
		if w != nil {
			add(w)
		}
	}
	if c.Permutations != nil {
		var p permutations
		errs = append(errs, value.Decode(c.Permutations, &p))
		if n := len(p.Platforms) * len(p.Targets); n > maxVMs {
			errs = append(errs, source.Errorf(d.KeyPos("permutations"), "%d platforms x %d targets = %d VMs, over the limit of %d", len(p.Platforms), len(p.Targets), n, maxVMs))
			p.Platforms = nil
		}
		for i, platform := range p.Platforms {
			for j, target := range p.Targets {
				if failed(c.Permutations, "platforms", i) || failed(c.Permutations, "targets", j) {
					continue
				}
				add(&wish{platform: platform, target: target, pos: d.KeyPos("permutations"),
					platformPos: c.Permutations.ItemPos("platforms", i), targetPos: c.Permutations.ItemPos("targets", j)})
			}
		}
	}
	var patterns []string
	for i, p := range c.Exclude {
		if !failed(d, "exclude", i) {
			patterns = append(patterns, p)
		}
	}
	all, err := exclude(all, patterns, d.KeyPos("exclude"))
	errs = append(errs, err)
	total := 0
	for _, w := range all {
		w.host = pin
		if total += max(w.count, 1); total > maxVMs {
			errs = append(errs, source.Errorf(w.pos, "more than %d VMs", maxVMs))
			return nil, source.Join(errs...)
		}
	}
	return all, source.Join(errs...)
}

// failed reports whether item i of the list at key could not be evaluated.
func failed(d *value.Dict, key string, i int) bool {
	list, _ := get(d, key).([]any)
	if i >= len(list) {
		return false
	}
	_, is := list[i].(value.Omit)
	return is
}

// merge lays a later wish for the same pair over w.
func (w *wish) merge(later *wish) {
	w.extra = mergeNil(w.extra, later.extra)
	w.vars = mergeNil(w.vars, later.vars)
	w.count = max(w.count, later.count)
}

func mergeNil(low, high *value.Dict) *value.Dict {
	switch {
	case low == nil:
		return high
	case high == nil:
		return low
	}
	return value.Merge(low, high)
}

func parseItem(v any, i int, pos source.Pos) (*wish, error) {
	d, ok := v.(*value.Dict)
	if !ok {
		return nil, &source.Error{Pos: pos, What: fmt.Sprintf("list[%d] is %s, not a mapping", i, value.Kind(v)), Hint: "{platform: ..., target: ...}"}
	}
	var it item
	errs := []error{value.Decode(d, &it)}
	count := 0
	if it.Count != nil && errs[0] == nil {
		if count = *it.Count; count < 1 {
			errs = append(errs, source.Errorf(d.ValPos("count"), "count is %d, less than 1", count))
			count = 0
		}
	}
	known := append([]string{"platform", "target", "count", "vars", "template"}, definitionKeys()...)
	for key := range it.Rest.All() {
		if name := fmt.Sprint(key); !contains(known, strings.TrimSuffix(name, "+")) {
			errs = append(errs, value.UnknownKey(d, name, known))
		}
	}
	for _, key := range []string{"platform", "target"} {
		if name, given := d.Get(key); given && (name == nil || name == "") {
			errs = append(errs, source.Errorf(d.ValPos(key), "%s is empty, not the name of one", key))
		}
	}
	if it.Platform == "" || it.Target == "" {
		return nil, source.Join(errs...)
	}
	extra := it.Rest.Copy()
	if it.Template != nil {
		m, _ := extra.Get("metadata")
		md, _ := m.(*value.Dict)
		own := value.NewDict("template", it.Template)
		own.CopyPos("template", d)
		extra.Set("metadata", value.Merge(md, own))
	}
	extra.SetPos(d.Pos())
	w := &wish{platform: it.Platform, target: it.Target, vars: it.Vars, pos: d.Pos(), count: count,
		platformPos: d.ValPos("platform"), targetPos: d.ValPos("target")}
	if extra.Len() > 0 {
		w.extra = extra
	}
	return w, source.Join(errs...)
}

// The keys of `vm` and of its parts that farm knows.
var (
	definitionKeys = sync.OnceValue(keysOf[Definition])
	metadataKeys   = sync.OnceValue(keysOf[Metadata])
	authKeys       = sync.OnceValue(keysOf[Auth])
	sourceKeys     = sync.OnceValue(keysOf[Source])
	diskKeys       = sync.OnceValue(keysOf[Disk])
	netKeys        = sync.OnceValue(keysOf[Net])
)

// keysOf lists the keys, aliases too, that are decoded into a T.
func keysOf[T any]() []string {
	var keys []string
	for _, f := range value.Fields(reflect.TypeFor[T]()) {
		if f.Name != "" {
			keys = append(append(keys, f.Name), f.Aliases...)
		}
	}
	return keys
}

// nativeKeys are those of a native definition.
var nativeKeys = sync.OnceValue(func() []string {
	return append([]string{"extends", "vars", "insert", "sources"}, definitionKeys()...)
})

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// exclude drops the wishes whose "platform/target" one of the globs matches.
func exclude(all []*wish, patterns []string, pos source.Pos) ([]*wish, error) {
	var globs []*regexp.Regexp
	var errs []error
	for _, p := range patterns {
		re, err := regexp.Compile(regex.Glob(p))
		if err != nil || strings.Count(p, "/") != 1 {
			errs = append(errs, &source.Error{Pos: pos, What: fmt.Sprintf("exclude %q is no pattern of a pair", p), Hint: `such as "debian_11/arm64" or "*/i386"`})
			continue
		}
		globs = append(globs, re)
	}
	var kept []*wish
next:
	for _, w := range all {
		for _, re := range globs {
			if re.MatchString(w.id()) {
				continue next
			}
		}
		kept = append(kept, w)
	}
	return kept, source.Join(errs...)
}

// isStatic reports whether v holds no template at any depth.
func isStatic(v any) bool {
	switch t := v.(type) {
	case value.Template:
		return false
	case []any:
		for _, item := range t {
			if !isStatic(item) {
				return false
			}
		}
	case *value.Dict:
		for k, item := range t.All() {
			if s, ok := k.(string); ok && value.IsTemplate(s) || !isStatic(item) {
				return false
			}
		}
	}
	return true
}
