package libvirt

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"farm/engine"
)

// reserve writes a reservation of that age, as takePort does; by "" is of a farm that did not
// say on which system.
func reserve(t *testing.T, h *Host, port int, by string, age time.Duration) {
	t.Helper()
	dir := filepath.Join(h.basic.home, ".local/state/farm/ports")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, strconv.Itoa(port))
	text := h.holder("farm-gone") + "\n"
	if by != "" {
		text += by + "\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestOldPortsAreThisDaemonsAndSystems(t *testing.T) {
	h := testHost(t)
	out, err := h.cfg.Conn.Exec(t.Context(), engine.Cmd{Script: engine.SystemScript + `printf %s "$system"`})
	if err != nil {
		t.Fatal(err)
	}
	this := string(out.Stdout)
	const hour = time.Hour
	reserve(t, h, 20001, this, hour)
	reserve(t, h, 20002, this, time.Minute) // its machine may be on the way
	reserve(t, h, 20003, "another ", hour)
	reserve(t, h, 20004, "another ", 9*24*hour)
	reserve(t, h, 20005, "", hour)
	system := &Host{cfg: h.cfg, basic: h.basic}
	system.cfg.URI = "qemu:///system"
	reserve(t, system, 20006, this, hour)
	old, err := h.oldPorts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(old, func(a, b reservation) int { return a.port - b.port })
	want := []reservation{{20001, "farm-gone"}, {20004, "farm-gone"}, {20005, "farm-gone"}}
	if !slices.Equal(old, want) {
		t.Errorf("got %v, want %v", old, want)
	}
}

func TestReservationNamesItsSystem(t *testing.T) {
	h := testHost(t)
	port, err := h.takePort(t.Context(), "m", portWish{any: true})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(h.basic.home, ".local/state/farm/ports", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	name, _ := os.Hostname()
	lines := strings.Split(string(text), "\n")
	if len(lines) != 3 || lines[0] != "qemu:///session m" || !strings.Contains(lines[1], name) {
		t.Errorf("it says %q", text)
	}
}
