package expr

import (
	"net/url"
	"strings"

	"farm/inventory/value"
)

// quoteURL escapes as Python's urllib.parse.quote with "/" kept.
func quoteURL(s string, slash bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_.-~", c) >= 0 || c == '/' && slash {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + strings.ToUpper(hex2(rune(c))))
		}
	}
	return b.String()
}

func urlEncode(c *call) any {
	pair := func(k, v any) string {
		return strings.ReplaceAll(quoteURL(text(k), false)+"="+quoteURL(text(v), false), "%20", "+")
	}
	var parts []string
	switch t := c.defined().(type) {
	case *value.Dict:
		for k, v := range t.All() {
			parts = append(parts, pair(k, v))
		}
	case []any, tuple:
		for _, p := range c.m.items(t) {
			kv := c.m.items(p)
			if len(kv) != 2 {
				throw("urlencode takes text, a mapping or pairs")
			}
			parts = append(parts, pair(kv[0], kv[1]))
		}
	default:
		return quoteURL(c.text(), true)
	}
	return strings.Join(parts, "&")
}

func urlDecode(c *call) any {
	s, err := url.QueryUnescape(c.text())
	if err != nil {
		throw("%q cannot be decoded: %s", c.text(), err)
	}
	return s
}

// locator is a URL in the parts of Python's urllib.parse.urlsplit: nothing in them is decoded, and
// anything has them.
type locator struct{ scheme, netloc, path, query, fragment string }

// splitURL reports false for a host in brackets that are not closed.
func splitURL(s string) (u locator, ok bool) {
	if head, rest, found := strings.Cut(s, ":"); found && isScheme(head) {
		u.scheme, s = strings.ToLower(head), rest
	}
	if rest, found := strings.CutPrefix(s, "//"); found {
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		u.netloc, s = rest[:end], rest[end:]
		if strings.Contains(u.netloc, "[") != strings.Contains(u.netloc, "]") {
			return u, false
		}
	}
	s, u.fragment, _ = strings.Cut(s, "#")
	u.path, u.query, _ = strings.Cut(s, "?")
	return u, true
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if letter := c >= 'a' && c <= 'z'; !letter && (i == 0 || !(s[i] >= '0' && s[i] <= '9' || strings.IndexByte("+-.", s[i]) >= 0)) {
			return false
		}
	}
	return s != ""
}

// uri splits the value tested; ok is false for what is no URI, or has none of the schemes asked for.
func (c *call) uri() (u locator, ok bool) {
	if schemes := c.value(0, "schemes", nil); schemes != nil && truth(schemes) {
		defer func() { ok = ok && c.m.contains(schemes, u.scheme) }()
	}
	switch t := c.defined().(type) {
	case nil:
		return u, true
	case string:
		return splitURL(t)
	}
	return u, false
}

func urlSplit(c *call) any {
	part := c.str(0, "query", "")
	u, ok := splitURL(c.text())
	if !ok {
		throw("%q is no URL: a bracket in it is not closed", c.text())
	}
	d := value.NewDict("fragment", u.fragment, "hostname", nil, "netloc", u.netloc, "password", nil,
		"path", u.path, "port", nil, "query", u.query, "scheme", u.scheme, "username", nil)
	host := u.netloc
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		user, password, has := strings.Cut(host[:i], ":")
		d.Set("username", user)
		if has {
			d.Set("password", password)
		}
		host = host[i+1:]
	}
	port := ""
	if rest, found := strings.CutPrefix(host, "["); found {
		host, rest, _ = strings.Cut(rest, "]")
		port = strings.TrimPrefix(rest, ":")
	} else {
		host, port, _ = strings.Cut(host, ":")
	}
	if host != "" {
		d.Set("hostname", strings.ToLower(host))
	}
	if port != "" {
		n, err := value.ParseWhole(port, 10)
		if i, small := n.(int64); err != nil || !small || i < 0 || i > 65535 {
			throw("%q is no port", port)
		}
		d.Set("port", n)
	}
	if part == "" {
		return d
	}
	v, ok := d.Get(part)
	if !ok {
		throwHint(suggest(part, d.Keys()), "urlsplit: unknown URL component: %s", part)
	}
	return v
}
