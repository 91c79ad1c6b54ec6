package main

import (
	"maps"
	"regexp"
	"strings"
)

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
		"start": true, "end": true, "delta": true, "elapsed": true, "stop": true, "atime": true, "mtime": true, "ctime": true, "inode": true, "pid": true, "backup_file": true,
		"ansible_job_id": true, "results_file": true, "censored": true,
	}
	// inEvents and linesOf are further keys that results in events leave out: statuses say the first
	// two, and the lines are those of stdout and stderr. Registered results are compared with them.
	inEvents = []string{"failed", "skipped"}
	linesOf  = []string{"stdout_lines", "stderr_lines"} // at any depth
	// ofRescue are variables that ansible keeps after a rescue and shows as if they were set.
	ofRescue = []string{"ansible_failed_task", "ansible_failed_result"}
	// silent are modules whose success has a result for one side only: what they bring about is compared.
	silent = map[string]bool{"include_tasks": true, "include_role": true, "import_tasks": true, "import_role": true,
		"meta": true}
	// telling are modules whose failure is a result as any other: of other modules it is only
	// compared whether it changed something and has a message.
	telling = map[string]bool{"command": true, "shell": true, "raw": true, "script": true, "fail": true, "assert": true, "async_status": true}
	// speaking are modules whose message is the user's own text even where the task fails.
	speaking = map[string]bool{"fail": true, "assert": true}
)

// Normal rewrites a run of a case into what is compared.
func Normal(c *Case, r *Run) *Run {
	out := *r
	out.Vars, _ = normal(r.Vars).(map[string]any)
	for name, v := range out.Vars {
		if !c.telling[name] {
			out.Vars[name] = failure(v)
		}
	}
	for _, k := range ofRescue {
		delete(out.Vars, k)
	}
	out.Events = nil
	for _, e := range r.Events {
		e.Module = shortName(e.Module)
		if silent[e.Module] && e.Status == "ok" {
			continue
		}
		if e.Task == "" {
			e.Task = e.Module
		}
		e.Task = shortName(e.Task)
		if e.Item {
			e.Task = e.Module // ansible evaluates a name once for a loop
		}
		e.Result = maps.Clone(e.Result)
		trim(e.Result)
		e.Result, _ = normal(e.Result).(map[string]any)
		if list, ok := e.Result["results"].([]any); ok {
			for _, x := range list {
				trim(x)
			}
		}
		withoutLines(e.Result)
		if e.Module == "setup" || e.Module == "gather_facts" {
			delete(e.Result, "ansible_facts")
		}
		if (e.Status == "failed" || e.Status == "ignored") && !telling[e.Module] {
			e.Result["failed"] = true
			e.Result, _ = failure(e.Result).(map[string]any)
		}
		if (e.Status == "failed" || e.Status == "ignored") && !speaking[e.Module] && e.Result["msg"] != nil {
			e.Result["msg"] = "(a message)"
		}
		out.Events = append(out.Events, e)
	}
	return &out
}

// failure is what is compared of the failure of a module that is not telling; other
// values are returned as they are.
func failure(v any) any {
	m, ok := v.(map[string]any)
	if !ok || m["failed"] != true {
		return v
	}
	out := map[string]any{}
	for _, k := range []string{"changed", "failed", "msg", "results", "item", "ansible_loop_var", "attempts"} {
		if x, ok := m[k]; ok {
			out[k] = x
		}
	}
	if list, ok := out["results"].([]any); ok {
		for i, x := range list {
			list[i] = failure(x)
		}
	}
	return out
}

func trim(result any) {
	if m, ok := result.(map[string]any); ok {
		for _, k := range inEvents {
			delete(m, k)
		}
	}
}

// withoutLines removes from a value of its own what linesOf names.
func withoutLines(v any) {
	switch t := v.(type) {
	case []any:
		for _, x := range t {
			withoutLines(x)
		}
	case map[string]any:
		for _, k := range linesOf {
			delete(t, k)
		}
		for _, x := range t {
			withoutLines(x)
		}
	}
}

func shortName(s string) string {
	for _, p := range []string{"ansible.builtin.", "ansible.legacy.", "ansible.posix.", "community.general.", "community.crypto.", "community.libvirt."} {
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
			case dropped[k], strings.HasPrefix(k, "_ansible_"):
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

// upload stands for a name that only ansible has; such a value is left out on both sides.
const upload = "(temporary)"

// backupSuffix is what the name of a backup ends with: a process and the time.
var backupSuffix = regexp.MustCompile(`\.[0-9a-f]+\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~`)

// temporary names ansible's upload folder, which farm has no equal of.
func temporary(s string) string {
	s = backupSuffix.ReplaceAllString(s, ".(when)~")
	if strings.Contains(s, "/.ansible/tmp/") || strings.HasPrefix(s, "/var/tmp/ansible-tmp-") {
		return upload
	}
	return s
}
