package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"farm/engine"
	"farm/engine/runner"
	"farm/inventory"
	"farm/inventory/source"
	"farm/inventory/value"
	"farm/phases"
)

// settingsOf evaluates the variables that steer a VM's run.
func settingsOf(inv *inventory.Inventory, vm inventory.VM) (runner.Settings, error) {
	s, err := limitsOf(inv, vm)
	if err != nil {
		return s, err
	}
	if s.Template, err = domainTemplate(inv, vm); err != nil {
		return s, err
	}
	return s, nil
}

// limitsOf is settingsOf without what costs time; errors are the user's fault.
func limitsOf(inv *inventory.Inventory, vm inventory.VM) (runner.Settings, error) {
	get := getter{inv, vm, nil}
	s := runner.Settings{
		User:     loginUser(&get),
		Project:  get.text("project_id", "project"),
		Revision: get.text("project_revision", "0"),
		Cache:    get.text("snapshot_type", "external") != "none",
	}
	memory := get.value("snapshot_memory")
	allowed := get.value("allowed_phases")
	timeout := get.value("phase_timeout")
	age := get.value("phase_max_age")
	if get.err != nil {
		return s, get.err
	}
	var err error
	if s.Allowed, err = allowedPhases(allowed); err != nil {
		return s, engine.Blame(engine.UserFault, err)
	}
	if s.MaxAge, err = maxAges(age); err != nil {
		return s, engine.Blame(engine.UserFault, err)
	}
	if s.Memory, err = memorize(memory); err != nil {
		return s, engine.Blame(engine.UserFault, err)
	}
	s.Timeout, err = timeouts(timeout)
	return s, engine.Blame(engine.UserFault, err)
}

var (
	oneLine  = regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`)
	userWord = regexp.MustCompile(`^[^\s:\x00-\x1f\x7f]+$`)
	webURL   = regexp.MustCompile(`^(https?|ftp|file)://[^\s]+$`)
)

// settingRules are what the variables that steer a VM's run must be.
var settingRules = value.Rules{
	{Path: "project_id", Rule: value.Matching(oneLine, "text of one line")},
	{Path: "project_revision", Rule: value.Matching(oneLine, "text of one line")},
	{Path: "snapshot_type", Rule: value.OneOf("external", "internal", "none")},
	{Path: "snapshot_memory", Rule: memoryMode},
	{Path: "allowed_phases", Rule: phaseList},
	{Path: "phase_timeout", Rule: phaseTimeout},
	{Path: "phase_max_age", Rule: func(any) (string, string) { return "", "" }}, // checkMaxAge
	{Path: "connection_timeout", Rule: value.Time},
	{Path: "retry_count", Rule: value.Whole(0, math.MaxInt32, "")},
	{Path: "retry_delay", Rule: value.Whole(0, math.MaxInt32, "seconds")},
	{Path: "wait_until_reachable", Rule: value.Flag},
	{Path: "wait_until_port_reachable", Rule: value.Flag},
	{Path: "phases_lookup_dir_path", Rule: value.Scalar},
	{Path: "parse_lookup_dir_path", Rule: value.Scalar},
	{Path: "hypervisor_lookup_dir_path", Rule: value.Scalar},
	{Path: "net_parse_lookup_dir_path", Rule: value.Scalar},
	{Path: "ansible_port", Rule: value.Whole(1, math.MaxUint16, "")},
	{Path: "ansible_user", Rule: value.Matching(userWord, "a user's name without blanks")},
	{Path: "ansible_become", Rule: value.Flag},
	{Path: "ansible_become_user", Rule: value.Matching(userWord, "a user's name without blanks")},
	{Path: "ansible_become_method", Rule: becomeMethod},
	{Path: "ansible_ssh_private_key_file", Rule: keyFile},
	{Path: "debian_mirror", Rule: value.Matching(webURL, "an address such as http://deb.debian.org/debian")},
}

func phaseList(v any) (what, hint string) {
	if _, ok := v.([]any); ok {
		return "", ""
	}
	return "is " + value.Kind(v) + ", not a list of phases", "such as [startup, main, shutdown]"
}

// phaseTimeout takes one time; a mapping from phases to times is judged by its parts.
func phaseTimeout(v any) (what, hint string) {
	if _, ok := v.(*value.Dict); ok {
		return "", ""
	}
	what, _ = value.Time(v)
	return what, `a time above 0 such as "30m", or a mapping from phases to times`
}

// memoryMode takes what memorize does.
func memoryMode(v any) (what, hint string) {
	if _, err := memorize(v); err != nil {
		_, hint := value.OneOf("true", "false", "auto")(v)
		return fmt.Sprintf("is %q", value.Text(v)), hint
	}
	return "", ""
}

// memorize reads snapshot_memory; nothing is false.
func memorize(v any) (engine.Memorize, error) {
	if v == nil {
		return engine.NoMemory, nil
	}
	if v == string(engine.AutoMemory) {
		return engine.AutoMemory, nil
	}
	yes, err := value.ParseBool(v)
	switch {
	case err != nil:
		return engine.NoMemory, fmt.Errorf("snapshot_memory is %q, not one of true, false, auto", value.Text(v))
	case yes:
		return engine.AllMemory, nil
	}
	return engine.NoMemory, nil
}

func becomeMethod(v any) (what, hint string) {
	return value.OneOf("sudo", "su", "doas")(strings.TrimPrefix(strings.TrimPrefix(value.Text(v), "ansible.builtin."), "community.general."))
}

func keyFile(v any) (what, hint string) {
	path, ok := v.(string)
	if !ok {
		return value.Scalar(v)
	}
	path = inventory.ExpandHome(path)
	if _, err := os.Lstat(path); err != nil {
		return "", "" // it is made
	}
	if why := badKeyFile(path); why != "" {
		return fmt.Sprintf("is %q: %s", path, why), ""
	}
	return "", ""
}

// checkSettings judges the variables that steer a VM's run, each fault at its value.
func checkSettings(inv *inventory.Inventory, vm inventory.VM) error {
	vars := inv.VMVars(vm)
	d := value.NewDict()
	d.SetPos(vm.Pos)
	var errs []error
	for _, rule := range settingRules {
		if !vm.Vars.Has(rule.Path) {
			continue
		}
		v, _, err := vars.Get(rule.Path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.Set(rule.Path, v)
		d.CopyPos(rule.Path, vm.Vars)
	}
	errs = append(errs, settingRules.Check(d), nearSettings(vm.Vars))
	for _, name := range []string{"project_id", "project_revision"} {
		if v, _ := d.Get(name); v == "" {
			errs = append(errs, &source.Error{Pos: d.ValPos(name), What: name + " is empty", Hint: "text of one line"})
		}
	}
	if v, _ := d.Get("allowed_phases"); v != nil {
		list, _ := v.([]any)
		for i, item := range list {
			errs = append(errs, checkPhase("allowed_phases", item, d.ItemPos("allowed_phases", i), phases.Names()))
		}
	}
	if v, _ := d.Get("phase_max_age"); v != nil {
		errs = append(errs, checkMaxAge(v, d))
	}
	if v, _ := d.Get("phase_timeout"); v != nil {
		by, _ := v.(*value.Dict)
		for k, v := range by.All() {
			errs = append(errs, checkPhase("phase_timeout", k, by.KeyPos(k), append(phases.Names(), phases.Prepare)))
			if what, hint := value.Time(v); what != "" {
				errs = append(errs, &source.Error{Pos: by.ValPos(k), What: fmt.Sprintf("phase_timeout of %q: it %s", value.Text(k), what), Hint: hint})
			}
		}
	}
	return source.Join(errs...)
}

// nearSettings finds names that were meant to be a setting's, as that one is not given. Only long ones are
// looked at: variables are the user's to name.
func nearSettings(vars *value.Dict) error {
	var errs []error
	known := map[string]bool{}
	for _, rule := range settingRules {
		known[rule.Path] = true
	}
	for _, rule := range settingRules {
		if len(rule.Path) < 12 || strings.HasPrefix(rule.Path, "ansible_") || vars.Has(rule.Path) {
			continue
		}
		for _, name := range vars.Keys() {
			if d := len(name) - len(rule.Path); d < -2 || d > 2 || known[name] || steering[name] || source.Nearest(name, []string{rule.Path}) == "" {
				continue
			}
			errs = append(errs, &source.Error{Pos: vars.KeyPos(name), What: fmt.Sprintf("unknown setting %q", name), Hint: source.DidYouMean(name, []string{rule.Path})})
		}
	}
	return source.Join(errs...)
}

func checkPhase(setting string, v any, pos source.Pos, known []string) error {
	_, hint := value.OneOf(known...)(v)
	if hint == "" {
		return nil
	}
	return &source.Error{Pos: pos, What: fmt.Sprintf("%s: unknown phase %q", setting, value.Text(v)), Hint: hint}
}

// loginUser is the user that farm logs into a VM as.
func loginUser(get *getter) string {
	if user := get.text("ansible_user", get.vm.Def.Metadata.Auth.User); user != "" {
		return user
	}
	return "root"
}

// getter reads variables of one VM and keeps the first error.
type getter struct {
	inv *inventory.Inventory
	vm  inventory.VM
	err error
}

func (g *getter) value(name string) any {
	v, _, err := g.inv.VMVars(g.vm).Get(name)
	if err != nil && g.err == nil {
		g.err = err
	}
	return v
}

func (g *getter) text(name, otherwise string) string {
	if v := g.value(name); v != nil {
		return value.Text(v)
	}
	return otherwise
}

func allowedPhases(v any) (map[string]bool, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("allowed_phases is %s, not a list of phases", value.Kind(v))
	}
	names := make([]string, len(list))
	for i, item := range list {
		names[i] = value.Text(item)
	}
	allowed, err := phases.ParseAllowed(names)
	if err != nil {
		return nil, fmt.Errorf("allowed_phases: %w", err)
	}
	return allowed, nil
}

// timeouts reads phase_timeout: a time for every phase, or a mapping from phases, and `prepare`, to times.
func timeouts(v any) (func(string) time.Duration, error) {
	if v == nil {
		return nil, nil
	}
	d, ok := v.(*value.Dict)
	if !ok {
		all, err := value.ParseDuration(v)
		if err != nil {
			return nil, fmt.Errorf(`phase_timeout is %s, not a time such as "30m" or a mapping from phases to times`, value.Kind(v))
		}
		return func(phase string) time.Duration {
			if phase == phases.Prepare {
				return 0
			}
			return all
		}, nil
	}
	by := map[string]time.Duration{}
	for _, phase := range d.Keys() {
		if _, err := phases.ParseAllowed([]string{phase}); err != nil && phase != phases.Prepare {
			return nil, fmt.Errorf("phase_timeout: %w", err)
		}
		item, _ := d.Get(phase)
		t, err := value.ParseDuration(item)
		if err != nil {
			return nil, fmt.Errorf("phase_timeout of %q: %w", phase, err)
		}
		by[phase] = t
	}
	return func(phase string) time.Duration { return by[phase] }, nil
}

// steering are variables that phases do not see the effect of; they are not part of a
// layer's key. Neither are Ansible's own (how the guest is reached) nor magic ones.
var steering = map[string]bool{
	"allowed_phases": true, "phase_timeout": true, "phase_max_age": true, "config": true, "groups": true, "hostvars": true, "group_names": true,
	"playbook_dir": true, "omit": true, "vm": true, "kvm_host": true, "snapshot_type": true, "snapshot_memory": true,
	"wait_until_reachable": true, "wait_until_port_reachable": true, "connection_timeout": true,
	"retry_count": true, "retry_delay": true, "project_revision": true, "project_id": true,
}

// phasesDir is the folder of a VM's phase files. Where there is none the project would
// pass without a test, so that is the user's fault.
// The folder is returned then too.
func phasesDir(inv *inventory.Inventory, vm inventory.VM) (string, error) {
	get := getter{inv, vm, nil}
	name := get.text("phases_lookup_dir_path", "provision_phases")
	if get.err != nil {
		return "", get.err
	}
	dir := name
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(inv.Dir(), dir)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		pos, why := vm.Pos, "phases_lookup_dir_path is not set"
		if vm.Vars.Has("phases_lookup_dir_path") {
			pos, why = vm.Vars.ValPos("phases_lookup_dir_path"), fmt.Sprintf("phases_lookup_dir_path is %q", name)
		}
		return dir, engine.Blame(engine.UserFault, &source.Error{Pos: pos, What: fmt.Sprintf("no folder %s with the phases of %q: %s", dir, vm.ID, why)})
	}
	return dir, nil
}
