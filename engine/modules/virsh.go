package modules

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"farm/engine"
)

// virsh asks the libvirt of the host that a task runs on.
type virsh struct {
	task *engine.Task
	uri  string
}

// refusal is an error that is the task's failure, not farm's.
type refusal struct{ res engine.Result }

func (r *refusal) Error() string { return r.res.Msg }

func refuse(format string, args ...any) error { return &refusal{failed(format, args...)} }

// settled turns a refusal into a result.
func settled(res engine.Result, err error) (engine.Result, error) {
	var r *refusal
	if errors.As(err, &r) {
		return r.res, nil
	}
	return res, err
}

const virshScript = `has virsh || die 'the program "virsh" is missing on this host; it is in the package libvirt-clients (Debian), libvirt-client (Fedora, openSUSE, Alpine) or libvirt (Arch)'
exec virsh -q -c "$uri" "$@"
`

// maxVirsh is how many bytes of an answer are kept: a list of many domains, or the XML of one.
const maxVirsh = 8 << 20

// do runs a command of virsh and returns what it prints.
func (v virsh) do(ctx context.Context, args ...string) (string, error) {
	return v.with(ctx, "", args...)
}

// with is do with XML, which virsh reads from /dev/stdin.
func (v virsh) with(ctx context.Context, xml string, args ...string) (string, error) {
	r, err := script{Text: virshScript, Vars: map[string]string{"uri": v.uri}, Args: args, Stdin: strings.NewReader(xml), Keep: maxVirsh}.run(ctx, v.task)
	switch {
	case err != nil:
		return "", err
	case !r.ok():
		return "", &refusal{r.failure("virsh " + args[0])}
	case r.Dropped > 0:
		return "", refuse("virsh %s printed more than %d MiB", args[0], maxVirsh>>20)
	}
	return text(string(r.Stdout)), nil
}

// change does what do does, unless that is only to be said.
func (v virsh) change(ctx context.Context, args ...string) error {
	if v.task.Check {
		return nil
	}
	_, err := v.do(ctx, args...)
	return err
}

// names runs a command that lists names, one a line.
func (v virsh) names(ctx context.Context, args ...string) ([]string, error) {
	out, err := v.do(ctx, args...)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(out, "\n"), func(s string) bool { return s == "" }), nil
}

// fields reads lines "Key:   value".
func (v virsh) fields(ctx context.Context, args ...string) (map[string]string, error) {
	out, err := v.do(ctx, args...)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for line := range strings.SplitSeq(out, "\n") {
		if k, val, ok := strings.Cut(line, ":"); ok {
			all[strings.TrimSpace(k)] = strings.TrimSpace(val)
		}
	}
	return all, nil
}

// checkVirtName refuses what virsh would take for something else: it looks for an id and a UUID before a name.
func checkVirtName(name string) error {
	if name != "" && (strings.Trim(name, "0123456789") == "" || strings.ContainsAny(name, "\n\x00/")) {
		return fmt.Errorf("name: %q is no name that virsh can tell from an id", name)
	}
	return nil
}

// checkXML finds out whether text is one whole element of that name, and reads it.
func checkXML(root, text string, into any) error {
	d := xml.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("xml: %w", err)
		}
		e, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if e.Name.Local != root {
			return fmt.Errorf("xml begins with <%s>, not <%s>", e.Name.Local, root)
		}
		if err := d.DecodeElement(into, &e); err != nil {
			return fmt.Errorf("xml: %w", err)
		}
		if _, err := d.Token(); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("xml: %w", err)
		}
		return nil
	}
}
