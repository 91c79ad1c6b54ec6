package dispatch

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"farm/engine"
	"farm/inventory"
)

func host(name, kvm string, archs ...string) Host {
	caps := engine.Capabilities{Arch: archs[0], Guests: map[string]engine.GuestSupport{}}
	for _, a := range archs {
		caps.Guests[a] = engine.GuestSupport{Emulator: "/usr/bin/qemu-system-" + a, KVM: a == kvm, WhyNot: "another architecture"}
	}
	return Host{Name: name, Caps: caps}
}

func vm(platform, arch string) inventory.VM {
	return inventory.VM{ID: platform + "/" + arch, Platform: platform, Arch: arch, Def: inventory.Definition{VCPUs: 1, RAMMiB: 512}}
}

// The wish list of the reference case: one VM from the list, then three platforms on two targets.
func wishes() []inventory.VM {
	vms := []inventory.VM{vm("arch", "x86_64")}
	for _, p := range []string{"p1", "p2", "p3"} {
		vms = append(vms, vm(p, "x86_64"), vm(p, "aarch64"))
	}
	return vms
}

func fourHosts() []Host {
	return []Host{
		host("hA", "x86_64", "x86_64", "aarch64"), host("hB", "aarch64", "aarch64", "x86_64"),
		host("hC", "", "x86_64", "aarch64"), host("hD", "x86_64", "x86_64", "aarch64"),
	}
}

func byHost(ps []Placement) string {
	at := map[string][]string{}
	for _, p := range ps {
		at[p.Host] = append(at[p.Host], p.VM.ID)
	}
	var parts []string
	for _, h := range []string{"hA", "hB", "hC", "hD"} {
		if len(at[h]) > 0 {
			parts = append(parts, h+": "+strings.Join(at[h], " "))
		}
	}
	return strings.Join(parts, "; ")
}

func TestQueuePlacesTheReferenceCase(t *testing.T) {
	q := New(fourHosts())
	if refused := q.Add(wishes()...); len(refused) > 0 {
		t.Fatalf("refused: %v", refused)
	}
	want := "hA: arch/x86_64 p2/x86_64; hB: p1/aarch64 p2/aarch64 p3/aarch64; hD: p1/x86_64 p3/x86_64"
	if got := byHost(q.Planned()); got != want {
		t.Errorf("placed %s\nwant %s", got, want)
	}
}

func TestQueueGoesElsewhereWhenAHostIsDown(t *testing.T) {
	hosts := fourHosts()
	hosts[1].Down = "virsh does not answer"
	q := New(hosts)
	q.Add(wishes()...)
	want := "hA: arch/x86_64 p1/aarch64 p2/x86_64; hC: p2/aarch64; hD: p1/x86_64 p3/x86_64 p3/aarch64"
	if got := byHost(q.Planned()); got != want {
		t.Errorf("placed %s\nwant %s", got, want)
	}
}

func TestQueueKeepsPlacementsWhenAHostIsAppended(t *testing.T) {
	q := New(fourHosts()[:1])
	q.Add(wishes()...)
	before := byHost(q.Planned())
	slow := host("hZ", "", "x86_64")
	q = New(append(fourHosts()[:1], slow))
	q.Add(wishes()...)
	if got := byHost(q.Planned()); got != before {
		t.Errorf("appending a slower host moved VMs: %s, before %s", got, before)
	}
}

func TestQueueRefusesWithAReasonPerHost(t *testing.T) {
	hosts := []Host{host("a", "", "x86_64"), host("b", "", "x86_64", "ppc64le"), host("c", "", "ppc64le")}
	hosts[1].Locked = "being repaired"
	hosts[2].Unable = map[string]string{"debian_12/ppc64le": "no firmware /x.fd"}
	q := New(hosts)
	refused := q.Add(vm("debian_12", "ppc64le"), vm("debian_12", "x86_64"))
	if len(refused) != 1 || q.Waiting() != 1 {
		t.Fatalf("refused %v, waiting %d; want one of each", refused, q.Waiting())
	}
	want := "no hypervisor can run debian_12/ppc64le (a: no emulator for ppc64le (it has x86_64); b: locked: being repaired; c: no firmware /x.fd)"
	if got := refused[0].String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestQueueHonoursRequires(t *testing.T) {
	big := host("big", "x86_64", "x86_64")
	big.Labels = []string{"big"}
	for _, c := range []struct{ requires, want string }{
		{"big", "big"}, {"!big", "small"}, {"kvm & big", "big"}, {"kvm & !big", ""}, {"small", "small"},
	} {
		q := New([]Host{host("small", "", "x86_64"), big})
		v := vm("p", "x86_64")
		v.Def.Requires = c.requires
		q.Add(v)
		p, _ := q.Next()
		if p.Host != c.want {
			t.Errorf("requires %q: placed on %q, want %q", c.requires, p.Host, c.want)
		}
	}
}

func TestQueueNeverExceedsCapacity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var hosts []Host
		for i := range rapid.IntRange(1, 4).Draw(t, "hosts") {
			h := host(fmt.Sprint("h", i), rapid.SampledFrom([]string{"", "x86_64"}).Draw(t, "kvm"), "x86_64")
			h.VCPUs, h.MemoryMiB = rapid.IntRange(1, 4).Draw(t, "cpus"), rapid.IntRange(512, 4096).Draw(t, "memory")
			h.VMs = rapid.IntRange(0, 3).Draw(t, "vms")
			hosts = append(hosts, h)
		}
		q := New(hosts)
		n := rapid.IntRange(1, 30).Draw(t, "n")
		left := map[string]bool{}
		for i := range n {
			v := vm(fmt.Sprint("p", i), "x86_64")
			v.Def.VCPUs, v.Def.RAMMiB = rapid.IntRange(1, 6).Draw(t, "vcpus"), rapid.IntRange(128, 2048).Draw(t, "ram")
			if len(q.Add(v)) == 0 {
				left[v.ID] = true
			}
		}
		var live []string
		for len(left) > 0 {
			p, ok := q.Next()
			if ok {
				if !left[p.VM.ID] {
					t.Fatalf("%s placed twice", p.VM.ID)
				}
				delete(left, p.VM.ID)
				live = append(live, p.VM.ID)
			} else if len(live) == 0 {
				t.Fatalf("stuck with %d waiting and nothing running", q.Waiting())
			} else {
				q.Done(live[0])
				live = live[1:]
			}
			for _, h := range q.hosts {
				if h.inUse.vcpus > h.VCPUs || h.inUse.memoryMiB > h.MemoryMiB || h.VMs > 0 && h.inUse.vms > h.VMs {
					t.Fatalf("%s is over its capacity: %+v", h.Name, h.inUse)
				}
			}
		}
	})
}
