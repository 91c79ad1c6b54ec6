package modules

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
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
	// started, present: it is there; stopped, absent: it is not.
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
}

// Validate checks what types cannot say.
func (m *waitForModule) Validate() error {
	if m.Port < 0 || m.Port > 65535 {
		return fmt.Errorf("port: %d is no port", m.Port)
	}
	if m.Port != 0 && m.Path != "" {
		return fmt.Errorf("port and path exclude each other")
	}
	if _, err := regexp.Compile("(?m)" + m.SearchRegex); err != nil {
		return fmt.Errorf("search_regex: %w", err)
	}
	return oneOf("state", m.State, "started", "present", "stopped", "absent")
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
			res := failed("%s", m.late(seen))
			res.Values = m.values(begun)
			return res, nil
		}
		if err := pause(ctx, min(time.Duration(max(m.Sleep, 1))*time.Second, left)); err != nil {
			return engine.Result{}, err
		}
	}
}

func (m *waitForModule) late(last sight) string {
	what := fmt.Sprintf("%s:%d", m.Host, m.Port)
	switch {
	case m.Msg != "":
		return m.Msg
	case m.Path != "":
		what = "the file " + m.Path
	}
	text := fmt.Sprintf("timeout after %d s waiting for %s to be %s", m.Timeout, what, m.State)
	if m.SearchRegex != "" {
		text += fmt.Sprintf(" with a match of %q", m.SearchRegex)
	}
	if last.why != nil {
		text += ": " + last.why.Error()
	}
	return text
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
	if m.Path == "" {
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
