package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"farm/engine"
	"farm/engine/local"
	"farm/engine/modules"
	"farm/engine/play"
	"farm/engine/report"
	"farm/engine/runner"
	"farm/engine/task"
	"farm/inventory"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// defaultForks is how many tasks of a play run at once: they wait for their hosts most of
// the time.
const defaultForks = 32

// playFlags are the options of `farm play`.
type playFlags struct {
	inventoryFlags
	inventory          string
	on, key, hostKey   string
	forks              int
	check, diff        bool
	tags, skipTags     []string
	step               bool
	startAt            string
	become             bool
	becomeUser         string
	becomeMethod       string
	becomePasswordFile string
	json               bool
}

func newPlayCommand(a *app) *cobra.Command {
	f := &playFlags{}
	cmd := &cobra.Command{
		Use:   "play FILE",
		Short: "Run a playbook, a task file or a role on hosts",
		Long: "Run FILE, a playbook, a task file or the folder of a role, on the hosts of an inventory or on one host. A\n" +
			"task file and a role run on all hosts that --limit leaves.\n\n" +
			"The password for --become comes from --become-password-file, the variable FARM_BECOME_PASSWORD or\n" +
			"ansible_become_password; no option takes one. A host's key is the one that --host-key or a known_hosts file\n" +
			"has, else it is remembered at the first login and has to stay the same.\n\n" +
			"Exit status: 0 all went well, 1 a task failed, 2 a host could not be reached, 3 no host, 64 usage,\n" +
			"65 bad inventory, playbook or task file, 130 interrupted.",
		Example: "  farm play site.yaml -i inventory.yaml -l web --diff\n" +
			"  farm play site.yaml -i 10.0.0.3,10.0.0.4:2222 --key id_ed25519\n" +
			"  farm play tasks/install.yaml --on ssh://root@10.0.0.3:2222 --key id_ed25519\n" +
			"  farm play roles/nginx --on local --check --json",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cmp.Or(exclusive(cmd, "inventory", "on"), exclusive(cmd, "limit", "on")); err != nil {
				return err
			}
			return a.play(cmd.Context(), args[0], f)
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.inventory, "inventory", "i", "", "inventory `file`, or hosts as HOST,HOST:PORT or HOST,")
	fl.StringVarP(&f.limit, "limit", "l", "", "`pattern` of hosts that narrows every play")
	fl.StringVar(&f.on, "on", "", "run every play on this `host`: ssh://[user@]host[:port] or local")
	fl.StringVar(&f.key, "key", "", "private key `file` to log in with")
	fl.StringVar(&f.hostKey, "host-key", "", "public host `key` of --on, or a file with it")
	f.add(cmd)
	fl.StringSliceVarP(&f.tags, "tags", "t", nil, "only tasks with these tags")
	fl.StringSliceVar(&f.skipTags, "skip-tags", nil, "no tasks with these tags")
	fl.BoolVar(&f.step, "step", false, "ask before each task whether it is to run")
	fl.StringVar(&f.startAt, "start-at-task", "", "begin with the task of this `name`; * and ? stand for any text and character")
	fl.BoolVarP(&f.check, "check", "C", false, "only say what would change")
	fl.BoolVarP(&f.diff, "diff", "D", false, "show what changes in files")
	fl.IntVarP(&f.forks, "forks", "j", defaultForks, "at most `n` tasks at once")
	fl.BoolVarP(&f.become, "become", "b", false, "run tasks as another user, unless the play says otherwise")
	fl.StringVar(&f.becomeUser, "become-user", "", "the `user`; default root")
	fl.StringVar(&f.becomeMethod, "become-method", "", "`way` to become it: sudo, su or doas; default sudo")
	fl.StringVar(&f.becomePasswordFile, "become-password-file", "", "`file` with the password that is asked for then")
	fl.BoolVar(&f.json, "json", false, "print every task's result as JSON")
	return cmd
}

// performance is one `farm play` from its file to its recap.
type performance struct {
	*app
	flags *playFlags
	path  string
	hosts play.Hosts
	only  string // the host of --on
	extra *value.Dict
	plays []*play.Play
	tasks task.Options

	password string // for becoming another user
	hostKeys []string
	mask     *runner.Mask
	home     string
	id, log  string
	dir      string // of the files that tasks keep
	began    time.Time
}

func (a *app) play(ctx context.Context, path string, f *playFlags) error {
	p := &performance{app: a, flags: f, path: path, mask: &runner.Mask{}, began: time.Now()}
	if err := p.read(); err != nil {
		return err
	}
	if err := p.folder(); err != nil {
		return err
	}
	soft, hard, stop := interrupts(ctx, a.err, "interrupted: no task is started any more; again to end those under way", "ending the tasks under way; again to leave at once")
	defer stop()
	recap := report.NewRecap(f.json)
	sinks := []engine.Sink{report.NewPlay(a.err, a.verbose), recap}
	file, err := os.Create(p.log)
	if err != nil {
		return err
	}
	bus := runner.NewBus(p.id, p.mask, append(sinks, report.NewNDJSON(file))...)
	o := play.Options{Task: p.tasks, Hosts: p.hosts, Login: p.login, Limit: f.limit, Only: p.only, Forks: f.forks, Emit: bus.Emit}
	o.Artifacts = func(host string) string { return filepath.Join(p.dir, runner.FileName(host)) }
	if f.step {
		o.Step = newAsker(a.in, a.err).ask
	}
	err = play.Run(soft, hard, p.plays, o)
	if e := bus.Close(); e != nil {
		fmt.Fprintf(a.err, "farm: a report is not complete: %v\n", e)
	}
	switch {
	case errors.Is(err, play.ErrNoHosts), errors.Is(err, play.ErrNoTask):
		return fmt.Errorf("%w: %w", errNothingSelected, err)
	case errors.Is(err, inventory.ErrPattern):
		return &usageError{err}
	case err != nil:
		return err
	}
	bus.State(func(s *engine.State) { err = p.finish(s, recap) })
	return err
}

// read reads everything and finds what is wrong with it before a host is called.
func (p *performance) read() (err error) {
	f := p.flags
	if f.forks < 1 {
		return &usageError{fmt.Errorf("--forks is %d, not 1 or more", f.forks)}
	}
	if f.hostKey != "" && !strings.HasPrefix(f.on, "ssh://") {
		return &usageError{errors.New("--host-key belongs to --on ssh://HOST; hosts of an inventory have theirs in known_hosts files")}
	}
	if p.home, err = p.app.home(); err != nil {
		return err
	}
	if p.password, err = p.becomePassword(); err != nil {
		return err
	}
	var e *expr.Engine
	var bad error // of the inventory: told with what is wrong in plays
	dir := filepath.Dir(p.path)
	roles, beside := []string{}, []string{dir}
	switch {
	case f.on != "":
		e, err = p.single(dir)
	case isHostList(f.inventory):
		e, err = p.several()
	default:
		var inv *inventory.Inventory
		if f.inventory == "" {
			return &usageError{errors.New("on which hosts? give -i INVENTORY, or --on ssh://USER@HOST, or --on local")}
		}
		f.playbooks = dir
		if inv, bad = f.load(f.inventory); inv == nil {
			err = bad
		} else {
			p.hosts, p.extra, e = inv, inv.Extra(), inv.Engine()
			roles = append(roles, filepath.Join(inv.Dir(), "roles"))
			beside = append(beside, inv.Dir())
		}
	}
	if err != nil {
		return err
	}
	if p.hostKeys, err = hostKeys(f.hostKey); err != nil {
		return err
	}
	for _, path := range filepath.SplitList(os.Getenv("ANSIBLE_ROLES_PATH")) {
		if abs, err := filepath.Abs(path); err == nil && path != "" {
			roles = append(roles, abs)
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		roles = append(roles, filepath.Join(home, ".ansible", "roles"))
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	p.tasks = task.Options{
		Modules: modules.WithPlugins(beside...), Extra: p.extra, Project: dir, RolePaths: append(roles, "/usr/share/ansible/roles", "/etc/ansible/roles"),
		Check: f.check, Diff: f.diff, Tags: f.tags, SkipTags: f.skipTags, StartAt: f.startAt,
	}
	if p.localAllowed() {
		p.tasks.Local = local.Here()
	}
	r := task.New(p.tasks)
	p.plays, err = play.Read(r.Parser(), p.path, p.extra)
	later, wrong := play.Check(r, p.plays, e, err == nil)
	if err := source.Join(bad, err, wrong); err != nil {
		return err
	}
	p.app.warnLater(later)
	p.becomes()
	p.hideSecrets()
	return p.someTagged()
}

// becomes puts --become and its like where plays say nothing.
func (p *performance) becomes() {
	f := p.flags
	for _, one := range p.plays {
		set := func(keyword string, v any, given bool) {
			if given && !one.Keys.Has(keyword) {
				one.Keys.Set(keyword, v)
			}
		}
		set("become", true, f.become)
		set("become_user", f.becomeUser, f.becomeUser != "")
		set("become_method", f.becomeMethod, f.becomeMethod != "")
	}
}

// hideSecrets has the mask know the secrets among the variables.
func (p *performance) hideSecrets() {
	p.mask.Add(p.password)
	names := p.hosts.HostNames()
	for _, name := range names {
		vars := p.hosts.HostVars(name).With(p.extra)
		for _, key := range vars.Names() {
			raw, _ := vars.Raw(key)
			p.mask.AddValue(key, raw)
			if !mayHoldSecret(key, raw) {
				continue
			}
			if v, ok, err := vars.Get(key); ok && err == nil {
				p.mask.AddValue(key, v)
			}
		}
	}
	for _, one := range p.plays {
		for k, v := range one.Vars.All() {
			p.mask.AddValue(value.Text(k), v)
		}
	}
}

// someTagged is an error where --tags selects no task at all.
func (p *performance) someTagged() error {
	wanted := map[string]bool{}
	for _, tag := range p.flags.tags {
		wanted[tag] = true
	}
	if len(wanted) == 0 || wanted["all"] || wanted["tagged"] || wanted["untagged"] {
		return nil
	}
	for _, one := range p.plays {
		found := false
		if v, ok := one.Keys.Get("tags"); ok {
			found = anyTag(v, wanted)
		}
		one.Walk(func(t *task.Task) {
			found = found || strings.HasPrefix(t.Module, "include_") || strings.HasPrefix(t.Module, "import_")
			if v, ok := t.Keys.Get("tags"); ok {
				found = found || anyTag(v, wanted)
			}
		})
		if found {
			return nil
		}
	}
	return fmt.Errorf("%w: no task has a tag of %s", errNothingSelected, strings.Join(p.flags.tags, ", "))
}

// keptPlays is how many records of earlier plays are kept.
const keptPlays = 50

// folder makes the file of the play's record, and removes those of the oldest.
func (p *performance) folder() error {
	dir := filepath.Join(p.home, "plays")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.ndjson")) // sorted: the oldest first
	if err != nil {
		return err
	}
	for len(old) >= keptPlays {
		os.Remove(old[0]) // another farm may have been quicker
		os.RemoveAll(artifactsOf(old[0]))
		old = old[1:]
	}
	p.id = newRunID(p.began)
	p.log = filepath.Join(dir, p.id+".ndjson")
	p.dir = artifactsOf(p.log)
	return nil
}

// artifactsOf is the folder with the files that the tasks of a play kept, beside its record.
func artifactsOf(log string) string { return strings.TrimSuffix(log, ".ndjson") + ".artifacts" }

// played is what `farm play --json` prints.
type played struct {
	File      string                        `json:"file"`
	Status    engine.Status                 `json:"status"` // the worst of the hosts'
	Started   time.Time                     `json:"started"`
	ElapsedMS int64                         `json:"elapsed_ms"`
	Hosts     map[string]*report.PlayedHost `json:"hosts"`
	Stats     *value.Dict                   `json:"stats,omitempty"`      // of set_stats
	HostStats map[string]*value.Dict        `json:"host_stats,omitempty"` // with per_host, by host
}

// finish prints what happened and turns it into an exit status.
func (p *performance) finish(s *engine.State, recap *report.Recap) error {
	worst := worstOf(s)
	var err error
	if p.flags.json {
		var text []byte
		text, err = encode(played{p.path, worst.Status, p.began.UTC(), time.Since(p.began).Milliseconds(), recap.Hosts, recap.Stats.Run, recap.Stats.Hosts})
		if err == nil {
			_, err = p.out.Write(text)
		}
	} else {
		fmt.Fprintln(p.out)
		err = recap.Write(p.out, s, p.log, p.again())
	}
	if err != nil && !errors.Is(err, syscall.EPIPE) { // nobody reads it; the verdict stands
		return err
	}
	switch worst.Fault {
	case engine.NoFault:
		return nil
	case engine.TestFault:
		return &exitError{exitTestFailed}
	case engine.UserFault:
		return &exitError{exitBadInput}
	case engine.Cancelled:
		return &exitError{exitInterrupted}
	}
	return &exitError{exitNoVerdict}
}

// worstOf is the host that decides the exit status.
func worstOf(s *engine.State) *engine.VMState {
	rank := map[engine.Fault]int{engine.Cancelled: 1, engine.UserFault: 2, engine.FarmFault: 3, engine.TestFault: 4}
	worst := &engine.VMState{Status: engine.OK}
	for _, name := range s.Order {
		if vm := s.VMs[name]; rank[vm.Fault] > rank[worst.Fault] {
			worst = vm
		}
	}
	return worst
}

// again is the command that repeats the play for one host, secrets masked.
func (p *performance) again() string {
	f := p.flags
	args := []string{"farm", "play", quote(p.path)}
	option := func(name, v string) {
		if v != "" {
			args = append(args, name, quote(p.mask.Text(v)))
		}
	}
	option("-i", f.inventory)
	option("--on", f.on)
	option("--key", f.key)
	option("--host-key", f.hostKey)
	for _, v := range f.vars {
		option("--vars", v)
	}
	for _, e := range f.extra {
		option("-e", e)
	}
	option("--tags", strings.Join(f.tags, ","))
	option("--skip-tags", strings.Join(f.skipTags, ","))
	option("--start-at-task", f.startAt)
	for _, o := range []struct {
		name string
		on   bool
	}{{"--step", f.step}, {"--check", f.check}, {"--diff", f.diff}, {"--become", f.become}} {
		if o.on {
			args = append(args, o.name)
		}
	}
	option("--become-user", f.becomeUser)
	option("--become-method", f.becomeMethod)
	option("--become-password-file", f.becomePasswordFile)
	text := strings.ReplaceAll(strings.Join(args, " "), "%", "%%")
	if f.on != "" {
		return text + "%.0s"
	}
	return text + " -l %s"
}
