package modules

import (
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// waitForModule waits for a port or a file, or only for a time.
type waitForModule struct {
	// Host and port, as seen from the host the task runs on.
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
	// File on the host.
	Path string `yaml:"path"`
	// Regular expression that the file, or what the port sends, must match.
	SearchRegex string `yaml:"search_regex"`
	// started, present: it is there; stopped, absent: it is not.
	State string `yaml:"state"`
	// Seconds: at most; before the first look; between looks; for one connection.
	Timeout        int64 `yaml:"timeout"`
	Delay          int64 `yaml:"delay"`
	Sleep          int64 `yaml:"sleep"`
	ConnectTimeout int64 `yaml:"connect_timeout"`
	// What to say when the time is over.
	Msg string `yaml:"msg"`
}

// Validate checks what types cannot say.
func (m *waitForModule) Validate() error {
	if m.Port != 0 && m.Path != "" {
		return fmt.Errorf("port and path exclude each other")
	}
	if _, err := regexp.Compile(m.SearchRegex); err != nil {
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
		there, err := m.look(ctx, t)
		if err != nil {
			return engine.Result{}, err
		}
		if there == wanted {
			return engine.Result{Values: m.values(begun)}, nil
		}
		if time.Since(begun) > limit {
			res := failed("%s", m.late())
			res.Values = m.values(begun)
			return res, nil
		}
		if err := pause(ctx, time.Duration(max(m.Sleep, 1))*time.Second); err != nil {
			return engine.Result{}, err
		}
	}
}

func (m *waitForModule) late() string {
	switch {
	case m.Msg != "":
		return m.Msg
	case m.Path != "":
		return fmt.Sprintf("timeout after %d s waiting for the file %s to be %s", m.Timeout, m.Path, m.State)
	}
	return fmt.Sprintf("timeout after %d s waiting for %s:%d to be %s", m.Timeout, m.Host, m.Port, m.State)
}

func (m *waitForModule) values(begun time.Time) *value.Dict {
	return value.NewDict("elapsed", int64(time.Since(begun).Seconds()), "state", m.State, "port", int64(m.Port), "path", m.Path)
}

func (m *waitForModule) look(ctx context.Context, t *engine.Task) (bool, error) {
	if m.Path != "" {
		r, err := run(ctx, t, `p=$(untilde "$path"); [ -e "$p" ] || exit 0; say there 1; [ -z "$want" ] || head -c 1000000 -- "$p"`,
			map[string]string{"path": m.Path, "want": flag(m.SearchRegex != "")})
		if err != nil || !r.is("there") {
			return false, err
		}
		return m.matches(r.Stdout), nil
	}
	each := time.Duration(max(m.ConnectTimeout, 5)) * time.Second
	try, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	c, err := t.Conn.Dial(try, "tcp", net.JoinHostPort(m.Host, fmt.Sprint(m.Port)))
	if err != nil {
		return false, ctx.Err()
	}
	defer c.Close()
	if m.SearchRegex == "" {
		return true, nil
	}
	if err := c.SetReadDeadline(time.Now().Add(each)); err != nil {
		return false, nil
	}
	said, _ := io.ReadAll(io.LimitReader(c, 4096)) // what came before the deadline is what counts
	return m.matches(said), nil
}

func (m *waitForModule) matches(text []byte) bool {
	re := regexp.MustCompile("(?m)" + m.SearchRegex) // Validate has compiled it
	return re.Match(text)
}
