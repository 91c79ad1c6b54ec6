package modules

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// waitForModule waits for a port or a file, or only for a time.
type waitForModule struct {
	// Host of the port, as seen from the host the task runs on.
	Host string `yaml:"host"`
	// Port that must be open, or with state stopped closed.
	Port int `yaml:"port"`
	// File on the host.
	Path string `yaml:"path"`
	// Regular expression that the file, or what the port sends, must match.
	SearchRegex string `yaml:"search_regex"`
	// started, present: it is there; stopped, absent: it is not; drained: nobody is connected to the port.
	State string `yaml:"state"`
	// Seconds to wait at most.
	Timeout int64 `yaml:"timeout"`
	// Seconds before the first look.
	Delay int64 `yaml:"delay"`
	// Seconds between looks.
	Sleep int64 `yaml:"sleep"`
	// Seconds for one connection.
	ConnectTimeout int64 `yaml:"connect_timeout"`
	// What to say when the time is over.
	Msg string `yaml:"msg"`
	// With drained: addresses whose connections do not count.
	ExcludeHosts []string `yaml:"exclude_hosts"`
	// With drained: the states of connections that count; by default all but those that listen or are closed.
	ActiveStates []string `yaml:"active_connection_states"`
}

// tcpStates are the numbers of connections' states in /proc/net/tcp (proc_net_tcp.txt in Linux's documentation).
var tcpStates = map[string]string{
	"ESTABLISHED": "01", "SYN_SENT": "02", "SYN_RECV": "03", "FIN_WAIT1": "04", "FIN_WAIT2": "05", "TIME_WAIT": "06",
}

// Validate checks what types cannot say.
func (m *waitForModule) Validate() error {
	if m.Port < 0 || m.Port > 65535 {
		return fmt.Errorf("port: %d is no port", m.Port)
	}
	if m.Port != 0 && m.Path != "" {
		return errors.New("port and path parameter can not both be passed to wait_for")
	}
	if m.Path != "" && (m.State == "stopped" || m.State == "drained") {
		return fmt.Errorf("state=%s should only be used for checking a port", m.State)
	}
	if m.State == "drained" && m.Port == 0 {
		return errors.New("state=drained needs port")
	}
	if m.ExcludeHosts != nil && m.State != "drained" {
		return errors.New("exclude_hosts should only be with state=drained")
	}
	for _, state := range m.ActiveStates {
		if tcpStates[state] == "" {
			return fmt.Errorf("unknown active_connection_state (%s): ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2 and TIME_WAIT are known", state)
		}
	}
	if _, err := regexp.Compile("(?m)" + m.SearchRegex); err != nil {
		return fmt.Errorf("search_regex: %w", err)
	}
	return oneOf("state", m.State, "started", "present", "stopped", "absent", "drained")
}

// Run looks until it is so.
func (m *waitForModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	begun := time.Now()
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	if err := pause(ctx, time.Duration(m.Delay)*time.Second); err != nil {
		return engine.Result{}, err
	}
	limit := time.Duration(m.Timeout) * time.Second
	if m.Port == 0 && m.Path == "" {
		if err := pause(ctx, limit); err != nil {
			return engine.Result{}, err
		}
		return engine.Result{Values: m.values(begun)}, nil
	}
	wanted := m.State == "started" || m.State == "present"
	for {
		seen, err := m.look(ctx, t)
		if err != nil {
			return engine.Result{}, err
		}
		if seen.there == wanted {
			res := engine.Result{Values: m.values(begun)}
			seen.groups(res.Values)
			if m.Path != "" && wanted {
				r, err := run(ctx, t, fileFuncs+`report "$(untilde "$path")"`, map[string]string{"path": m.Path, "changed": ""})
				if err != nil {
					return engine.Result{}, err
				}
				fileValues(r, res.Values)
			}
			return res, nil
		}
		left := limit - time.Since(begun)
		if left <= 0 {
			if seen.why != nil {
				warn(t, "wait_for: what was seen last: %v", seen.why)
			}
			res := failed("%s", m.late())
			res.Values = m.values(begun)
			return res, nil
		}
		if err := pause(ctx, min(time.Duration(max(m.Sleep, 1))*time.Second, left)); err != nil {
			return engine.Result{}, err
		}
	}
}

// late is what is said when the time is over, as playbooks look for it.
func (m *waitForModule) late() string {
	what, end := fmt.Sprintf("%s:%d", m.Host, m.Port), ""
	if m.Path != "" {
		what = m.Path
	}
	switch {
	case m.Msg != "":
		return m.Msg
	case m.State == "drained":
		end = " to drain"
	case m.Path != "" && m.State == "absent":
		end = " to be absent."
	case m.State == "stopped" || m.State == "absent":
		end = " to stop."
	case m.SearchRegex != "":
		what = "search string " + m.SearchRegex + " in " + what
	case m.Path != "":
		what = "file " + what
	}
	return "Timeout when waiting for " + what + end
}

func (m *waitForModule) values(begun time.Time) *value.Dict {
	v := value.NewDict("elapsed", seconds(begun), "state", m.State, "port", nil, "path", nil, "search_regex", nil,
		"match_groups", []any{}, "match_groupdict", value.NewDict())
	if m.Port != 0 {
		v.Set("port", int64(m.Port))
	}
	if m.Path != "" {
		v.Set("path", m.Path)
	}
	if m.SearchRegex != "" {
		v.Set("search_regex", m.SearchRegex)
	}
	return v
}

// sight is what one look found.
type sight struct {
	there bool
	why   error // why it is not there, where that is known
	re    *regexp.Regexp
	match [][]byte
}

// groups puts the groups of the match into a result.
func (s sight) groups(into *value.Dict) {
	if len(s.match) < 2 {
		return
	}
	all, named := []any{}, value.NewDict()
	for i, g := range s.match[1:] {
		all = append(all, text(string(g)))
		if name := s.re.SubexpNames()[i+1]; name != "" {
			named.Set(name, text(string(g)))
		}
	}
	into.Set("match_groups", all)
	into.Set("match_groupdict", named)
}

// search looks for the expression in what was read; without one everything matches.
func (m *waitForModule) search(read []byte) sight {
	if m.SearchRegex == "" {
		return sight{there: true}
	}
	re := regexp.MustCompile("(?m)" + m.SearchRegex) // Validate has compiled it
	match := re.FindSubmatch(read)
	return sight{there: match != nil, re: re, match: match}
}

// maxSearched is how many bytes of a file are searched: those at its end.
const maxSearched = 1 << 20

const lookScript = `p=$(untilde "$path")
[ -e "$p" ] || exit 0
say there 1
[ -z "$want" ] || tail -c "$want" -- "$p"
`

func (m *waitForModule) look(ctx context.Context, t *engine.Task) (sight, error) {
	switch {
	case m.State == "drained":
		return m.lookAtConnections(ctx, t)
	case m.Path == "":
		return m.lookAtPort(ctx, t)
	}
	want := ""
	if m.SearchRegex != "" {
		want = number(maxSearched)
	}
	r, err := script{Text: lookScript, Vars: map[string]string{"path": m.Path, "want": want}, Keep: 2 * maxSearched}.run(ctx, t)
	switch {
	case err != nil:
		return sight{}, err
	case !r.ok():
		return sight{why: errors.New(r.stderr())}, nil
	case !r.is("there"):
		return sight{}, nil
	}
	return m.search(r.Stdout), nil
}

func (m *waitForModule) lookAtPort(ctx context.Context, t *engine.Task) (sight, error) {
	try, cancel := context.WithTimeout(ctx, time.Duration(m.ConnectTimeout)*time.Second)
	defer cancel()
	c, err := t.Conn.Dial(try, "tcp", net.JoinHostPort(m.Host, strconv.Itoa(m.Port)))
	switch {
	case ctx.Err() != nil:
		if c != nil {
			c.Close()
		}
		return sight{}, context.Cause(ctx)
	case errors.Is(err, engine.ErrUnreachable):
		return sight{}, err // says nothing of the port
	case err != nil:
		return sight{why: err}, nil
	}
	defer c.Close()
	// Deadlines do not work on every kind of connection.
	defer context.AfterFunc(try, func() { c.Close() })()
	var read []byte
	for {
		seen := m.search(read)
		if seen.there || len(read) >= maxSearched {
			return seen, ctx.Err()
		}
		part := make([]byte, 4096)
		n, err := c.Read(part)
		read = append(read, part[:n]...)
		if err != nil {
			return m.search(read), ctx.Err()
		}
	}
}

// lookAtConnections finds out whether there are connections to the port, as Linux lists them.
func (m *waitForModule) lookAtConnections(ctx context.Context, t *engine.Task) (sight, error) {
	r, err := script{Text: `[ -r /proc/net/tcp ] || die "state drained needs Linux: there is no /proc/net/tcp"
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || :`, Keep: 32 << 20}.run(ctx, t)
	switch {
	case err != nil:
		return sight{}, err
	case !r.ok():
		return sight{there: true, why: errors.New(r.stderr())}, nil
	}
	n := 0
	for line := range strings.Lines(string(r.Stdout)) {
		if w := strings.Fields(line); len(w) > 3 && m.counts(w[1], w[2], w[3]) {
			n++
		}
	}
	if n == 0 {
		return sight{}, nil
	}
	return sight{there: true, why: fmt.Errorf("%d connections", n)}, nil
}

// counts reports whether a line of /proc/net/tcp is a connection that is waited for.
func (m *waitForModule) counts(local, remote, state string) bool {
	states := m.ActiveStates
	if states == nil {
		states = slices.Collect(maps.Keys(tcpStates))
	}
	if !slices.ContainsFunc(states, func(s string) bool { return tcpStates[s] == state }) {
		return false
	}
	at, port := procAddress(local)
	if port != m.Port || m.Host != "0.0.0.0" && m.Host != "::" && !sameHost(m.Host, at) {
		return false
	}
	from, _ := procAddress(remote)
	return !slices.ContainsFunc(m.ExcludeHosts, func(host string) bool { return sameHost(host, from) })
}

// sameHost reports whether a name or address is that of ip.
func sameHost(host string, ip net.IP) bool {
	if host == "localhost" {
		return ip.IsLoopback()
	}
	return ip.Equal(net.ParseIP(host))
}

// procAddress reads "0100007F:1F90": words of the address in the byte order of the machine, which is
// taken for little-endian, and the port.
func procAddress(s string) (net.IP, int) {
	address, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(address)
	n, perr := strconv.ParseUint(port, 16, 16)
	if err != nil || perr != nil || len(b)%4 != 0 {
		return nil, -1
	}
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	return net.IP(b), int(n)
}
