package expr

import (
	"path"
	"path/filepath"
	"sort"
	"strings"
)

func pathFilters() map[string]function {
	return map[string]function{
		"path_join":  pathJoin,
		"basename":   func(c *call) any { s := c.needText(); return s[strings.LastIndexByte(s, '/')+1:] },
		"dirname":    func(c *call) any { return dirname(c.needText()) },
		"expanduser": func(c *call) any { return c.m.expandUser(c.text()) },
		"expandvars": expandVars,
		"realpath":   realPath, "relpath": relPath, "splitext": splitExt,
		"normpath":   func(c *call) any { return path.Clean(c.text()) },
		"commonpath": commonPath,
		"fileglob":   globFilter,
	}
}

// joinPaths is Python's os.path.join: an absolute part drops what is before it.
func joinPaths(parts []string) string {
	out := ""
	for i, p := range parts {
		switch {
		case i == 0 || strings.HasPrefix(p, "/"):
			out = p
		case out == "" || strings.HasSuffix(out, "/"):
			out += p
		default:
			out += "/" + p
		}
	}
	return out
}

func pathJoin(c *call) any {
	var parts []string
	if s, ok := c.defined().(string); ok {
		parts = []string{s}
	} else {
		list, ok := c.m.iterable(c.in)
		if !ok {
			throw("|path_join expects string or sequence, got %s instead", kindOf(c.in))
		}
		for _, x := range list {
			s, ok := x.(string)
			if !ok {
				if u, bad := x.(*undefined); bad {
					u.fail()
				}
				throwHint("convert it with | string", "path_join of %s", kindOf(x))
			}
			parts = append(parts, s)
		}
	}
	return joinPaths(parts)
}

func dirname(s string) string {
	i := strings.LastIndexByte(s, '/') + 1
	head := s[:i]
	if strings.Trim(head, "/") != "" {
		head = strings.TrimRight(head, "/")
	}
	return head
}

func (m *machine) expandUser(s string) string {
	if s != "~" && !strings.HasPrefix(s, "~/") {
		return s
	}
	if home, ok := m.env("HOME"); ok && home != "" {
		return strings.TrimRight(home, "/") + s[1:]
	}
	return s
}

func (m *machine) env(name string) (string, bool) {
	if m.vars.e.o.Env == nil {
		return "", false
	}
	return m.vars.e.o.Env(name)
}

func expandVars(c *call) any {
	s := c.text()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		end, id := i+1, ""
		if s[end] == '{' {
			if j := strings.IndexByte(s[end:], '}'); j > 0 {
				id, end = s[end+1:end+j], end+j+1
			}
		} else {
			for end < len(s) && (s[end] == '_' || s[end] >= '0' && s[end] <= '9' || s[end]|32 >= 'a' && s[end]|32 <= 'z') {
				end++
			}
			id = s[i+1 : end]
		}
		v, ok := c.m.env(id)
		if id == "" || !ok {
			b.WriteString(s[i:end])
		} else {
			b.WriteString(v)
		}
		i = end - 1
	}
	return b.String()
}

// realPath follows symbolic links where files may be read, and cleans the path elsewhere.
func realPath(c *call) any {
	s := c.text()
	if c.m.vars.e.o.Stat == nil {
		return path.Clean(s)
	}
	abs, err := filepath.Abs(s)
	if err != nil {
		throwErr(err)
	}
	for head, tail := abs, ""; ; head, tail = filepath.Dir(head), filepath.Join(filepath.Base(head), tail) {
		if real, err := filepath.EvalSymlinks(head); err == nil {
			return filepath.Join(real, tail)
		}
		if head == "/" {
			return abs
		}
	}
}

func relPath(c *call) any {
	rel, err := filepath.Rel(c.str(0, "start", "."), c.text())
	if err != nil {
		throwErr(err)
	}
	return rel
}

func splitExt(c *call) any {
	s := c.text()
	base := s[strings.LastIndexByte(s, '/')+1:]
	i := strings.LastIndexByte(base, '.')
	if i <= 0 || strings.Trim(base[:i], ".") == "" {
		return tuple{s, ""}
	}
	cut := len(s) - len(base) + i
	return tuple{s[:cut], s[cut:]}
}

func commonPath(c *call) any {
	var common []string
	for i, x := range c.items() {
		parts := strings.Split(path.Clean(text(x)), "/")
		if i == 0 {
			common = parts
			continue
		}
		n := 0
		for n < min(len(common), len(parts)) && common[n] == parts[n] {
			n++
		}
		common = common[:n]
	}
	if len(common) == 1 && common[0] == "" {
		return "/"
	}
	return strings.Join(common, "/")
}

// globFilter lists the plain files whose names match a pattern, sorted.
func globFilter(c *call) any {
	found := c.glob(c.text())
	sort.Strings(found)
	return stringList(found)
}
