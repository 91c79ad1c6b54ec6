package modules

import (
	"context"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// editing is a text file of the guest that is read, changed on the controller and put back.
type editing struct {
	path, mode, owner, group, validate string
	create, backup, follow             bool
	unsafe                             *bool
	one                                bool   // its diff is of the text alone, as that of replace is
	what                               string // what a message calls the file; "" = Path
	// tell makes the result's values: msg says what was done, "" = nothing; backup is the
	// old file's new name, "" = it was not kept. nil = saying.
	tell func(msg, backup string) *value.Dict
}

// edit replaces the file's text by change's; change says what it did, "" = nothing. A
// missing file counts as empty where create is set, and is a failure elsewhere.
func (e editing) edit(ctx context.Context, t *engine.Task, change func(old string, exists bool) (text, msg string, err error)) (engine.Result, error) {
	if e.tell == nil {
		e.tell = saying
	}
	content := &bounded{left: maxSlurp}
	read, err := script{Text: readScript, Stdout: content, Keep: 4 << 10, Vars: map[string]string{"src": e.path}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	missing := read.Status == isMissing && e.create
	switch {
	case !read.ok() && !missing:
		return e.unread(read), nil
	case content.over:
		return failed("%q is larger than %d MiB", e.path, maxSlurp>>20), nil
	}
	old := content.String()
	now, msg, err := change(old, !missing)
	if err != nil {
		return failed("%v", err), nil
	}
	p := putting{dest: e.path, mode: e.mode, owner: e.owner, group: e.group, validate: e.validate, backup: e.backup && !missing, follow: e.follow, unsafe: e.unsafe}
	if e.create {
		p.parents = "-"
	}
	if msg == "" && (missing || e.mode+e.owner+e.group == "") {
		return engine.Result{Values: e.tell("", "")}, nil
	}
	p.content([]byte(now))
	quiet := *t
	quiet.Diff = false // it is known here
	r, res, err := p.putting(ctx, &quiet)
	if err != nil || res.Failed {
		return res, err
	}
	if t.Diff {
		res.Diff = e.diff(r, old, now)
	}
	if res.Changed && e.attributes(r, missing) && !t.Check {
		if msg != "" {
			msg += " and "
		}
		msg += "ownership, perms or SE linux context changed"
	}
	res.Msg = msg
	saved, _ := res.Values.Get("backup_file")
	res.Values = e.tell(msg, value.Text(saved))
	return res, nil
}

// unread is the result where the file could not be read.
func (e editing) unread(r reply) engine.Result {
	what, path := e.what, text(r.stderr())
	if what == "" {
		what = "Path"
	}
	var res engine.Result
	switch r.Status {
	case isMissing:
		res = failed("%s %s does not exist !", what, path)
		res.Values = value.NewDict("rc", int64(257))
	case isFolder:
		res = failed("%s %s is a directory !", what, path)
		res.Values = value.NewDict("rc", int64(256))
	case isUnreadable:
		res = failed("%s %s is not readable", what, path)
	case isBelowFile:
		res = failed("%s %s is below a file", what, path)
	default:
		r.Stdout = nil
		res = r.failure("")
	}
	return res
}

// attributes reports whether the file got another mode, owner or group than it had, or than a new one has.
func (e editing) attributes(r reply, missing bool) bool {
	if missing {
		return e.mode != "" && e.mode != newMode || e.owner+e.group != ""
	}
	return r.has("now_mode") || r.has("now_owner") || r.has("now_group")
}

// newMode is the mode of a new file under the usual umask.
const newMode = "00644"

// saying is the values of a module that tells nothing but its message.
func saying(msg, backup string) *value.Dict {
	d := value.NewDict("msg", msg)
	if backup != "" {
		d.Set("backup_file", backup)
	}
	return d
}

func (e editing) diff(r reply, old, now string) any {
	if e.one {
		return textDiff(e.path, old, e.path, now)
	}
	title := e.path + " (content)"
	return []any{textDiff(title, old, title, now), attrsDiff(r, e.path).value(" (file attributes)")}
}

// splitLines cuts text after each newline; the last line may lack one.
func splitLines(text string) []string {
	list := strings.SplitAfter(text, "\n")
	if last := len(list) - 1; list[last] == "" {
		list = list[:last]
	}
	return list
}
