package main

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"farm/inventory"
)

func TestOpenHostsSetsAsideWhatCannotBeReached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close() // nothing listens there now
	a := &app{err: io.Discard, log: hclog.NewNullLogger(), getenv: func(string) string { return "" }}
	began := time.Now()
	hosts := a.openHosts(t.Context(), []inventory.Hypervisor{
		{Name: "closed", Connection: "ssh", Address: "127.0.0.1", Port: port, User: "nobody", Driver: "libvirt"},
		{Name: "locked", Connection: "ssh", Address: "127.0.0.1", Port: port, Locked: "in repair"},
	})
	for _, h := range hosts {
		if h.err == nil || h.conn != nil || h.host != nil {
			t.Errorf("%s: error %v, connection %v, host %v", h.Name, h.err, h.conn, h.host)
		}
	}
	if allDown(hosts) == nil || time.Since(began) > 20*time.Second {
		t.Errorf("all down: %v after %s", allDown(hosts), time.Since(began))
	}
	closeAll(hosts)
}

func TestStillOpeningNamesWhatIsAwaited(t *testing.T) {
	hosts := []*hypervisor{{Hypervisor: inventory.Hypervisor{Name: "a"}}, {Hypervisor: inventory.Hypervisor{Name: "b"}}, {Hypervisor: inventory.Hypervisor{Name: "c"}}}
	hosts[0].awaits.Store("logging in")
	hosts[1].awaits.Store("") // open
	if got := stillOpening(hosts); got != `"a": logging in` {
		t.Errorf("got %q", got)
	}
	hosts[2].awaits.Store("libvirt")
	if got := stillOpening(hosts); got != `"a": logging in; "c": libvirt` {
		t.Errorf("got %q", got)
	}
}
