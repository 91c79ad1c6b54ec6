package modules

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// Setup gathers facts about the host and sets them as variables, named as Ansible's.
type Setup struct {
	// GatherSubset is what to gather: all, min, hardware, network, virtual; with ! in front, not
	// that. min is always part of it, unless !min is given.
	GatherSubset []string `yaml:"gather_subset"`
	Filter       []string `yaml:"filter"`         // globs of facts' names, with or without ansible_; the others are left out
	Timeout      int      `yaml:"gather_timeout"` // accepted: each slow look-up has five seconds
	FactPath     string   `yaml:"fact_path"`      // folder of the files NAME.fact that ansible_local is made of: JSON, INI, or programs that print it
}

// factPath is the default of fact_path.
const factPath = "/etc/ansible/facts.d"

func newSetup() engine.Module {
	return &Setup{GatherSubset: []string{"all"}, Timeout: 10, FactPath: factPath}
}

// Validate checks the names of the subsets.
func (m *Setup) Validate() error {
	_, err := subsets(m.GatherSubset)
	return err
}

// Run gathers.
func (m *Setup) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	facts, err := gather(ctx, t, m.GatherSubset, m.FactPath)
	if err != nil {
		if engine.FaultOf(err) == engine.UserFault {
			return failed("%v", err), nil
		}
		return engine.Result{}, err
	}
	return engine.Result{Facts: filterFacts(facts, m.Filter)}, nil
}

func filterFacts(facts *value.Dict, globs []string) *value.Dict {
	if len(globs) == 0 || slices.Contains(globs, "*") {
		return facts
	}
	out := value.NewDict()
	for k, v := range facts.All() {
		name := k.(string)
		for _, g := range globs {
			if g == "" || name == g {
				out.Set(k, v)
			}
			full, _ := path.Match(g, name)
			short, _ := path.Match(g, strings.TrimPrefix(name, "ansible_"))
			if full || short {
				out.Set(k, v)
			}
		}
	}
	return out
}

// subsetOf maps Ansible's names of subsets to the four parts of the script. The small
// ones are gathered with the part that has them.
var subsetOf = map[string]string{
	"min": "min", "hardware": "hardware", "network": "network", "virtual": "virtual",
	"all_ipv4_addresses": "network", "all_ipv6_addresses": "network", "default_ipv4": "network", "default_ipv6": "network", "interfaces": "network",
	"devices": "hardware", "mounts": "hardware", "processor": "hardware", "processor_vcpus": "hardware", "processor_count": "hardware",
	"processor_cores": "hardware", "memfree_mb": "hardware", "memtotal_mb": "hardware", "swaptotal_mb": "hardware", "swapfree_mb": "hardware",
	"virtualization_type": "virtual", "virtualization_role": "virtual",
	"architecture": "min", "machine": "min", "kernel": "min", "kernel_version": "min", "system": "min", "platform": "min",
	"distribution": "min", "distribution_version": "min", "distribution_release": "min", "distribution_major_version": "min", "os_family": "min",
	"hostname": "min", "nodename": "min", "fqdn": "min", "domain": "min", "env": "min", "user": "min", "user_id": "min", "date_time": "min",
	"pkg_mgr": "min", "service_mgr": "min", "cmdline": "min", "dns": "min", "lsb": "min", "local": "min", "selinux": "min", "apparmor": "min",
	"caps": "min", "fips": "min", "python": "min", "ssh_pub_keys": "min", "machine_id": "min",
	"facter": "min", "ohai": "min",
}

// subsets says which parts of the script are wanted.
func subsets(names []string) (map[string]bool, error) {
	parts := []string{"min", "hardware", "network", "virtual"}
	want, not := map[string]bool{}, map[string]bool{}
	noMin, positive := false, false
	for _, name := range names {
		bare, negative := strings.CutPrefix(strings.TrimSpace(name), "!")
		part, known := subsetOf[bare]
		switch {
		case bare == "all" && negative:
			for _, p := range parts[1:] {
				not[p] = true
			}
		case bare == "all":
			positive = true
			for _, p := range parts {
				want[p] = true
			}
		case !known:
			return nil, engine.Blamef(engine.UserFault, "gather_subset: there is no subset %q; there are all, min, hardware, network and virtual", bare)
		case negative && bare == "min":
			noMin = true
		case negative:
			if bare == part {
				not[part] = true
			}
		default:
			positive = true
			want[part] = true
			delete(not, part)
		}
	}
	if !positive {
		for _, p := range parts {
			want[p] = true
		}
	}
	for p := range not {
		if !slices.Contains(names, p) {
			delete(want, p)
		}
	}
	if noMin && !slices.Contains(names, "min") {
		delete(want, "min")
	} else {
		want["min"] = true
	}
	return want, nil
}

// GatherFacts returns facts about the host of t under Ansible's names
// (ansible_architecture, ...), in one round trip. subset is as for Setup; nil = all.
// A bad subset is a UserFault; a host where the script fails has a FarmFault.
func GatherFacts(ctx context.Context, t *engine.Task, subset []string) (*value.Dict, error) {
	return gather(ctx, t, subset, factPath)
}

// gather is GatherFacts with the folder of local facts.
func gather(ctx context.Context, t *engine.Task, subset []string, localFacts string) (*value.Dict, error) {
	want, err := subsets(subset)
	if err != nil {
		return nil, err
	}
	var vars strings.Builder
	for _, p := range []string{"min", "hardware", "network", "virtual"} {
		fmt.Fprintf(&vars, "%s=%s\n", p, flag(want[p]))
	}
	r, err := script{Text: vars.String() + factsScript, Vars: map[string]string{"fact_path": localFacts}, OwnLocale: true, Keep: 4 << 20}.run(ctx, t)
	if err != nil {
		return nil, err
	}
	if !r.ok() {
		return nil, engine.Blamef(engine.FarmFault, "gather facts of %q: %s", t.Host, r.failure("").Msg)
	}
	f := facts{r: r, d: value.NewDict()}
	f.unpack()
	if want["min"] {
		f.platform()
		f.distribution()
		f.user()
		f.dateTime()
		f.system()
		f.local()
	}
	if want["hardware"] {
		f.memory()
		f.processor()
		f.mounts()
		f.dmi()
	}
	if want["network"] {
		f.network()
	}
	if want["virtual"] {
		f.virtualization()
	}
	names := []any{}
	for _, s := range subset {
		names = append(names, s)
	}
	f.set("gather_subset", names)
	f.d.Set("module_setup", true)
	return f.d, nil
}

// facts makes facts of what the script said.
type facts struct {
	r reply
	d *value.Dict
}

// set sets a fact; name is without ansible_.
func (f facts) set(name string, v any) { f.d.Set("ansible_"+name, v) }

// get is what was said, as a value.
func (f facts) get(key string) string { return strings.TrimSpace(text(f.r.get(key))) }
