package main

import "strings"

// What is not compared, because it tells of the program and not of what it did. This is the
// whole list; README.md gives the reasons.
var (
	// dropped are keys of results that are left out on both sides.
	dropped = map[string]bool{
		"invocation": true, "warnings": true, "deprecations": true, "exception": true, // of Python and of ansible's messages
		"module_stdout": true, "module_stderr": true,
		"diff": true, // ansible's is a structure for its screen, farm's a unified diff
	}
	// volatile are keys whose values are times, numbers that the system hands out or
	// names of temporary files: that they are there is compared.
	volatile = map[string]bool{
		"start": true, "end": true, "delta": true, "elapsed": true, "atime": true, "mtime": true, "ctime": true, "inode": true, "pid": true, "backup_file": true,
	}
	// inEvents are further keys that events leave out: statuses say the first two, the lines
	// are those of stdout.
	inEvents = map[string]bool{"failed": true, "skipped": true, "stdout_lines": true, "stderr_lines": true}
	// includes have a result of their own for ansible, or none; their tasks have one for both.
	includes = map[string]bool{"include_tasks": true, "include_role": true, "import_tasks": true, "import_role": true}
	// speaking are modules whose message is the user's own text even where the task fails.
	speaking = map[string]bool{"fail": true, "assert": true, "debug": true}
)

// Normal rewrites a run into what is compared.
func Normal(r *Run) *Run {
	out := *r
	out.Vars, _ = normal(r.Vars).(map[string]any)
	out.Events = nil
	for _, e := range r.Events {
		e.Module = shortName(e.Module)
		if includes[e.Module] && e.Status == "ok" {
			continue
		}
		if e.Task == "" {
			e.Task = e.Module
		}
		e.Task = shortName(e.Task)
		e.Result, _ = normal(e.Result).(map[string]any)
		for k := range inEvents {
			delete(e.Result, k)
		}
		if e.Module == "setup" || e.Module == "gather_facts" {
			delete(e.Result, "ansible_facts")
		}
		if (e.Status == "failed" || e.Status == "ignored") && !speaking[e.Module] && e.Result["msg"] != nil {
			e.Result["msg"] = "(a message)"
		}
		out.Events = append(out.Events, e)
	}
	return &out
}

func shortName(s string) string {
	for _, p := range []string{"ansible.builtin.", "ansible.legacy.", "ansible.posix.", "community.general.", "community.crypto."} {
		if short, ok := strings.CutPrefix(s, p); ok {
			return short
		}
	}
	return s
}

func normal(v any) any {
	switch t := v.(type) {
	case []any:
		out := make([]any, len(t))
		for i, x := range t {
			out[i] = normal(x)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range t {
			switch {
			case dropped[k]:
			case volatile[k]:
				out[k] = "(varies)"
			case k == "msg" && t["failed"] == true:
				out[k] = "(a message)"
			default:
				out[k] = normal(x)
			}
		}
		return out
	case string:
		return temporary(t)
	}
	return v
}

// temporary names ansible's upload folder, which farm has no equal of.
func temporary(s string) string {
	if strings.Contains(s, "/.ansible/tmp/ansible-tmp-") || strings.HasPrefix(s, "/tmp/ansible") {
		return "(temporary)"
	}
	return s
}
