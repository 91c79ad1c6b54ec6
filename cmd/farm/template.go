package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"farm/engine/libvirt"
	"farm/inventory"
	"farm/inventory/expr"
	"farm/inventory/source"
	"farm/inventory/value"
)

// domainTemplate renders the user's domain template of a VM that is placed; "" if the user has
// none. The template sees what the VM's tasks see, `vm` above all.
func domainTemplate(inv *inventory.Inventory, vm inventory.VM) (string, error) {
	file, err := findTemplate(inv, vm)
	if err != nil || file == "" {
		return "", err
	}
	template, err := source.ReadText(file)
	if err != nil {
		return "", err
	}
	text, err := inv.VMVars(vm).With(definitionVars(vm)).EvalText(file, string(template))
	if err != nil {
		if bad := (*source.Error)(nil); errors.As(err, &bad) { // its place comes first
			return "", &source.Error{Pos: bad.Pos, What: "domain template, for " + vm.ID, Err: &source.Error{What: bad.What, Err: bad.Err}, Hint: bad.Hint}
		}
		return "", fmt.Errorf("domain template of %s: %w", vm.ID, err)
	}
	return text, checkDomain(file, vm.ID, text)
}

// checkTemplate finds what is wrong with a VM's domain template before the VM has a hypervisor: names
// that only that defines are left to domainTemplate. A VM without one needs something to boot from.
func checkTemplate(inv *inventory.Inventory, vm inventory.VM) error {
	file, err := findTemplate(inv, vm)
	if err == nil && file == "" && len(vm.Def.Disks) == 0 && vm.Def.Kernel.Src == "" {
		return &source.Error{Pos: vm.Pos, What: fmt.Sprintf("%s has nothing to boot from: neither disks nor a kernel", vm.ID), Hint: "such as disks: [{src: disk.qcow2}]"}
	}
	if err != nil || file == "" {
		return err
	}
	template, err := source.ReadText(file)
	if err != nil {
		return err
	}
	if err := inv.Engine().CheckText(file, string(template), value.Syntax{}); err != nil {
		return err
	}
	_, err = domainTemplate(inv, vm)
	if undefined := (*expr.UndefinedError)(nil); errors.As(err, &undefined) && placedLater(undefined.Name) {
		return nil
	}
	return err
}

// placedLater reports whether a name may be defined once a VM has its hypervisor.
func placedLater(name string) bool {
	return strings.HasPrefix(name, "ansible_") || strings.HasPrefix(name, "kvm_host") || strings.HasPrefix(name, "hostvars")
}

// checkDomain refuses a rendered template that is no domain, and names its file.
func checkDomain(file, id, text string) error {
	err := libvirt.CheckDomain(text)
	if err == nil {
		return nil
	}
	return &source.Error{Pos: source.Pos{File: file}, What: fmt.Sprintf("what this makes for %s is no domain of libvirt", id), Err: err}
}

// findTemplate looks for a VM's domain template in templates/ of the folder of definitions: the
// one that metadata.template names, which must be there, else one with the VM's name, its
// architecture's, or `default`.
func findTemplate(inv *inventory.Inventory, vm inventory.VM) (string, error) {
	get := getter{inv, vm, nil}
	dir := get.text("parse_lookup_dir_path", "setup_vm")
	if get.err != nil {
		return "", get.err
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(inv.Dir(), dir)
	}
	dir = filepath.Join(dir, "templates")
	names := []string{vm.Name, vm.Arch, "default"}
	if named := vm.Def.Metadata.Template; named != "" {
		names = []string{strings.TrimSuffix(named, templateExt)}
	}
	for _, name := range names {
		if strings.ContainsAny(name, "/\x00") {
			continue // a VM's name may hold what a file's cannot
		}
		file := filepath.Join(dir, name+templateExt)
		if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() {
			return file, nil
		}
	}
	if vm.Def.Metadata.Template == "" {
		return "", nil
	}
	pos := vm.Pos
	if v, _ := vm.Def.Raw.Get("metadata"); v != nil {
		if md, ok := v.(*value.Dict); ok && !md.ValPos("template").IsZero() {
			pos = md.ValPos("template")
		}
	}
	return "", &source.Error{
		Pos: pos, What: fmt.Sprintf("domain template %q of %s is not in %s", vm.Def.Metadata.Template, vm.ID, dir),
		Hint: source.DidYouMean(names[0], templatesIn(dir)),
	}
}

// templateExt is what domain templates' names end in.
const templateExt = ".xml.j2"

// templatesIn lists the templates of a folder; none if it cannot be read.
func templatesIn(dir string) []string {
	files, err := fs.Glob(os.DirFS(dir), "*"+templateExt)
	if err != nil {
		return nil
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, templateExt)
	}
	return slices.Sorted(slices.Values(files))
}
