package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	batchSize = 15 // cases in one process of ansible-playbook
	workers   = 3  // processes at a time; each waits a part of its time
)

// asking gets ansible's answers, kept ones where they hold.
type asking struct {
	ansible *Ansible
	cache   *Cache
	users   *users
	fresh   bool
	ran     int // cases that ansible really ran
}

// all returns ansible's runs of each case, by its name.
func (a *asking) all(ctx context.Context, cases []*Case) (map[string][]*Run, error) {
	answers := map[string][]*Run{}
	var missing []*Case
	for _, c := range cases {
		if !a.fresh {
			runs, err := a.cache.Get(c)
			if err != nil {
				return nil, err
			}
			if len(runs) == rounds {
				answers[c.Name] = runs
				continue
			}
		}
		missing = append(missing, c)
	}
	a.ran = len(missing)
	if a.ran == 0 {
		return answers, nil
	}
	if err := a.ansible.Setup(); err != nil {
		return nil, err
	}
	return answers, a.ask(ctx, batches(missing), answers)
}

// ask runs the batches, several at a time.
func (a *asking) ask(ctx context.Context, queue [][]*Case, answers map[string][]*Run) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan []*Case)
	var mu sync.Mutex // guards answers, done and errs
	var errs []error
	var wg sync.WaitGroup
	done := 0
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for batch := range work {
				got, err := a.batch(ctx, batch)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
					cancel(err)
				}
				for name, runs := range got {
					answers[name] = runs
				}
				done += len(batch)
				fmt.Fprintf(os.Stderr, "ansible-playbook: %d of %d cases\n", done, a.ran)
				mu.Unlock()
			}
		}()
	}
	for _, b := range queue {
		select {
		case work <- b:
		case <-ctx.Done():
		}
	}
	close(work)
	wg.Wait()
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return ctx.Err()
}

// batch runs the rounds of some cases and keeps the answers.
func (a *asking) batch(ctx context.Context, cases []*Case) (map[string][]*Run, error) {
	out := map[string][]*Run{}
	for _, c := range cases {
		defer a.users.clean(c)
		if err := errors.Join(a.users.clean(c), a.ansible.Stage.Prepare(c)); err != nil {
			return nil, err
		}
	}
	for range rounds {
		runs, err := a.ansible.Run(ctx, cases)
		if err != nil {
			return nil, err
		}
		for i, c := range cases {
			out[c.Name] = append(out[c.Name], runs[i])
		}
	}
	for _, c := range cases {
		if err := errors.Join(a.cache.Put(c, out[c.Name]), os.RemoveAll(filepath.Join(a.ansible.Stage.Dir, c.Slug))); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// batches puts cases with equal flags together; those that stand alone are not joined.
func batches(cases []*Case) [][]*Case {
	var out [][]*Case
	open := map[string]int{} // by flags: the batch that takes more
	for _, c := range cases {
		key := strings.Join(c.flags(), "\x00")
		i, ok := open[key]
		if c.Alone || !ok || len(out[i]) == batchSize {
			out = append(out, nil)
			i = len(out) - 1
			if !c.Alone {
				open[key] = i
			}
		}
		out[i] = append(out[i], c)
	}
	return out
}
