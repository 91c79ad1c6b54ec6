package libvirt

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"farm/engine"
)

// Forwarded ports are allotted from this range, below the ports that Linux gives to
// outgoing connections.
const (
	firstPort = 20000
	portCount = 10000
)

// portWish is what a definition says about the guest's forwarded port.
type portWish struct {
	any  bool // one is needed, whichever
	port int  // this one; 0 = none preset
}

// portsScript reserves a port by a file named after it, made only if it is not there, so
// that several controllers may share a host. `$1` is "any" or "this", `$2` where to begin,
// `$3` the holder, `$4` the first of the range and `$5` its size. /proc/net/tcp tells what listens.
// What tells this system from others with which it may share the folder follows the holder.
const portsScript = engine.SystemScript + `dir=${XDG_STATE_HOME:-$HOME/.local/state}/farm/ports
how=$1 port=$2 holder=$3 first=$4 count=$5
mkdir -p "$dir" || exit 1
busy() { cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ": [0-9A-F]*:$(printf %04X "$1") [0-9A-F]*:0000 0A "; }
take() { ( set -C; printf '%s\n%s\n' "$holder" "$system" >"$dir/$1" ) 2>/dev/null; }
tries=0
while [ $tries -lt 500 ]; do
	if [ "$how" = this ]; then
		if ! take "$port"; then echo "held $(head -n 1 "$dir/$port" | head -c 200)"; exit 0; fi
		if busy "$port"; then rm -f "$dir/$port"; echo busy; exit 0; fi
		echo "port $port"; exit 0
	fi
	if [ ! -e "$dir/$port" ] && ! busy "$port" && take "$port"; then echo "port $port"; exit 0; fi
	port=$((first + (port - first + 1) % count)) tries=$((tries + 1))
done
echo none
`

// takePort reserves a forwarded port on the host for a machine; 0 if none is wished.
func (h *Host) takePort(ctx context.Context, name string, wish portWish) (int, error) {
	if !wish.any && wish.port == 0 {
		return 0, nil
	}
	h.ports.Lock()
	defer h.ports.Unlock()
	if _, err := h.dropStale(ctx, false); err != nil {
		return 0, err
	}
	how, begin := "this", wish.port
	if wish.port == 0 {
		// users of one host keep separate books: different beginnings keep them apart
		f := fnv.New32a()
		fmt.Fprintf(f, "%s\n%s", h.basic.user, name)
		how, begin = "any", firstPort+int(f.Sum32()%portCount)
	}
	argv := []string{"/bin/sh", "-c", portsScript, "sh", how, strconv.Itoa(begin), h.holder(name), strconv.Itoa(firstPort), strconv.Itoa(portCount)}
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Argv: argv, Keep: 8 << 10})
	if err != nil {
		return 0, fmt.Errorf("reserve a port: %w: %s", err, clean(string(out.Stderr)))
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(string(out.Stdout)), " ")
	switch word {
	case "port":
		return strconv.Atoi(rest)
	case "held":
		return 0, engine.Blamef(engine.UserFault, "port %d is held by %q; leave hostfwd out and farm allots one", wish.port, clean(rest))
	case "busy":
		return 0, engine.Blamef(engine.UserFault, "port %d is in use by another program; leave hostfwd out and farm allots one", wish.port)
	}
	return 0, fmt.Errorf("reserve a port: none of %d to %d is free", firstPort, firstPort+portCount-1)
}

// releasePort gives a port back; 0 is none.
func (h *Host) releasePort(ctx context.Context, port int) error {
	if port == 0 {
		return nil
	}
	script := `rm -f -- "${XDG_STATE_HOME:-$HOME/.local/state}/farm/ports/$1"`
	cmd := engine.Cmd{Argv: []string{"/bin/sh", "-c", script, "sh", strconv.Itoa(port)}}
	if _, err := h.cfg.Conn.Exec(ctx, cmd); err != nil {
		return fmt.Errorf("give port %d on %q back: %w", port, h.cfg.Name, err)
	}
	return nil
}

// holder is what a reservation's file says: the daemon and the machine.
func (h *Host) holder(name string) string { return h.cfg.URI + " " + name }

// listScript prints the reservations older than ten minutes: a younger one may be of a
// machine that is being defined. Those of another system that shares the folder are left to it for
// a week.
const listScript = engine.SystemScript + `cd "${XDG_STATE_HOME:-$HOME/.local/state}/farm/ports" 2>/dev/null || exit 0
find . -type f -mmin +10 2>/dev/null | head -n 2000 | while read -r f; do
	by=$(head -c 1000 "$f" | sed -n 2p)
	[ -z "$by" ] || [ "$by" = "$system" ] || [ -n "$(find "$f" -mtime +7)" ] || continue
	printf '%s %s\n' "${f#./}" "$(head -c 300 "$f" | head -n 1)"
done`

// DropPorts gives back the ports of machines that are gone without having done so and
// returns them, each with its holder; with dry it only names them.
func (h *Host) DropPorts(ctx context.Context, dry bool) ([]string, error) {
	h.ports.Lock()
	defer h.ports.Unlock()
	return h.dropStale(ctx, dry)
}

func (h *Host) dropStale(ctx context.Context, dry bool) (dropped []string, err error) {
	old, err := h.oldPorts(ctx)
	if err != nil || len(old) == 0 {
		return nil, err
	}
	doms, err := h.domains(ctx)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, d := range doms {
		there[d.Name] = true
	}
	for _, p := range old {
		if there[p.machine] {
			continue
		}
		if !dry {
			h.cfg.Log.Info("giving back the port of a machine that is gone", "host", h.cfg.Name, "port", p.port, "machine", p.machine)
			if err := h.releasePort(ctx, p.port); err != nil {
				return dropped, err
			}
		}
		dropped = append(dropped, fmt.Sprintf("%d of %s", p.port, p.machine))
	}
	return dropped, nil
}

// reservation is a port reserved for a machine of this daemon.
type reservation struct {
	port    int
	machine string
}

// oldPorts are the reservations that listScript prints and that are this daemon's.
func (h *Host) oldPorts(ctx context.Context) ([]reservation, error) {
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Script: listScript, Keep: 1 << 20})
	if err != nil {
		return nil, fmt.Errorf("read the reserved ports: %w", err)
	}
	var old []reservation
	for line := range strings.Lines(string(out.Stdout)) {
		port, holder, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, ours := strings.CutPrefix(holder, h.holder(""))
		if n, err := strconv.Atoi(port); err == nil && ours {
			old = append(old, reservation{n, clean(name)})
		}
	}
	return old, nil
}
