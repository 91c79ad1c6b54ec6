package inventory

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"farm/inventory/source"
	"farm/inventory/value"
)

// defaults is the definition that every VM starts from.
func (b *builder) defaults(x *expanded) *value.Dict {
	w := x.wish
	name := fmt.Sprintf("VM %s_%s", w.platform, w.target)
	if x.number > 0 {
		name += fmt.Sprint("#", x.number)
	}
	home := b.home()
	return value.NewDict(
		"metadata", value.NewDict(
			"target_name", w.target,
			"platform_name", w.platform,
			"name", name,
			"hostname", defaultHostname(w),
			"connection", b.uri,
			"libvirt_pool_dir", home+"/.local/share/libvirt/images/",
			"tmp_dir", home+"/tmp/",
			"sources", []any{},
		),
		"vcpus", int64(4),
		"ram", int64(2048),
		"net", value.NewDict("type", "user"),
	)
}

// defaultHostname is the guest's host name where no definition gives one.
func defaultHostname(w *wish) string { return "vm." + w.target + "." + w.platform }

// home is the home folder of the hypervisor's user, "~" where it is not known.
func (b *builder) home() string {
	env, _ := get(b.facts, "ansible_env").(*value.Dict)
	if home, ok := get(env, "HOME").(string); ok && home != "" {
		return strings.TrimSuffix(home, "/")
	}
	return "~"
}

// network completes the network cards: a MAC that stays the same from run to run, the
// address of user networking, and a port that the inventory gives. With an error comes raw.
func (b *builder) network(x *expanded, vm VM, raw *value.Dict) (*value.Dict, error) {
	v := get(raw, "net")
	if _, failed := v.(value.Omit); failed {
		return raw, nil
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	out := make([]any, len(list))
	for i, one := range list {
		if _, failed := one.(value.Omit); failed {
			out[i] = one
			continue
		}
		card, ok := one.(*value.Dict)
		if !ok {
			if one == nil && !isList {
				return raw, nil // `net: null`: no card
			}
			return raw, source.Errorf(raw.KeyPos("net"), "net is %s, not a mapping or a list of mappings", value.Kind(one))
		}
		seed := vm.Name
		if i > 0 {
			seed += fmt.Sprint("/net", i)
		}
		done, err := b.card(card, vm, seed, i == 0)
		if err != nil {
			return raw, err
		}
		out[i] = done
	}
	raw = raw.Copy()
	if isList {
		raw.Set("net", out)
	} else {
		raw.Set("net", out[0])
	}
	return raw, nil
}

func (b *builder) card(card *value.Dict, vm VM, seed string, first bool) (*value.Dict, error) {
	card = card.Copy()
	if card.Len() > 0 && !card.Has("type") {
		card.Set("type", "user")
	}
	if !card.Has("mac") {
		mac, err := b.mac(seed)
		if err != nil {
			return nil, err
		}
		card.Set("mac", mac)
	}
	if value.Text(get(card, "type")) != "user" {
		return card, nil
	}
	if !card.Has("ip") {
		card.Set("ip", "127.0.0.1")
	}
	opts := value.Text(get(card, "source"))
	if !first || strings.Contains(opts, "hostfwd") || !vm.Vars.Has("ansible_port") {
		return card, nil
	}
	port, _, err := b.inv.scopeOf(vm).Get("ansible_port")
	if err != nil {
		return nil, err
	}
	n, err := value.ParseInt(port)
	if err != nil || n < 1 || n > 65535 {
		return nil, &source.Error{Pos: vm.Vars.ValPos("ansible_port"), What: fmt.Sprintf("ansible_port is %q", value.Text(port)), Hint: "a whole number from 1 to 65535"}
	}
	if n == 22 { // the guest's own port, as a group may set it for every VM
		return card, nil
	}
	forward := fmt.Sprintf("hostfwd=tcp:127.0.0.1:%d-:22", n)
	if opts != "" {
		forward = opts + "," + forward
	}
	card.Set("source", forward)
	return card, nil
}

// mac is the address that random_mac gives for the seed.
func (b *builder) mac(seed string) (string, error) {
	v, err := b.inv.engine.Vars(value.NewDict("seed", seed)).Expression("'52:54:00' | random_mac(seed=seed)", source.Pos{})
	if err != nil {
		return "", fmt.Errorf("MAC address for %q: %w", seed, err)
	}
	return value.Text(v), nil
}

// controllerFacts are the few of Ansible's facts that definitions read, of this machine.
func controllerFacts() *value.Dict {
	home, _ := os.UserHomeDir()
	env := value.NewDict("HOME", home, "USER", os.Getenv("USER"))
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	d := value.NewDict(
		"ansible_architecture", arch,
		"ansible_machine", arch,
		"ansible_system", "Linux",
		"ansible_env", env,
		"ansible_user_dir", home,
		"ansible_user_id", os.Getenv("USER"),
		"ansible_processor_vcpus", int64(runtime.NumCPU()),
	)
	if name, err := os.Hostname(); err == nil {
		d.Set("ansible_hostname", strings.Split(name, ".")[0])
	}
	total, free := memory()
	if total > 0 {
		d.Set("ansible_memtotal_mb", total)
		d.Set("ansible_memfree_mb", free)
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		d.Set("ansible_kernel", strings.TrimSpace(string(text)))
	}
	return d
}

// memory reads MiB in all and free from /proc/meminfo (proc_meminfo(5)); 0 where there is none.
func memory() (total, free int64) {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kib); n == 1 {
			total = kib / 1024
		}
		if n, _ := fmt.Sscanf(line, "MemFree: %d kB", &kib); n == 1 {
			free = kib / 1024
		}
	}
	return total, free
}
