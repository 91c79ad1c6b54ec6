// Command conformance runs small task files by ansible-playbook and by farm on the same
// sshd, each twice, and compares what they did: README.md says how, cases/ holds the files.
//
//	go run ./conformance [-fresh] [-v] [NAME or PATTERN of cases, as loops/ or modules/copy]
//
// The exit status is 1 where a case differs in a way that its header does not name, 2
// where the comparison could not be made.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"farm/bench/sshd"
)

const rounds = 2 // runs of a case: the second shows whether it is idempotent

func main() {
	var o options
	flag.StringVar(&o.cases, "cases", "conformance/cases", "`folder` of the cases")
	flag.StringVar(&o.page, "page", "docs/reference/ansible-differences.md", "`file` that lists the differences with their reasons")
	flag.BoolVar(&o.fresh, "fresh", false, "ask ansible again where its answer is kept")
	flag.BoolVar(&o.kept, "kept", false, "only the cases for which ansible's answer is kept; another run may be under way")
	flag.BoolVar(&o.verbose, "v", false, "name the cases that pass")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed, err := o.run(ctx, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

type options struct {
	cases, page    string
	fresh, verbose bool
	kept           bool
}

func (o options) run(ctx context.Context, patterns []string) (failed int, err error) {
	cases, err := ReadCases(o.cases, patterns)
	if err != nil {
		return 0, err
	}
	if len(cases) == 0 {
		return 0, errors.New("no case is selected")
	}
	page, err := os.ReadFile(o.page)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	stage, unlock, err := openStage(o.kept)
	if err != nil {
		return 0, err
	}
	defer unlock()
	dir, err := os.MkdirTemp("", "farm-conformance-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	server, err := sshd.Start(dir)
	if err != nil {
		return 0, err
	}
	defer server.Stop()
	users, err := makeUsers(ctx)
	if err != nil {
		return 0, err
	}
	if !o.kept {
		defer func() { err = errors.Join(err, users.remove()) }()
	}
	cache, err := openCache(stage)
	if err != nil {
		return 0, err
	}
	if o.kept {
		if cases, err = cache.known(cases); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	asked := &asking{cache: cache, fresh: o.fresh, users: users, ansible: &Ansible{Stage: stage, Server: server, Dir: dir}}
	answers, err := asked.all(ctx, cases)
	if err != nil {
		return 0, err
	}
	farm := &Farm{Stage: stage, Server: server}
	if err := farm.Open(ctx); err != nil {
		return 0, err
	}
	defer farm.Close()
	between := time.Now()
	for _, c := range cases {
		runs, err := farmRuns(ctx, farm, users, c)
		if err != nil {
			return 0, err
		}
		differs, faults := Unexpected(c, Compare(c, answers[c.Name], runs), string(page))
		if len(differs)+len(faults) > 0 {
			failed++
		}
		o.tell(c, differs, faults)
	}
	fmt.Printf("ansible-playbook took %s for %d cases, the answers of the others were kept; farm took %s for all\n",
		between.Sub(began).Round(time.Second), asked.ran, time.Since(between).Round(10*time.Millisecond))
	fmt.Printf("%d passed, %d failed\n", len(cases)-failed, failed)
	return failed, nil
}

func (o options) tell(c *Case, differs []Difference, faults []string) {
	if len(differs)+len(faults) == 0 {
		if o.verbose {
			fmt.Println("ok    " + c.Name)
		}
		return
	}
	fmt.Println("FAIL  " + c.Name)
	if !o.verbose {
		differs = Condensed(differs)
	}
	for _, d := range differs {
		text := d.String()
		if !o.verbose {
			text = cut(text)
		}
		fmt.Println("      " + text)
	}
	for _, f := range faults {
		fmt.Println("      " + f)
	}
}

// farmRuns runs a case by farm in the state that ansible began with.
func farmRuns(ctx context.Context, f *Farm, users *users, c *Case) ([]*Run, error) {
	defer users.clean(c)
	if err := errors.Join(users.clean(c), f.Stage.Prepare(c)); err != nil {
		return nil, err
	}
	var runs []*Run
	for range rounds {
		r, err := f.Run(ctx, c)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, os.RemoveAll(filepath.Join(f.Stage.Dir, c.Slug))
}

// openStage makes the folder of the work folders, which other users can enter, and
// holds it against a second run of this program unless that shares it.
func openStage(shared bool) (Stage, func(), error) {
	dir := fmt.Sprintf("/var/tmp/farm-conformance-%d", os.Getuid())
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return Stage{}, nil, err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return Stage{}, nil, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(st.Uid) != os.Getuid() {
		return Stage{}, nil, fmt.Errorf("%s is not a folder of this user", dir)
	}
	if shared {
		return Stage{Dir: dir}, func() {}, nil
	}
	lock, err := os.Open(dir)
	if err != nil {
		return Stage{}, nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return Stage{}, nil, fmt.Errorf("%s: another run is at it: %w", dir, err)
	}
	return Stage{Dir: dir}, func() { lock.Close() }, nil
}

func openCache(stage Stage) (*Cache, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(base, "farm-conformance")
	return OpenCache(dir, stage)
}
