package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farm/callbacks"
	"farm/engine"
	"farm/engine/dispatch"
	"farm/engine/local"
	"farm/engine/runner"
	"farm/engine/store"
	"farm/inventory"
	"farm/inventory/source"
	"farm/phases"
)

// runFlags are the options of `farm run`.
type runFlags struct {
	inventoryFlags
	parallel int
	check    bool
	diff     bool
	failFast bool
	keep     string
	keepFor  time.Duration
	ndjson   string
	junit    string
	offline  bool
	tags     []string
	skipTags []string
	refresh  []string
}

func newRunCommand(a *app) *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "run INVENTORY",
		Short: "Build and test in every VM of an inventory",
		Long: "Make the VMs that INVENTORY asks for, run the project's phases in them, and tell how it went.\n\n" +
			"Exit status: 0 all passed, 1 a test failed, 2 no verdict for some VM (hypervisor, network, image),\n" +
			"3 nothing selected, 64 usage, 65 bad inventory or task file, 130 interrupted.",
		Example: "  farm run inventory.yaml --vars vde.yaml\n" +
			"  farm run inventory.yaml -l '*/arm64' --keep on-failure",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd.Context(), args[0], f) },
	}
	f.add(cmd)
	f.addLimit(cmd)
	fl := cmd.Flags()
	fl.IntVarP(&f.parallel, "jobs", "j", 0, "at most `n` VMs at once; 0 = as many as the hypervisors have room for")
	fl.BoolVarP(&f.check, "check", "C", false, "boot the guests, but only say what the tasks would change")
	fl.BoolVarP(&f.diff, "diff", "D", false, "show what tasks change in files; with --check what they would change")
	fl.BoolVar(&f.failFast, "fail-fast", false, "start no more VMs after one has failed")
	fl.StringVar(&f.keep, "keep", "", "leave machines running: never, on-failure or always; default on-failure, in CI never")
	fl.DurationVar(&f.keepFor, "keep-for", 30*time.Minute, "how long a machine is kept")
	fl.StringVar(&f.ndjson, "ndjson", "", "write events to `file` as JSON lines; - = stdout")
	fl.StringVar(&f.junit, "junit", "", "write a JUnit report to `file`")
	fl.BoolVar(&f.offline, "offline", false, "use images from the cache only")
	fl.StringSliceVarP(&f.tags, "tags", "t", nil, "only tasks with these tags")
	fl.StringSliceVar(&f.skipTags, "skip-tags", nil, "no tasks with these tags")
	fl.StringSliceVar(&f.refresh, "refresh", nil, "run `phase` anew though its outcome is kept: startup, dependencies or init")
	return cmd
}

// keepMode is when machines are kept: as asked for, else as suits where farm runs.
func (f *runFlags) keepMode(getenv func(string) string) (runner.Keep, error) {
	switch k := runner.Keep(f.keep); k {
	case runner.KeepNever, runner.KeepOnFailure, runner.KeepAlways:
		return k, nil
	case "":
		if ci := getenv("CI"); ci != "" && ci != "false" {
			return runner.KeepNever, nil
		}
		return runner.KeepOnFailure, nil
	}
	return "", &usageError{fmt.Errorf("--keep is %q, not never, on-failure or always", f.keep)}
}

// session is one `farm run` from its inventory to its summary.
type session struct {
	*app
	flags  *runFlags
	path   string // of the inventory, absolute
	inv    *inventory.Inventory
	expand inventory.ExpandOptions
	vms    []inventory.VM
	hosts  []*hypervisor
	store  *store.Store
	id     string
	dir    string
	keep   runner.Keep
	bus    *runner.Bus
	mask   *runner.Mask

	guestTasks *phaseTasks
	visit      bool          // it lets somebody in, and is no run to go on from
	reports    []engine.Sink // files that the user named
	alive      func()        // lets go of the run's lock
}

func (a *app) run(ctx context.Context, path string, f *runFlags) (err error) {
	s := &session{app: a, flags: f, mask: &runner.Mask{}}
	if s.keep, err = f.keepMode(a.getenv); err != nil {
		return err
	}
	if _, err := refreshed(f.refresh); err != nil {
		return err
	}
	if f.parallel < 0 {
		return &usageError{fmt.Errorf("--jobs is %d, not 0 or more", f.parallel)}
	}
	if f.keepFor <= 0 {
		return &usageError{fmt.Errorf("--keep-for is %s, not a time above 0", f.keepFor)}
	}
	soft, hard, stop := interrupts(ctx, a.err, runInterrupted, runSwitchesOff)
	defer stop()
	if err := s.read(soft, path); err != nil {
		return err
	}
	if err := s.openReports(); err != nil {
		return err
	}
	if s.store, err = a.openStore(); err != nil {
		return err
	}
	defer s.store.Close()
	if err := s.openHypervisors(soft); err != nil {
		return err
	}
	defer closeAll(s.hosts)
	if err := s.begin(); err != nil {
		return err
	}
	defer s.alive()
	s.collect(soft)
	config, err := s.config()
	if err != nil {
		return err
	}
	runner.Run(soft, hard, config)
	s.guestTasks.end()
	return s.finish()
}

// read loads the inventory, expands it and checks everything that can be checked
// before a machine starts.
func (s *session) read(ctx context.Context, path string) (err error) {
	if s.path, err = filepath.Abs(path); err != nil {
		return err
	}
	var bad error // told with what else is wrong
	if s.inv, bad = s.flags.load(path); s.inv == nil {
		return bad
	}
	s.expand = inventory.ExpandOptions{Limit: s.flags.limit, Run: s.definitionRunner(s.inv)}
	if s.vms, err = s.app.expand(ctx, s.inv, s.flags.limit); err != nil && exitStatus(err) != exitBadInput {
		return err
	}
	later, wrong := s.check(s.inv, s.vms)
	if err := source.Join(bad, err, wrong); err != nil {
		return err
	}
	s.warnLater(later)
	return s.someTagged()
}

// openHypervisors opens the hosts and has definitions see their facts from here on.
func (s *session) openHypervisors(ctx context.Context) error {
	list, err := s.inv.Hypervisors()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "opening %s\n", names(list))
	s.hosts = s.openHosts(ctx, list)
	if ctx.Err() != nil {
		closeAll(s.hosts)
		return engine.Blame(engine.Cancelled, ctx.Err())
	}
	if err := allDown(s.hosts); err != nil && engine.FaultOf(err) == engine.UserFault {
		return err // the inventory is wrong
	}
	// With every host down the run goes on to say so for each VM, in all reports.
	for _, h := range s.hosts {
		if h.err != nil {
			fmt.Fprintf(s.err, "farm: hypervisor %q is not used: %v\n", h.Name, h.err)
		}
	}
	s.expand.Facts = facts(s.hosts)
	s.judgeMachines(ctx)
	return nil
}

func names(list []inventory.Hypervisor) string {
	all := make([]string, len(list))
	for i, h := range list {
		all[i] = h.Name
	}
	return strings.Join(all, ", ")
}

// begin records the run and opens its sinks.
func (s *session) begin() error {
	home, err := s.home()
	if err != nil {
		return err
	}
	began := time.Now()
	s.id = newRunID(began)
	s.dir = filepath.Join(home, "runs", s.id)
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	// Held until farm ends, however it ends: what tells `farm gc` that the run is alive.
	if s.alive, err = lockRun(s.dir); err != nil {
		return err
	}
	asked, err := s.request()
	if err != nil {
		return err
	}
	if err := s.store.Begin(store.Run{ID: s.id, Inventory: s.path, Dir: s.dir, Started: began, Request: asked}); err != nil {
		return err
	}
	sinks, err := s.sinks()
	if err != nil {
		return err
	}
	s.hideSecrets()
	s.bus = runner.NewBus(s.id, s.mask, sinks...)
	return nil
}

// request is what the run is asked to do, with files as they are found from any folder.
func (s *session) request() (*store.Request, error) {
	r := &store.Request{Tags: s.flags.tags, SkipTags: s.flags.skipTags, Check: s.flags.check, Visit: s.visit}
	for _, file := range s.flags.vars {
		file, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		r.Vars = append(r.Vars, file)
	}
	for _, text := range s.flags.extra {
		if file, ok := strings.CutPrefix(strings.TrimSpace(text), "@"); ok {
			file, err := filepath.Abs(file)
			if err != nil {
				return nil, err
			}
			text = "@" + file
		}
		r.Extra = append(r.Extra, text)
	}
	return r, nil
}

// collect removes what earlier runs left and whose time is over.
func (s *session) collect(ctx context.Context) {
	quiet := *s.app
	quiet.out = s.err
	for _, h := range s.hosts {
		if h.err != nil {
			continue
		}
		if _, err := quiet.gcAll(ctx, s.store, h, false); err != nil {
			s.bus.Emit(engine.Event{Kind: engine.Warning, Text: fmt.Sprintf("removing what earlier runs left: %v", err)})
		}
	}
}

func (s *session) config() (runner.Config, error) {
	home, err := s.home()
	if err != nil {
		return runner.Config{}, err
	}
	s.guestTasks = s.tasks()
	c := runner.Config{
		Run: s.id, VMs: s.vms, Backends: map[string]runner.Backend{},
		Place: func(ctx context.Context, vm inventory.VM, host string) (inventory.VM, error) {
			return s.inv.Place(ctx, vm, host, s.expand)
		},
		Prepare:  s.preparation,
		Settings: func(vm inventory.VM) (runner.Settings, error) { return settingsOf(s.inv, vm) },
		Plan:     func(q runner.PlanQuery) []engine.Step { return phases.Plan(phases.Query(q)) },
		Tasks:    s.guestTasks, Guest: guests{s}, Journal: journal{s.app, s.store, s.hosts}, Bus: s.bus,
		Dir: s.dir, User: s.user(), Inventory: s.path, Home: home, Keep: s.keep, KeepFor: s.flags.keepFor,
		Parallel: s.flags.parallel, FailFast: s.flags.failFast, Check: s.flags.check,
	}
	if c.Refresh, err = refreshed(s.flags.refresh); err != nil {
		return c, err
	}
	var hosts []dispatch.Host
	for _, h := range s.hosts {
		hosts = append(hosts, h.forDispatch())
		if h.err == nil {
			c.Backends[h.Name] = runner.Backend{Host: h.host, Layers: h.layers, Dir: h.dir}
		}
	}
	c.Hosts = hosts
	return c, nil
}

// preparation is what it takes to make a VM's disks.
func (s *session) preparation(vm inventory.VM) (engine.Preparation, error) {
	get := getter{s.inv, vm, nil}
	mirror := get.text("debian_mirror", s.getenv("FARM_DEBIAN_MIRROR"))
	key, err := s.guestKey(get.text("ansible_ssh_private_key_file", ""))
	if err := errors.Join(get.err, err); err != nil {
		return engine.Preparation{}, err
	}
	return engine.Preparation{
		VM: vm, Local: local.New(), KeyPath: key, Mirror: mirror, Facts: factsMap(s.expand.Facts(vm.Host)), Vars: s.inv.VMVars(vm),
		Offline: s.flags.offline, Callback: callbacks.Find(callbackDirs(s.inv, vm), s.callbackRunner(vm), s.callbackInputs(vm)),
	}, nil
}
