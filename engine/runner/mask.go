package runner

import (
	"sort"
	"strings"
	"sync"

	"farm/inventory/value"
)

// masked stands where a secret stood.
const masked = "********"

// Mask takes secrets out of what is shown and kept. Safe for concurrent use.
type Mask struct {
	mu       sync.RWMutex
	known    map[string]bool
	replacer *strings.Replacer
}

// Add adds secrets; those under 4 bytes are too common to mask and are left out.
func (m *Mask) Add(secrets ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[string]bool{}
	}
	for _, s := range secrets {
		if len(s) >= 4 {
			m.known[s] = true
		}
	}
	all := make([]string, 0, len(m.known))
	for s := range m.known {
		all = append(all, s)
	}
	// The longest first, so that a secret inside a longer one does not leave its rest.
	sort.Slice(all, func(i, j int) bool { return len(all[i]) > len(all[j]) || len(all[i]) == len(all[j]) && all[i] < all[j] })
	pairs := make([]string, 0, 2*len(all))
	for _, s := range all {
		pairs = append(pairs, s, masked)
	}
	m.replacer = strings.NewReplacer(pairs...)
}

// AddValue adds the values at every depth of v that stand under a name that says that they are
// secret; under such a name everything is.
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
	case string, int64, float64:
		if Secret(name) {
			m.Add(value.Text(t))
		}
	}
}

// secretWords are parts of names whose values are not shown.
var secretWords = []string{"password", "passwd", "passphrase", "secret", "token", "api_key", "apikey", "private_key", "_pass", "credential"}

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
	return false
}

// Text returns text with every secret replaced.
func (m *Mask) Text(text string) string {
	if m == nil || text == "" {
		return text
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.replacer == nil {
		return text
	}
	return m.replacer.Replace(text)
}

// Value is Text at every depth of a value of package value.
func (m *Mask) Value(v any) any {
	switch t := v.(type) {
	case string:
		return m.Text(t)
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
