package runner

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"farm/engine"
	"farm/inventory/value"
)

// masked stands where a secret stood.
const masked = "********"

// minSecret is the length in bytes under which a secret is too common to be masked, minLine that
// of one line of a longer secret.
const (
	minSecret = 4
	minLine   = 8
)

// Mask takes secrets out of what is shown and kept. It is an engine.Mask. Safe for concurrent use.
type Mask struct {
	mu      sync.RWMutex
	secrets []string // sorted
}

// Add adds secrets; those under 4 bytes are too common to mask and are left out. Of a secret
// with several lines each line is one too: lists of lines are shown as well.
func (m *Mask) Add(secrets ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range secrets {
		m.add(s, minSecret)
		s = strings.TrimSpace(s) // a file's newline is hardly ever part of what it holds
		m.add(s, minSecret)
		m.add(engine.Printable(s), minSecret) // as it comes out of a terminal
		if !strings.Contains(s, "\n") {
			continue
		}
		for line := range strings.SplitSeq(s, "\n") {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") { // of a key's armour everybody knows the ends
				m.add(line, minLine)
			}
		}
	}
}

func (m *Mask) add(s string, least int) {
	if i, known := slices.BinarySearch(m.secrets, s); !known && len(s) >= least {
		m.secrets = slices.Insert(m.secrets, i, s)
	}
}

// AddValue adds the values at every depth of v that stand under a name that says that they are
// secret, under which everything is, and the passwords of URLs.
func (m *Mask) AddValue(name string, v any) {
	switch t := v.(type) {
	case *value.Dict:
		for k, item := range t.All() {
			key := value.Text(k)
			if Secret(name) {
				key = name
			}
			m.AddValue(key, item)
		}
	case []any:
		for _, item := range t {
			m.AddValue(name, item)
		}
	case string, int64, value.Big, float64:
		text := value.Text(t)
		if Secret(name) {
			m.Add(text)
		}
		for _, login := range urlLogin.FindAllStringSubmatch(text, -1) {
			m.Add(login[2])
			if plain, err := url.PathUnescape(login[2]); err == nil {
				m.Add(plain)
			}
		}
	}
}

// urlLogin finds passwords in URLs.
var urlLogin = regexp.MustCompile(`(://[^/\s:@"']*:)([^/\s@"']+)@`)

// MaskURLs returns text with the passwords of the URLs in it replaced.
func MaskURLs(text string) string { return urlLogin.ReplaceAllString(text, "${1}"+masked+"@") }

// secretWords are parts of names whose values are not shown.
var secretWords = []string{"password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "private_key", "_pass", "credential", "authorization"}

// Secret reports whether a variable's name says that its value is secret. The name of a
// file that holds a secret is none.
func Secret(name string) bool {
	name = strings.ToLower(name)
	if strings.HasSuffix(name, "_file") || strings.HasSuffix(name, "_path") {
		return false
	}
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return name == "pass" || strings.HasSuffix(name, "_pat")
}

// Text returns text with every secret replaced.
func (m *Mask) Text(text string) string {
	if m == nil || text == "" {
		return text
	}
	return (&stream{mask: m}).next(text, true)
}

// Value is Text at every depth of a value of package value.
func (m *Mask) Value(v any) any {
	switch t := v.(type) {
	case string:
		return m.Text(t)
	case value.Template:
		t.Text = m.Text(t.Text)
		return t
	case []any:
		out := make([]any, len(t))
		for i, item := range t {
			out[i] = m.Value(item)
		}
		return out
	case *value.Dict:
		out := value.NewDict()
		for k, item := range t.All() {
			item = m.Value(item)
			if text, ok := item.(string); ok && text != "" && m != nil && Secret(value.Text(k)) {
				item = masked // known to nobody before, such as a result of set_fact
			}
			out.Set(k, item)
		}
		return out
	}
	return v
}
