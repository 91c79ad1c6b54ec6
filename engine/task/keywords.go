package task

import "strings"

// where says what a keyword may stand on.
type where int

const (
	onTask where = 1 << iota
	onBlock
	both = onTask | onBlock
)

// keywords are Ansible's keywords of tasks and blocks.
// https://docs.ansible.com/ansible/latest/reference_appendices/playbooks_keywords.html
var keywords = map[string]where{
	"name": both, "vars": both, "when": both, "become": both, "become_user": both, "become_method": both,
	"become_flags": both, "become_exe": both,
	"environment": both, "tags": both, "ignore_errors": both, "ignore_unreachable": both, "any_errors_fatal": both,
	"delegate_to": both, "delegate_facts": both, "run_once": both, "no_log": both, "check_mode": both, "diff": both,
	"throttle": both, "timeout": both, "module_defaults": both, "notify": both, "collections": both, "debugger": both,
	"connection": both, "remote_user": both, "port": both,
	"register": onTask, "loop": onTask, "loop_control": onTask, "until": onTask, "retries": onTask, "delay": onTask,
	"changed_when": onTask, "failed_when": onTask, "async": onTask, "poll": onTask, "args": onTask, "listen": onTask,
	"action": onTask, "local_action": onTask,
	"block": onBlock, "rescue": onBlock, "always": onBlock,
}

// controls are the keys of loop_control.
var controls = []string{"loop_var", "label", "index_var", "pause", "extended", "extended_allitems"}

// owned are the modules that the runner carries out itself, with their arguments.
var owned = map[string][]string{
	"include":       {"file"}, // read as one of the next two
	"include_tasks": {"file", "apply", "tags"},
	"import_tasks":  {"file"},
	"include_vars":  {"file", "dir", "name", "files_matching", "ignore_files", "extensions", "depth", "ignore_unknown_extensions", "hash_behaviour"},
	"include_role":  roleArgs,
	"import_role":   roleArgs,
	"meta":          {"action"},
}

var roleArgs = []string{"name", "role", "tasks_from", "vars_from", "defaults_from", "handlers_from", "allow_duplicates", "public", "apply", "rolespec_validate"}

// metaActions are what meta does.
var metaActions = []string{"flush_handlers", "end_host", "end_play", "end_batch", "noop", "clear_facts", "clear_host_errors", "reset_connection", "refresh_inventory"}

// short strips the collections that Ansible itself ships modules in.
func short(name string) string {
	for _, p := range []string{"ansible.builtin.", "ansible.legacy."} {
		if s, ok := strings.CutPrefix(name, p); ok {
			return s
		}
	}
	return name
}
