package modules

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"farm/engine"
	"farm/inventory/regex"
	"farm/inventory/value"
)

// Find lists the files of folders that meet conditions.
type Find struct {
	Paths    []string `yaml:"paths|name|path,required"` // folders
	Patterns []string `yaml:"patterns|pattern"`         // globs (or regular expressions) of names; one must match
	Excludes []string `yaml:"excludes|exclude"`         // names that are left out
	UseRegex bool     `yaml:"use_regex"`                // patterns are regular expressions for the whole name
	Contains string   `yaml:"contains"`                 // regular expression that a line of the file must match from its beginning on
	Whole    bool     `yaml:"read_whole_file"`          // contains is searched for in all of the file, which may have 16 MiB
	FileType string   `yaml:"file_type"`                // file (the default), directory, link, any
	Recurse  bool     `yaml:"recurse"`                  // look into folders
	Depth    int      `yaml:"depth"`                    // how deep, with recurse
	Hidden   bool     `yaml:"hidden"`                   // also names that start with a dot
	Follow   bool     `yaml:"follow"`                   // follow links to folders
	Age      string   `yaml:"age"`                      // at least so old: 90, 10m, 2h, 3d, 1w; at most with - in front
	AgeStamp string   `yaml:"age_stamp"`                // mtime (the default), atime, ctime
	Size     string   `yaml:"size"`                     // at least so big: 10, 10k, 5m, 1g; at most with - in front
	Limit    int      `yaml:"limit"`                    // at most so many
	Checksum bool     `yaml:"get_checksum"`             // with the SHA-1 of each file

	names, not []*regexp.Regexp
	content    *regex.Regex
}

func newFind() engine.Module { return &Find{FileType: "file", AgeStamp: "mtime"} }

// Validate checks patterns, age and size.
func (m *Find) Validate() error {
	switch m.FileType {
	case "file", "directory", "link", "any":
	default:
		return fmt.Errorf("file_type %q is none of file, directory, link, any", m.FileType)
	}
	if err := oneOf("age_stamp", m.AgeStamp, "atime", "mtime", "ctime"); err != nil {
		return err
	}
	if _, _, err := threshold(m.Age, ageUnits); err != nil {
		return fmt.Errorf("age: %w", err)
	}
	if _, _, err := threshold(m.Size, sizeUnits); err != nil {
		return fmt.Errorf("size: %w", err)
	}
	var err error
	if m.content, err = m.searched(); err != nil {
		return fmt.Errorf("contains: %w", err)
	}
	if m.names, err = m.compile(m.Patterns); err == nil {
		m.not, err = m.compile(m.Excludes)
	}
	return err
}

func (m *Find) searched() (*regex.Regex, error) {
	if m.Whole {
		return regex.Compile(m.Contains, 0)
	}
	return regex.Compile(`\A(?:`+m.Contains+`)`, 0)
}

func (m *Find) compile(patterns []string) (list []*regexp.Regexp, err error) {
	for _, p := range patterns {
		if !m.UseRegex {
			if _, err := path.Match(p, ""); err != nil {
				return nil, fmt.Errorf("the pattern %q: %w", p, err)
			}
			p = regex.Glob(p)
		}
		re, err := regexp.Compile(`(?s)^(?:` + p + `)`)
		if err != nil {
			return nil, fmt.Errorf("the pattern %q: %w", p, err)
		}
		list = append(list, re)
	}
	return list, nil
}

var (
	ageUnits  = map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400}
	sizeUnits = map[byte]int64{'b': 1, 'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30, 't': 1 << 40}
)

// threshold reads "-10k": the number in base units, and whether it is the most; 0 for "".
func threshold(s string, units map[byte]int64) (n int64, most bool, err error) {
	if s == "" {
		return 0, false, nil
	}
	digits, most := strings.CutPrefix(strings.ToLower(s), "-")
	unit := int64(1)
	if last := len(digits) - 1; last > 0 && units[digits[last]] > 0 {
		unit, digits = units[digits[last]], digits[:last]
	}
	n, err = strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%q is no number with a unit", s)
	}
	return n * unit, most, nil
}

// The names come after a NUL each, so that none can be taken for another's.
const findScript = fileFuncs + `
for dir do
	dir=$(untilde "$dir")
	if [ ! -d "$dir" ]; then printf 'skip%s\0' "$dir"; continue; fi
	find $follow "$dir/." -mindepth 1 $walk -exec sh -c 'for f do printf "seen\0"; done' sh {} +
	find $follow "$dir/." -mindepth 1 $depth $kind -exec sh -c '
for f do
	s=
	if [ -n "$sums" ] && [ -f "$f" ]; then s=$(sha1sum <"$f" | cut -d" " -f1); fi
	printf "file%s|%s|%s\0" "$(stat -c "%f|%a|%u|%g|%s|%i|%d|%h|%b|%B|%X|%Y|%Z|%U|%G" -- "$f" 2>/dev/null || stat -f "%Xp|%Mp%Lp|%u|%g|%z|%i|%d|%l|%b|512|%a|%m|%c|%Su|%Sg" -- "$f")" "$s" "$f"
done' sh {} +
done
printf 'end\0'
`

// Run looks.
func (m *Find) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("find: %v", err), nil
	}
	vars := map[string]string{"follow": "", "depth": "", "walk": "", "kind": "", "sums": flag(m.Checksum)}
	if m.Follow {
		vars["follow"] = "-L"
	}
	switch {
	case !m.Recurse:
		vars["depth"], vars["walk"] = "-maxdepth 1", "-maxdepth 1"
	case m.Depth > 0:
		vars["depth"] = "-maxdepth " + strconv.Itoa(m.Depth)
		vars["walk"] = "-maxdepth " + strconv.Itoa(m.Depth+1) // what is too deep is looked at, and left
	}
	if k, ok := map[string]string{"file": "-type f", "directory": "-type d", "link": "-type l"}[m.FileType]; ok {
		vars["kind"] = k
	}
	r, err := script{Text: findScript, Vars: vars, Args: m.Paths, Keep: 32 << 20}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	out, whole := strings.CutSuffix(string(r.Stdout), "end\x00")
	if !r.ok() || !whole || r.Dropped > 0 {
		r.Stdout = nil
		return r.failure("find"), nil
	}
	files, skipped, examined := []any{}, value.NewDict(), int64(0)
	for record := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		if dir, ok := strings.CutPrefix(record, "skip"); ok {
			skipped.Set(text(dir), fmt.Sprintf("'%s' is not a directory", text(dir)))
			continue
		}
		if record == "seen" {
			examined++
			continue
		}
		line, ok := strings.CutPrefix(record, "file")
		p := strings.SplitN(line, "|", 17)
		if !ok || len(p) != 17 {
			continue
		}
		name := strings.Replace(p[16], "/./", "/", 1)
		if m.Limit > 0 && len(files) >= m.Limit || !m.wanted(path.Base(name), p) {
			continue
		}
		if m.Contains != "" && m.FileType == "file" {
			if has, err := m.contains(ctx, t, name); err != nil || !has {
				if err != nil {
					return engine.Result{}, err
				}
				continue
			}
		}
		d := statValues(reply{said: map[string]string{"path": name, "checksum": p[15]}}, p[:15])
		for _, k := range []string{"exists", "readable", "writeable", "executable", "blocks", "block_size"} {
			d.Delete(k)
		}
		files = append(files, d)
	}
	return engine.Result{Values: value.NewDict("files", files, "matched", int64(len(files)), "examined", examined,
		"skipped_paths", skipped), Msg: findMessage(skipped)}, nil
}

func findMessage(skipped *value.Dict) string {
	if skipped.Len() > 0 {
		return "Not all paths examined, check warnings for details"
	}
	return "All paths examined"
}

// wanted reports whether a file meets the conditions that the script does not check.
func (m *Find) wanted(name string, p []string) bool {
	if !m.Hidden && strings.HasPrefix(name, ".") {
		return false
	}
	if len(m.names) > 0 && !anyMatch(m.names, name) || anyMatch(m.not, name) {
		return false
	}
	if m.Size != "" {
		size, _ := strconv.ParseInt(p[4], 10, 64)
		if n, most, _ := threshold(m.Size, sizeUnits); most && size > n || !most && size < n {
			return false
		}
	}
	if m.Age != "" {
		at, _ := strconv.ParseInt(p[map[string]int{"atime": 10, "mtime": 11, "ctime": 12}[m.AgeStamp]], 10, 64)
		age := time.Now().Unix() - at
		if n, most, _ := threshold(m.Age, ageUnits); most && age > n || !most && age < n {
			return false
		}
	}
	return true
}

// contains reports whether a file has what is searched for.
func (m *Find) contains(ctx context.Context, t *engine.Task, name string) (bool, error) {
	look := &looking{re: m.content, whole: m.Whole}
	_, err := script{Text: `exec cat <"$1"`, Args: []string{name}, Stdout: look, Keep: 1 << 10}.run(ctx, t)
	look.end()
	return look.found, err
}

// looking searches in what is written to it, of which it keeps a line, or all: at most maxSlurp bytes.
// Text that is no UTF-8 ends the search.
type looking struct {
	re    *regex.Regex
	whole bool
	text  []byte
	found bool
	lost  bool
}

func (l *looking) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && !l.found && !l.lost {
		line, rest, ends := bytes.Cut(p, []byte("\n"))
		if l.text = append(l.text, line...); ends {
			l.text = append(l.text, '\n')
		}
		l.lost = len(l.text) > maxSlurp
		if p = rest; ends && !l.whole {
			l.match()
		}
	}
	return n, nil
}

// match looks at the text that was kept, and forgets it.
func (l *looking) match() {
	if l.lost = l.lost || !utf8.Valid(l.text); !l.lost {
		l.found, _ = l.re.MatchString(string(l.text))
	}
	l.text = l.text[:0]
}

// end looks at the rest, once all is written.
func (l *looking) end() {
	if len(l.text) > 0 && !l.found && !l.lost {
		l.match()
	}
}

func anyMatch(list []*regexp.Regexp, name string) bool {
	for _, re := range list {
		if re.MatchString(name) {
			return true
		}
	}
	return false
}
