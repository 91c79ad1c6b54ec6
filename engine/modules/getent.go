package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// getentModule asks a database of the host, such as passwd, and sets its answer as the fact
// getent_DATABASE: a mapping of each key to the list of its other fields.
type getentModule struct {
	// Database, such as passwd, group, hosts or services.
	Database string `yaml:"database,required"`
	// Key to look up; the whole database without it.
	Key *string `yaml:"key"`
	// Service to ask in place of those of nsswitch.conf, such as files.
	Service string `yaml:"service"`
	// Text between two fields; default a colon in passwd, shadow, group and gshadow, blanks in others.
	Split *string `yaml:"split"`
	// Fail where there is no such key; false makes its value null.
	FailKey bool `yaml:"fail_key"`
}

// musl's getent is a script that wants the database first, glibc's takes options anywhere.
const getentScript = `has getent || die 'the program "getent" is missing on this host (package libc-bin of Debian, musl-utils of Alpine, glibc-common of Fedora)'
if [ -n "$set_key" ]; then set -- "$database" "$key"; else set -- "$database"; fi
getent "$@" ${service:+-s "$service"}
`

// Validate checks what types cannot say.
func (m *getentModule) Validate() error {
	switch {
	case !plainWord(m.Database) || strings.Contains(m.Database, "/"):
		return fmt.Errorf("database: %q is no name of a database", m.Database)
	case m.Key != nil && strings.HasPrefix(*m.Key, "-"):
		return fmt.Errorf("key: %q begins with a dash, which getent reads as an option", *m.Key)
	case m.Split != nil && *m.Split == "":
		return errors.New("split: the text between two fields is empty; leave split out for blanks")
	}
	return nil
}

// Run asks.
func (m *getentModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("getent: %v", err), nil
	}
	key := ""
	if m.Key != nil {
		key = *m.Key
	}
	r, err := script{Text: getentScript, Keep: 16 << 20, Vars: map[string]string{
		"database": m.Database, "key": key, "set_key": flag(m.Key != nil), "service": m.Service}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	found := m.parse(text(string(r.Stdout)))
	facts := value.NewDict("getent_"+m.Database, found)
	switch {
	case r.ok():
		return engine.Result{Facts: facts}, nil
	case r.Status == 2 && m.Key != nil && !m.FailKey:
		found.Set(key, nil)
		return engine.Result{Facts: facts, Msg: fmt.Sprintf("the database %q has no key %q", m.Database, key)}, nil
	case r.Status == 2 && m.Key != nil:
		return failed("getent: the database %q has no key %q; fail_key: false makes it null", m.Database, key), nil
	case r.Status == 3:
		return failed("getent: the database %q cannot be listed; give a key", m.Database), nil
	}
	return r.failure(fmt.Sprintf("getent %q", m.Database)), nil
}

// parse is the answer's lines by their first fields; a key that stands there more than once
// has a list of lists.
func (m *getentModule) parse(out string) *value.Dict {
	found, times := value.NewDict(), map[string]int{}
	for _, line := range lines(out) {
		w := m.fields(line.(string))
		if len(w) == 0 {
			continue
		}
		rest := []any{}
		for _, f := range w[1:] {
			rest = append(rest, f)
		}
		old, _ := found.Get(w[0])
		switch times[w[0]]++; times[w[0]] {
		case 1:
			found.Set(w[0], rest)
		case 2:
			found.Set(w[0], []any{old, rest})
		default:
			found.Set(w[0], append(old.([]any), rest))
		}
	}
	return found
}

func (m *getentModule) fields(line string) []string {
	switch {
	case m.Split != nil:
		return strings.Split(line, *m.Split)
	case slices.Contains([]string{"passwd", "shadow", "group", "gshadow"}, m.Database):
		return strings.Split(line, ":")
	}
	return strings.Fields(line)
}
