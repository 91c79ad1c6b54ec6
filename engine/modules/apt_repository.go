package modules

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// aptRepositoryModule adds lines to apt's lists of sources, and takes them out.
type aptRepositoryModule struct {
	// The line, "deb URL SUITE COMPONENT..." with options in brackets; or ppa:OWNER/NAME.
	Repo string `yaml:"repo,required"`
	// present or absent.
	State string `yaml:"state"`
	// Name of the file in sources.list.d without .list, or a path; default made of the URL. It counts for lines that are in no file yet.
	Filename string `yaml:"filename"`
	// Mode of a new file: '0644' or 'u=rw,go=r'.
	Mode any `yaml:"mode"`
	// Run apt-get update after a change. Where that fails the change is undone.
	UpdateCache bool `yaml:"update_cache|update-cache"`
	// How often the update is tried.
	UpdateRetries int64 `yaml:"update_cache_retries"`
	// Seconds that are waited at most before it is tried again; the first wait has one.
	MaxDelay int64 `yaml:"update_cache_retry_max_delay"`
	// Suite of a PPA; default that of the host.
	Codename string `yaml:"codename"`
	// false trusts any server that a PPA's key comes from.
	Certs bool `yaml:"validate_certs"`
	// Accepted: no Python is needed.
	InstallPythonApt bool `yaml:"install_python_apt"`
}

func newAptRepository() engine.Module {
	return &aptRepositoryModule{State: "present", UpdateCache: true, UpdateRetries: 5, MaxDelay: 12, Certs: true, InstallPythonApt: true}
}

// Each file comes as a record with its path and one with its text.
const sourcesScript = `has apt-config || die 'the program "apt-config" is missing on this host: apt_repository is for Debian and its kin'
eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
parts=${parts%/}
say list "$list"
say parts "$parts"
say codename "$(. /etc/os-release; echo "$VERSION_CODENAME")"
n=0
for f in "$list" "$parts"/*.list "$more"; do
	[ -f "$f" ] || continue
	n=$((n + 1))
	say "path$n" "$f"
	tell "text$n" cat -- "$f"
done
`

// apt-get ends well where it cannot fetch a list that it never had.
const aptUpdateScript = `update() {
	out=$(apt-get -q -y update 2>&1)
	rc=$?
	printf '%s\n' "$out" >&2
	case $out in *"Failed to fetch "*) return 1 ;; esac
	return $rc
}
n=1 delay=1
until update; do
	[ "$n" -lt "$retries" ] || exit 1
	[ "$delay" -le "$most" ] || delay=$most
	sleep "$delay"
	n=$((n + 1)) delay=$((delay * 2))
done
`

var (
	sourceOptions = regexp.MustCompile(`\[[^\]]+\]`)
	urlScheme     = regexp.MustCompile(`\w+://`)
	notAlnum      = regexp.MustCompile(`[^a-zA-Z0-9]+`)
	ppaName       = regexp.MustCompile(`^ppa:([A-Za-z0-9][A-Za-z0-9.+-]*)(?:/([A-Za-z0-9][A-Za-z0-9.+-]*))?$`)
)

// Validate checks the line.
func (m *aptRepositoryModule) Validate() error {
	switch {
	case m.Repo == "":
		return errors.New("repo is empty; a source is deb http://deb.debian.org/debian bookworm main")
	case strings.HasPrefix(m.Repo, "ppa:"):
		if !ppaName.MatchString(m.Repo) {
			return fmt.Errorf("repo: %q is no PPA, such as ppa:git-core/ppa", m.Repo)
		}
	default:
		if s := parseSource(m.Repo); !s.valid || !s.enabled || strings.Contains(m.Repo, "\n") {
			return fmt.Errorf("repo: %q is no source; one is deb http://deb.debian.org/debian bookworm main", m.Repo)
		}
	}
	if _, err := modeText(m.Mode); err != nil {
		return err
	}
	return oneOf("state", m.State, "present", "absent")
}

// source is a line of a list: with blanks made single, without what is behind a #.
type aptSource struct {
	valid, enabled bool
	text, comment  string
}

// parseSource reads a line. One that a # begins is a source that is off, if the rest is one.
func parseSource(line string) aptSource {
	s := aptSource{enabled: true}
	line = strings.TrimSpace(line)
	if rest, off := strings.CutPrefix(line, "#"); off {
		s.enabled, line = false, rest
	}
	if i := strings.IndexByte(line, '#'); i > 0 {
		line, s.comment = line[:i], strings.TrimSpace(line[i+1:])
	}
	w := strings.Fields(line)
	s.valid = len(w) > 0 && (w[0] == "deb" || w[0] == "deb-src")
	s.text = strings.Join(w, " ")
	return s
}

// line is the source, on, as a list has it.
func (s aptSource) line() string {
	if s.comment != "" {
		return s.text + " # " + s.comment + "\n"
	}
	return s.text + "\n"
}

// listFile is a file of sources before and after.
type listFile struct {
	path     string
	old, now string
	isNew    bool
}

// Run edits the lists.
func (m *aptRepositoryModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	more := ""
	if strings.Contains(m.Filename, "/") {
		more = m.Filename + ".list"
	}
	r, err := script{Text: sourcesScript, Keep: 8 << 20, Vars: map[string]string{"more": more}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("apt_repository"), nil
	}
	source, name := m.source(r.get("codename"))
	if source == "" {
		return failed("apt_repository: the host does not tell its suite; give codename"), nil
	}
	files := listFiles(r)
	if m.State == "absent" {
		dropSource(files, source)
	} else {
		files = m.addSource(files, source, name, r)
	}
	res := engine.Result{Values: value.NewDict("repo", m.Repo, "state", m.State)}
	var diffs []any
	var changed []*listFile
	for _, f := range files {
		if f.now == f.old {
			continue
		}
		changed = append(changed, f)
		diffs = append(diffs, textDiff(either(f.isNew, "/dev/null", f.path), f.old, either(f.now == "", "/dev/null", f.path), f.now))
	}
	res.Changed = len(changed) > 0
	if res.Changed && t.Diff {
		res.Diff = diffs
	}
	if !res.Changed || t.Check {
		return res, nil
	}
	if m.State == "present" && ppaName.MatchString(m.Repo) {
		if bad, err := m.ppaKey(ctx, t); err != nil || bad.Failed {
			return bad, err
		}
	}
	if bad, err := m.save(ctx, t, changed); err != nil || bad.Failed {
		return bad, err
	}
	return res, nil
}

// source is the line and the name of a file for it.
func (m *aptRepositoryModule) source(codename string) (line, name string) {
	if p := ppaName.FindStringSubmatch(m.Repo); p != nil {
		if m.Codename != "" {
			codename = m.Codename
		}
		if codename = strings.TrimSpace(codename); codename == "" {
			return "", ""
		}
		line = fmt.Sprintf("deb http://ppa.launchpad.net/%s/%s/ubuntu %s main", p[1], ppaArchive(p), codename)
		name = m.Repo + "_" + codename
	} else {
		line = parseSource(m.Repo).text
		for _, w := range strings.Fields(urlScheme.ReplaceAllString(sourceOptions.ReplaceAllString(line, ""), "")) {
			if w != "deb" && w != "deb-src" {
				_, host, user := strings.Cut(w, "@")
				if name = w; user {
					name = host
				}
				break
			}
		}
	}
	if m.Filename != "" {
		return line, m.Filename + ".list"
	}
	return line, strings.Trim(notAlnum.ReplaceAllString(name, "_"), "_") + ".list"
}

func ppaArchive(p []string) string {
	if p[2] == "" {
		return "ppa"
	}
	return p[2]
}

func listFiles(r reply) (files []*listFile) {
	for n := 1; r.has(fmt.Sprintf("path%d", n)); n++ {
		s, name := r.get(fmt.Sprintf("text%d", n)), r.get(fmt.Sprintf("path%d", n))
		if !slices.ContainsFunc(files, func(f *listFile) bool { return f.path == name }) {
			files = append(files, &listFile{path: name, old: s, now: s})
		}
	}
	return files
}

// addSource turns the source on where it stands, or adds it to the file of that name.
func (m *aptRepositoryModule) addSource(files []*listFile, source, name string, r reply) []*listFile {
	found := false
	for _, f := range files {
		list := splitLines(f.old)
		for i, line := range list {
			if s := parseSource(line); s.valid && s.text == source {
				found = true
				if !s.enabled {
					list[i] = s.line()
				}
			}
		}
		f.now = strings.Join(list, "")
	}
	if found {
		return files
	}
	if !strings.Contains(name, "/") {
		name = path.Join(r.get("parts"), name)
	}
	i := slices.IndexFunc(files, func(f *listFile) bool { return f.path == name })
	if i < 0 {
		files = append(files, &listFile{path: name, isNew: true})
		i = len(files) - 1
	}
	f := files[i]
	if f.now != "" && !strings.HasSuffix(f.now, "\n") {
		f.now += "\n"
	}
	f.now += source + "\n"
	return files
}

// dropSource takes the source out of all files, but where it is off.
func dropSource(files []*listFile, source string) {
	for _, f := range files {
		f.now = strings.Join(slices.DeleteFunc(splitLines(f.old), func(line string) bool {
			s := parseSource(line)
			return s.valid && s.enabled && s.text == source
		}), "")
	}
}

// save writes the files and has apt read them; where that fails they become what they were.
func (m *aptRepositoryModule) save(ctx context.Context, t *engine.Task, files []*listFile) (engine.Result, error) {
	mode, _ := modeText(m.Mode)
	if mode == "" {
		mode = newMode
	}
	quiet := *t
	quiet.Diff = false // it is known here
	for _, f := range files {
		if res, err := f.write(ctx, &quiet, f.now, mode); err != nil || res.Failed {
			return res, err
		}
	}
	if !m.UpdateCache {
		return engine.Result{}, nil
	}
	r, err := script{Text: aptUpdateScript, Vars: map[string]string{"retries": number(m.UpdateRetries), "most": number(max(m.MaxDelay, 0))}}.runShown(ctx, t)
	if err != nil || r.ok() {
		return engine.Result{}, err
	}
	bad := r.failure("apt-get update fails, so the change is undone")
	for _, f := range files {
		if res, err := f.write(ctx, &quiet, f.old, mode); err != nil || res.Failed {
			return res, err
		}
	}
	return bad, nil
}

// write puts text into the file, with the mode if it is a new one; a file without text is removed.
func (f *listFile) write(ctx context.Context, t *engine.Task, text, mode string) (engine.Result, error) {
	if text == "" {
		r, err := run(ctx, t, `rm -f -- "$file"`, map[string]string{"file": f.path})
		if err != nil || r.ok() {
			return engine.Result{}, err
		}
		return r.failure("apt_repository"), nil
	}
	p := putting{dest: f.path, follow: true, parents: "-"}
	if f.isNew {
		p.mode = mode
	}
	p.content([]byte(text))
	return p.put(ctx, t)
}
