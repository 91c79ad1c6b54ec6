package modules

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// packageFactsModule sets the fact packages: of each installed package's name the list of its versions.
type packageFactsModule struct {
	// Package managers to ask: apt, rpm, pacman, apk, pkg, pkg_info, portage, or auto for those there are.
	Manager []string `yaml:"manager"`
	// first: ask the first of them that knows a package; all: every one.
	Strategy string `yaml:"strategy"`
}

// packageManagers are the managers in the order in which auto asks them.
var packageManagers = []string{"apt", "rpm", "pacman", "apk", "pkg", "pkg_info", "portage"}

// Each manager's list is a record LIST_NAME of its own output. A manager that is not there says
// nothing. apt also says where the versions come from, if its lists are there.
const packageFactsScript = `some() { # MANAGER PROGRAM COMMAND...: what the command prints
	farm_m=$1
	has "$2" || return 1
	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err" || { say "bad_$farm_m" "$(cat "$tmp/err")"; return 1; }
	[ -s "$tmp/out" ] || return 1
	tell "list_$farm_m" cat "$tmp/out"
}
portage() { qlist -Iv | xargs -n 1024 qatom; }
ask() {
	case $1 in
	apt)
		some apt dpkg-query dpkg-query -W -f '${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${Section}\n' || return
		tell arch dpkg --print-architecture
		has apt-cache || return 0
		tell releases apt-cache policy
		awk -F '\t' '$1 == "installed" { print $2 ":" $4 }' "$tmp/out" | sed 's/:all$//' >"$tmp/names"
		printf '\036policies='; xargs apt-cache policy <"$tmp/names" 2>/dev/null; printf '\0' ;;
	rpm) some rpm rpm rpm -qa --qf '%{NAME}\t%{VERSION}\t%{RELEASE}\t%{EPOCH}\t%{ARCH}\n' ;;
	pacman) some pacman pacman pacman -Qi ;;
	apk) some apk apk apk info -v ;;
	pkg) some pkg pkg pkg query '%n\t%v\t%R\t%t\t%a\t%q\t%o\t%p\t%V' ;;
	pkg_info) some pkg_info pkg_info pkg_info -a ;;
	portage) some portage qlist portage ;;
	esac
}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit
trap 'rm -rf -- "$tmp"' EXIT
for m; do
	if ask "$m" && [ "$strategy" = first ]; then break; fi
done
exit 0
`

// Validate checks the names.
func (m *packageFactsModule) Validate() error {
	for _, name := range m.Manager {
		if err := oneOf("manager", strings.ToLower(name), append([]string{"auto"}, packageManagers...)...); err != nil {
			return err
		}
	}
	return oneOf("strategy", m.Strategy, "first", "all")
}

// Run asks the managers.
func (m *packageFactsModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("package_facts: %v", err), nil
	}
	var names, asked []string
	auto := false
	for _, name := range m.Manager {
		if name = strings.ToLower(name); name == "auto" {
			auto = true
		} else {
			asked = append(asked, name)
		}
	}
	names = asked
	if auto {
		names = append(slices.Clone(asked), packageManagers...)
	}
	var once []string
	for _, name := range names {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	r, err := script{Text: packageFactsScript, Args: once, Keep: 64 << 20, Vars: map[string]string{"strategy": m.Strategy}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("package_facts"), nil
	}
	packages, found := value.NewDict(), false
	for _, name := range once {
		if r.has("bad_"+name) && slices.Contains(asked, name) {
			warn(t, "the package manager %s cannot be asked: %s", name, text(r.get("bad_"+name)))
		}
		if r.has("list_" + name) {
			found = true
			packages = value.Merge(packages, byName(name, installed(name, r)))
		}
	}
	if !found {
		return failed("package_facts: none of these package managers is on this host, or knows a package: %s", strings.Join(once, ", ")), nil
	}
	return engine.Result{Facts: value.NewDict("packages", packages)}, nil
}

// byName is packages by their names, in the order in which these come.
func byName(manager string, list []*value.Dict) *value.Dict {
	all := map[string][]any{}
	var names []string
	for _, p := range list {
		p.Set("source", manager)
		v, _ := p.Get("name")
		name := value.Text(v)
		if all[name] == nil {
			names = append(names, name)
		}
		all[name] = append(all[name], p)
	}
	d := value.NewDict()
	for _, name := range names {
		d.Set(name, all[name])
	}
	return d
}

// installed reads a manager's list.
func installed(manager string, r reply) []*value.Dict {
	out := text(r.get("list_" + manager))
	if manager == "pacman" {
		return pacmanPackages(out)
	}
	read := map[string]func(string) *value.Dict{
		"rpm": rpmPackage, "apk": apkPackage, "pkg": pkgPackage, "pkg_info": pkgInfoPackage, "portage": portagePackage,
	}[manager]
	if manager == "apt" {
		read = aptPackage(r)
	}
	var list []*value.Dict
	for _, line := range lines(out) {
		if p := read(line.(string)); p != nil {
			list = append(list, p)
		}
	}
	return list
}

// aptPackage reads a line of dpkg-query. A package of another architecture than dpkg's has it in its name.
func aptPackage(r reply) func(string) *value.Dict {
	native := strings.TrimSpace(r.get("arch"))
	origins := aptOrigins(text(r.get("releases")), text(r.get("policies")))
	return func(line string) *value.Dict {
		f := strings.Split(line, "\t")
		if len(f) != 5 || f[0] != "installed" {
			return nil
		}
		name := f[1]
		if f[3] != native && f[3] != "all" {
			name += ":" + f[3]
		}
		return value.NewDict("name", name, "version", f[2], "arch", f[3], "category", f[4], "origin", origins[name])
	}
}

var (
	releaseOrigin  = regexp.MustCompile(`(?:^\s+release |,)o=([^,]*)`)
	packageFile    = regexp.MustCompile(`^\s+-?[0-9]+ (.+)$`)
	versionOfTable = regexp.MustCompile(`^ (\*\*\*|   ) \S+ -?[0-9]+$`)
)

// aptOrigins reads "apt-cache policy" without and with packages: who offers the version of each package that is installed.
func aptOrigins(releases, policies string) map[string]string {
	offers, file := map[string]string{}, ""
	for line := range strings.Lines(releases) {
		line = strings.TrimRight(line, "\n")
		if f := packageFile.FindStringSubmatch(line); f != nil {
			file = f[1]
		} else if o := releaseOrigin.FindStringSubmatch(line); o != nil {
			offers[file] = o[1]
		}
	}
	origins, name, current := map[string]string{}, "", false
	for line := range strings.Lines(policies) {
		line = strings.TrimRight(line, "\n")
		switch {
		case !strings.HasPrefix(line, " "):
			name, current = strings.TrimSuffix(line, ":"), false
		case versionOfTable.MatchString(line):
			current = strings.HasPrefix(line, " ***")
		case current:
			if f := packageFile.FindStringSubmatch(line); f != nil && origins[name] == "" {
				origins[name] = offers[f[1]]
			}
		}
	}
	return origins
}

// unlessNone is an rpm's field, null where it has none.
func unlessNone(s string) any {
	if s == "(none)" {
		return nil
	}
	return s
}

func rpmPackage(line string) *value.Dict {
	f := strings.Split(line, "\t")
	if len(f) != 5 {
		return nil
	}
	epoch := unlessNone(f[3])
	if n, err := strconv.ParseInt(f[3], 10, 64); err == nil {
		epoch = n
	}
	return value.NewDict("name", f[0], "version", f[1], "release", f[2], "epoch", epoch, "arch", unlessNone(f[4]))
}

var pacmanField = regexp.MustCompile(`^([\w ]*\w) +: (.*)$`)

// pacmanPackages reads "pacman -Qi": blocks of "Name : value", whose values may go on in the next lines.
func pacmanPackages(out string) (list []*value.Dict) {
	for block := range strings.SplitSeq(strings.TrimRight(out, "\n"), "\n\n") {
		fields, last := map[string]string{}, ""
		for _, line := range lines(block) {
			if f := pacmanField.FindStringSubmatch(line.(string)); f != nil {
				last = f[1]
				fields[last] = f[2]
			} else {
				fields[last] += "  " + strings.TrimSpace(line.(string))
			}
		}
		if fields["Name"] == "" {
			continue
		}
		var provides any
		if p := fields["Provides"]; p != "None" && p != "" {
			names := []any{}
			for _, w := range strings.Split(p, "  ") {
				name, _, _ := strings.Cut(w, "=")
				names = append(names, name)
			}
			provides = names
		}
		list = append(list, value.NewDict("name", fields["Name"], "version", fields["Version"], "arch", fields["Architecture"], "provides", provides))
	}
	return list
}

// apkPackage reads NAME-VERSION-RELEASE.
func apkPackage(line string) *value.Dict {
	w := strings.Split(line, "-")
	n := len(w)
	if n < 3 {
		return value.NewDict("name", line, "version", "", "release", "")
	}
	return value.NewDict("name", strings.Join(w[:n-2], "-"), "version", w[n-2], "release", w[n-1])
}

// pkgInfoPackage reads "NAME-VERSION comment".
func pkgInfoPackage(line string) *value.Dict {
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	at := strings.LastIndexByte(word, '-')
	if at < 0 {
		return value.NewDict("name", line, "version", "")
	}
	return value.NewDict("name", word[:at], "version", word[at+1:])
}

// pkgPackage reads a line of FreeBSD's pkg query. A version is VERSION_REVISION,EPOCH.
func pkgPackage(line string) *value.Dict {
	f := strings.Split(line, "\t")
	if len(f) != 9 {
		return nil
	}
	var epoch any = int64(0)
	version, e, ok := strings.Cut(f[1], ",")
	if ok {
		epoch = e
	}
	version, revision, ok := strings.Cut(version, "_")
	if !ok {
		revision = "0"
	}
	arch := f[5]
	if w := strings.Split(arch, ":"); len(w) > 2 {
		arch = w[2]
	}
	category, _, _ := strings.Cut(f[6], "/")
	return value.NewDict("name", f[0], "version", version, "revision", revision, "port_epoch", epoch, "origin", f[2], "installed", f[3],
		"automatic", f[4] == "1", "arch", arch, "category", category, "prefix", f[7], "vital", f[8] == "1")
}

// portagePackage reads a line of qatom.
func portagePackage(line string) *value.Dict {
	d := value.NewDict()
	names := []string{"category", "name", "version", "ebuild_revision", "slots", "prefixes", "sufixes"}
	for i, w := range strings.Fields(line) {
		if i < len(names) {
			d.Set(names[i], w)
		}
	}
	if !d.Has("name") {
		return nil
	}
	return d
}
