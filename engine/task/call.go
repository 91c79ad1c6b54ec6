package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"farm/engine"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// call is one execution of one task for one item.
type call struct {
	*play
	t     *Task
	s     *scope
	vars  *expr.Vars
	item  string // the label of the loop's item
	title string
	items []*call // of a loop: those that were not skipped
	to    string  // the host that the task is delegated to; "" = none
	quiet bool    // no_log
	diff  bool    // what changes is to be shown
}

// call makes a call of t. One that is not to be logged is called by its name as written: a
// template in it may give anything away.
func (p *play) call(t *Task, s *scope, vars *expr.Vars) *call {
	c := &call{play: p, t: t, s: s, vars: vars}
	quiet, err := c.flag("no_log")
	if c.quiet = quiet || err != nil; c.quiet {
		c.title = rawTitle(t)
	} else {
		c.title = title(t, vars)
	}
	return c
}

// task runs one task: tags, loop, results, register, notify.
func (p *play) task(ctx context.Context, t *Task, s *scope) error {
	vars := p.vars(s, nil)
	within := imports(t)
	if ok, err := p.selected(s, vars); err != nil || !ok && !within {
		return err // of an import each task is selected by itself, with the import's tags
	}
	p.started = p.started || p.starts(t, s, vars)
	if !p.started && !within {
		return nil
	}
	if within {
		return p.include(ctx, t, s, vars)
	}
	leave, err := p.turn(ctx, t)
	if errors.Is(err, ErrLeaveOut) {
		return nil
	}
	if err != nil {
		return err
	}
	defer leave()
	if p.h.Gate != nil {
		vars = p.vars(s, nil) // other hosts went on, or failed
	}
	free, err := p.throttled(ctx, p.call(t, s, vars))
	if err != nil {
		c := p.call(t, s, vars)
		res, ferr := c.failed(engine.UserFault, err)
		return p.finish(ctx, c, res, ferr)
	}
	defer free()
	return p.together(ctx, t, s, vars)
}

// finish ends a task that was not even begun.
func (p *play) finish(ctx context.Context, c *call, res *value.Dict, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: task %q: %w", c.t.Pos, c.t.Title(), context.Cause(ctx))
	}
	p.announce(c)
	return p.done(ctx, c, res, err, time.Now())
}

// one runs a task on its host.
func (p *play) one(ctx context.Context, t *Task, s *scope, vars *expr.Vars) error {
	items, loops, err := p.items(t, vars)
	if err != nil {
		// A loop over something undefined is not evaluated where `when` is false anyway.
		if ok, werr := p.conditions(s, vars); werr == nil && !ok {
			c := p.call(t, s, vars)
			return p.done(ctx, c, skippedResult("Conditional result was False"), nil, time.Now())
		}
		c := p.call(t, s, vars)
		p.announce(c)
		res, ferr := c.refused(err)
		return p.done(ctx, c, res, ferr, time.Now())
	}
	if !loops {
		c := p.call(t, s, vars)
		return p.single(ctx, c)
	}
	return p.loop(ctx, t, s, items)
}

// single runs a task without a loop.
func (p *play) single(ctx context.Context, c *call) error {
	start := time.Now()
	res, err := p.once(ctx, c)
	return p.done(ctx, c, res, err, start)
}

// title is a task's name, evaluated as far as that is possible.
func title(t *Task, vars *expr.Vars) string {
	n, _ := t.Keys.Get("name")
	tmpl, ok := n.(value.Template)
	if !ok {
		return t.Title()
	}
	v, err := vars.Eval(tmpl)
	if err != nil {
		return tmpl.Text
	}
	return value.Text(v)
}

// rawTitle is a task's name, not evaluated.
func rawTitle(t *Task) string {
	if n, _ := t.Keys.Get("name"); n != nil {
		if tmpl, ok := n.(value.Template); ok {
			return tmpl.Text
		}
	}
	return t.Title()
}

func skippedResult(why string) *value.Dict {
	return value.NewDict("changed", false, "skipped", true, "skip_reason", why)
}

// hiddenFailure is all that is told of a failure under no_log.
const hiddenFailure = "the task failed; its result is hidden because of no_log"

// shownItem is the loop's item as events tell it.
func (c *call) shownItem() string {
	if c.quiet && c.item != "" {
		return "hidden because of no_log"
	}
	return c.item
}

func (p *play) announce(c *call) {
	p.emit(engine.Event{Kind: engine.TaskStarted, Task: c.title, Module: c.t.Module, File: c.t.Pos.String(), Item: c.shownItem()})
}

// once runs a task for one item: conditions, then the module, again until it is content.
// The error is nil or a *failure, unless the run ends (unreachable, cancelled, end_host).
func (p *play) once(ctx context.Context, c *call) (*value.Dict, error) {
	for _, name := range []string{"no_log", "delegate_facts", "any_errors_fatal"} {
		if _, err := c.flag(name); err != nil {
			return c.failed(engine.UserFault, err)
		}
	}
	ok, err := p.conditions(c.s, c.vars)
	if err != nil {
		p.announce(c)
		return c.refused(err)
	}
	if !ok {
		return skippedResult("Conditional result was False"), nil
	}
	_, mine := owned[c.t.Module]
	if len(c.t.wrong) > 0 && (mine || c.t.garbled) { // of others the arguments are checked again
		p.announce(c)
		return c.failed(engine.UserFault, source.Join(c.t.wrong...))
	}
	if mine {
		return p.owned(ctx, c)
	}
	p.announce(c)
	return c.tries(ctx)
}

// conditions evaluates every `when` from the outermost block in.
func (p *play) conditions(s *scope, vars *expr.Vars) (ok bool, err error) {
	ok = true
	s.outermost(func(c *scope) {
		when, has := c.keys.Get("when")
		if !has || !ok || err != nil {
			return
		}
		ok, err = all(vars, when, c.keys.KeyPos("when"))
	})
	return ok, err
}

// all reports whether a condition, or every one of a list, is true.
func all(vars *expr.Vars, cond any, pos source.Pos) (bool, error) {
	list, isList := cond.([]any)
	if !isList {
		list = []any{cond}
	}
	for _, one := range list {
		var ok bool
		var err error
		switch t := one.(type) {
		case bool:
			ok = t
		case nil:
			ok = true
		case value.Template:
			ok, err = vars.Condition(t.Text, t.Pos)
		case string:
			ok, err = vars.Condition(t, pos)
		default:
			ok = expr.Truth(t)
		}
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// flag evaluates a boolean keyword, inherited.
func (c *call) flag(name string) (bool, error) {
	v, d, ok := c.s.key(name)
	if !ok {
		return false, nil
	}
	if b, err := value.ParseBool(v); err == nil {
		return b, nil
	}
	return all(c.vars, v, d.KeyPos(name))
}

// failed makes the result of a task that could not be run.
func (c *call) failed(fault engine.Fault, err error) (*value.Dict, error) {
	msg := err.Error()
	res := value.NewDict("changed", false, "failed", true, "msg", msg)
	return res, c.failure(fault, msg, res, err)
}

// unfit makes the result of a task whose arguments its module does not take. The place is for the
// reader: what is registered is what the module says.
func (c *call) unfit(bad badArguments) (*value.Dict, error) {
	res, err := c.failed(engine.UserFault, bad)
	if bad.bare != nil {
		res.Set("msg", bad.bare.Error())
	}
	var more engine.Refusal
	if errors.As(bad.bare, &more) {
		for k, v := range more.Values.All() {
			res.Set(k, v)
		}
	}
	return res, err
}

// refused makes the result of a task whose expressions cannot be evaluated: Ansible's has no
// key changed, since nothing was asked whether it would. The place is left to events and to exception.
func (c *call) refused(err error) (*value.Dict, error) {
	res := value.NewDict("failed", true, "msg", expr.Reason(err))
	var undef *expr.UndefinedError
	if !errors.As(err, &undef) {
		res.Set("exception", err.Error())
	}
	return res, c.failure(engine.UserFault, err.Error(), res, err)
}

func (c *call) failure(fault engine.Fault, msg string, res *value.Dict, cause error) error {
	title := c.title
	switch {
	case c.quiet:
		msg = hiddenFailure
	case c.item != "":
		title += " (item " + c.item + ")"
	}
	fatal, err := c.flag("any_errors_fatal")
	return &failure{fault: fault, pos: c.t.Pos, task: c.t, name: c.title, title: title, msg: msg, result: res, cause: cause, fatal: fatal && err == nil}
}

// number evaluates a keyword that is a number; def where it is not set.
func (c *call) number(name string, def float64) (float64, error) {
	v, d, ok := c.s.key(name)
	if !ok || v == nil {
		return def, nil
	}
	v, err := c.vars.Eval(v)
	if err != nil {
		return 0, err
	}
	if _, omit := v.(value.Omit); omit {
		return def, nil
	}
	dur, err := value.ParseDuration(v)
	if err != nil {
		return 0, source.Errorf(d.KeyPos(name), "%s is %s, not a number", name, value.Kind(v))
	}
	return dur.Seconds(), nil
}

// attempt runs the module once, within timeout or async, and judges the result.
func (c *call) attempt(ctx context.Context, _ any) (*value.Dict, error) {
	limit, err := c.number("timeout", 0)
	if err != nil {
		return c.failed(engine.UserFault, err)
	}
	async, wait, err := c.background()
	if err != nil {
		return c.failed(engine.UserFault, err)
	}
	if async > 0 && (limit == 0 || async < limit) {
		limit = async
	}
	run := ctx
	if limit > 0 && wait {
		var cancel context.CancelFunc
		run, cancel = context.WithTimeout(ctx, time.Duration(limit*float64(time.Second)))
		defer cancel()
	}
	m, task, err := c.prepare(ctx, run)
	if err != nil {
		if errors.Is(err, engine.ErrUnreachable) || ctx.Err() != nil {
			return nil, c.lost(err)
		}
		var bad badArguments
		if errors.As(err, &bad) {
			return c.unfit(bad)
		}
		return c.refused(err)
	}
	if async > 0 && task.Check {
		return c.failed(engine.UserFault, errors.New("a task with async cannot run in check mode"))
	}
	if !wait {
		return c.start(ctx, m, task, async)
	}
	conn := task.Conn
	out, err := m.Run(run, task)
	if task.Conn != conn && conn == c.h.Conn { // the machine was rebooted
		c.h.Conn = task.Conn
	}
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%s: task %q: %w", c.t.Pos, c.title, context.Cause(ctx))
		case run.Err() != nil && limit == async:
			return c.late(limit)
		case run.Err() != nil:
			return c.failed(engine.TestFault, fmt.Errorf("not done within %gs", limit))
		case errors.Is(err, engine.ErrUnreachable):
			return nil, c.lost(err)
		}
		var fe *engine.FaultError
		fault := engine.FarmFault
		var placed *source.Error
		if errors.As(err, &fe) {
			fault = fe.Fault
		}
		if errors.As(err, &placed) { // an expression that the module evaluates itself
			return c.refused(err)
		}
		return c.failed(fault, err)
	}
	if async > 0 {
		out.Values = out.Values.Copy()
		id := newJobID()
		out.Values.Set("ansible_job_id", id)
		out.Values.Set("started", int64(1))
		out.Values.Set("finished", int64(1))
		out.Values.Set("results_file", task.AsyncDir+"/"+id) // Ansible's is gone by now, too
	}
	return c.judge(out)
}

// lost is the error of a host that cannot be talked to any more.
func (c *call) lost(err error) error {
	res := value.NewDict("changed", false, "unreachable", true, "msg", err.Error())
	return c.failure(engine.FarmFault, err.Error(), res, err)
}
