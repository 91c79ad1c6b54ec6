package expr

import (
	"errors"
	"strings"

	"farm/inventory/source"
)

// neededBy is an error about something undefined that a variable's template needs.
type neededBy struct {
	template string
	error
}

func (n *neededBy) Unwrap() error { return n.error }

// needed is err with the template of the variable that has it.
func needed(template string, err error) error {
	e, ok := err.(*source.Error)
	if !ok || e.Err == nil {
		return err
	}
	c := *e
	c.Err = &neededBy{template, e.Err}
	return &c
}

// Reason is what err says without places in files and advice: what Ansible has as the message in a
// result. Of what is undefined it tells in Ansible's and Jinja2's words, which playbooks look for.
func Reason(err error) string {
	var undef *UndefinedError
	if !errors.As(err, &undef) {
		var lines []string
		for _, one := range source.Flatten(err) {
			lines = append(lines, bare(one))
		}
		return strings.Join(lines, "\n")
	}
	why := undef.Why
	if why == "" {
		why = "'" + undef.Name + "' is undefined"
	}
	var via []string
	for e := err; ; {
		var need *neededBy
		if !errors.As(e, &need) {
			break
		}
		via = append(via, need.template)
		e = need.error
	}
	via = append(via, why)
	return "The task includes an option with an undefined variable. The error was: " + strings.Join(via, ": ")
}

// bare is one error without its place and hint, and those of its causes.
func bare(err error) string {
	e, ok := err.(*source.Error)
	switch {
	case !ok:
		return err.Error()
	case e.Err == nil:
		return e.What
	case e.What == "":
		return bare(e.Err)
	}
	return e.What + ": " + bare(e.Err)
}
