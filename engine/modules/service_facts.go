package modules

import (
	"context"
	"regexp"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// serviceFactsModule sets the fact services: of each service's name its state, status and source. It has no arguments.
type serviceFactsModule struct {
	root string // before the paths; "" but for tests
}

// What each of these programs prints is read in Go. Names of templates cannot be asked for their
// state, and one of them would spoil the answer of all.
const serviceFactsScript = `if has chkconfig; then
	tell chkconfig chkconfig --list
	for s in $(chkconfig --list 2>/dev/null | sed -n 's/^\([^ 	]*\)[ 	][ 	]*0:.*/\1/p'); do
		if service "$s" status >/dev/null 2>&1 </dev/null; then printf '%s ' "$s"; fi
	done >"${tmp:=$(mktemp "${TMPDIR:-/tmp}/farm.XXXXXXXX")}"
	tell running cat "$tmp"
	rm -f -- "$tmp"
elif has rc-status && has rc-update; then
	tell openrc rc-status -a -s -m
	tell runlevels rc-update show -v
elif has service && ! has rcctl && ! has sysrc; then
	printf '\036sysv='; service --status-all 2>/dev/null </dev/null; printf '\0'
fi
if [ -d "$root/run/systemd/system" ] && has systemctl; then
	tell units systemctl list-units --no-pager --no-legend --plain --full --type service --all
	tell files systemctl list-unit-files --no-pager --no-legend --full --type service --all
	names=$(systemctl list-unit-files --no-pager --no-legend --full --type service --all 2>/dev/null | sed -n 's/^\([^ ]*\.service\) .*/\1/p' | grep -v '@\.service$')
	say names "$names"
	[ -z "$names" ] || tell states systemctl show --property=ActiveState $names
fi
if has rcctl; then
	for l in all on started failed; do tell "rcctl_$l" rcctl ls $l; done
fi
exit 0
`

// Run asks.
func (m *serviceFactsModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	r, err := script{Text: serviceFactsScript, Keep: 8 << 20, Vars: map[string]string{"root": m.root}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("service_facts"), nil
	}
	s := services{r, value.NewDict()}
	s.sysv()
	s.chkconfig()
	s.openrc()
	s.systemd()
	s.rcctl()
	if s.d.Len() == 0 {
		return engine.Result{Skipped: true, Msg: "no services were found; the service manager may be unknown, or tell only root"}, nil
	}
	return engine.Result{Facts: value.NewDict("services", s.d)}, nil
}

// services makes the fact of what the script said.
type services struct {
	r reply
	d *value.Dict
}

func (s services) lines(key string) (list []string) {
	for _, l := range lines(text(s.r.get(key))) {
		list = append(list, l.(string))
	}
	return list
}

// add adds a service; more are pairs of a key and a value.
func (s services) add(name, state, source string, more ...any) {
	d := value.NewDict("name", name, "state", state, "source", source)
	for i := 0; i < len(more); i += 2 {
		d.Set(more[i], more[i+1])
	}
	s.d.Set(name, d)
}

func either(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

var (
	sysvLine      = regexp.MustCompile(`^\s*\[ ([+-]) \]\s+(.+)$`)
	chkconfigLine = regexp.MustCompile(`^(\S+)\s+0:(?:on|off)\s.*3:(on|off)\s`)
)

func (s services) sysv() {
	for _, line := range s.lines("sysv") {
		if f := sysvLine.FindStringSubmatch(line); f != nil {
			s.add(f[2], either(f[1] == "+", "running", "stopped"), "sysv")
		}
	}
}

func (s services) chkconfig() {
	running := " " + s.r.get("running")
	for _, line := range s.lines("chkconfig") {
		if f := chkconfigLine.FindStringSubmatch(line); f != nil {
			s.add(f[1], either(strings.Contains(running, " "+f[1]+" "), "running", "stopped"), "sysv", "status", either(f[2] == "on", "enabled", "disabled"))
		}
	}
}

// openrc reads " NAME [ STATE ]", and "NAME | RUNLEVEL..." for where it is started.
func (s services) openrc() {
	levels := map[string]any{}
	for _, line := range s.lines("runlevels") {
		if name, list, ok := strings.Cut(line, "|"); ok {
			levels[strings.TrimSpace(name)] = nil
			if w := strings.Fields(list); len(w) > 0 {
				levels[strings.TrimSpace(name)] = value.From(w)
			}
		}
	}
	for _, line := range s.lines("openrc") {
		w := strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(line))
		if strings.HasPrefix(line, " ") && len(w) > 1 {
			s.add(w[0], w[1], "openrc", "runlevels", levels[w[0]])
		}
	}
}

// systemd reads the units that are loaded, "NAME LOAD ACTIVE SUB ...", and the files of units, "NAME STATUS ...". A
// unit that is not loaded has its state from the records of show, which come in the order of the names.
func (s services) systemd() {
	final := map[string]bool{} // their status is not that of the file
	for _, line := range s.lines("units") {
		w := strings.Fields(line)
		if len(w) < 4 || !strings.HasSuffix(w[0], ".service") {
			continue
		}
		status := w[2]
		switch {
		case w[1] == "not-found" || w[1] == "masked":
			status, final[w[0]] = w[1], true
		case w[2] == "failed":
			final[w[0]] = true
		}
		s.add(w[0], either(w[3] == "running", "running", "stopped"), "systemd", "status", status)
	}
	states, names := map[string]string{}, s.lines("names")
	for i, block := range strings.Split(strings.TrimSpace(text(s.r.get("states"))), "\n\n") {
		if i < len(names) {
			states[names[i]] = strings.TrimPrefix(strings.TrimSpace(block), "ActiveState=")
		}
	}
	for _, line := range s.lines("files") {
		w := strings.Fields(line)
		if len(w) < 2 || !strings.HasSuffix(w[0], ".service") {
			continue
		}
		switch known, ok := s.d.Get(w[0]); {
		case !ok && states[w[0]] != "":
			s.add(w[0], states[w[0]], "systemd", "status", w[1])
		case !ok:
			s.add(w[0], "unknown", "systemd", "status", w[1])
		case !final[w[0]]:
			known.(*value.Dict).Set("status", w[1])
		}
	}
}

func (s services) rcctl() {
	in := func(key, name string) bool { return strings.Contains("\n"+s.r.get(key), "\n"+name+"\n") }
	for _, name := range s.lines("rcctl_all") {
		state := either(in("rcctl_started", name), "running", "stopped")
		s.add(name, either(in("rcctl_failed", name), "failed", state), "rcctl", "status", either(in("rcctl_on", name), "enabled", "disabled"))
	}
}
