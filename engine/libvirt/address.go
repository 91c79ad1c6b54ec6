package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"farm/engine"

	rpc "github.com/digitalocean/go-libvirt"
)

// SSH is where the guest's sshd is reached from the host, host:port. Where the
// address is not known beforehand it waits for a lease, the host's ARP table or the
// guest's agent to name one.
func (m *Machine) SSH(ctx context.Context) (string, error) {
	k := m.mark()
	switch {
	case k.Port != 0:
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(k.Port)), nil
	case k.Address != "":
		return k.Address, nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		addr, err := m.lease(ctx, k.MAC)
		if addr != "" {
			return net.JoinHostPort(addr, "22"), nil
		}
		if errors.Is(err, engine.ErrUnreachable) || errors.Is(err, engine.ErrNotExist) {
			return "", err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", fmt.Errorf("find the address of %q on %q: no lease, ARP entry or agent names one: %w", m.Name(), m.host.Name(), ctx.Err())
		}
	}
}

// lease asks each source of addresses once; "" where none knows one.
func (m *Machine) lease(ctx context.Context, mac string) (string, error) {
	sources := []rpc.DomainInterfaceAddressesSource{
		rpc.DomainInterfaceAddressesSrcLease, rpc.DomainInterfaceAddressesSrcAgent, rpc.DomainInterfaceAddressesSrcArp,
	}
	dom := m.dom()
	var last error
	for _, src := range sources {
		cards, err := ask(ctx, m.host.link, m.op("read the address of", destroyBudget, true), func(r *rpc.Libvirt) ([]rpc.DomainInterface, error) {
			return r.DomainInterfaceAddresses(dom, uint32(src), 0)
		})
		if err != nil {
			last = err
			continue
		}
		if a := pickAddress(cards, mac); a != "" {
			return a, nil
		}
	}
	return "", last
}

// pickAddress is the first global address of the card with the MAC, or of any but the
// loopback if mac is empty; IPv4 before IPv6.
func pickAddress(cards []rpc.DomainInterface, mac string) string {
	v6 := ""
	for _, c := range cards {
		if mac != "" && (len(c.Hwaddr) == 0 || !strings.EqualFold(c.Hwaddr[0], mac)) {
			continue
		}
		for _, a := range c.Addrs {
			ip := net.ParseIP(a.Addr)
			if ip == nil || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
				continue
			}
			if ip.To4() != nil {
				return ip.String()
			}
			if v6 == "" {
				v6 = ip.String()
			}
		}
	}
	return v6
}
