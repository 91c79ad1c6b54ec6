// Package callbacks holds the built-in steps that prepare VM images on a host, one
// file each.
package callbacks

import "farm/engine"

// All lists the built-in callbacks. The aliases are the paths that inventories of
// Ansible roles use for the same steps.
func All() []engine.CallbackDef {
	return []engine.CallbackDef{
		def("fetch", "yaml", newFetch),
		def("copy", "yaml", newCopy),
		def("unarchive", "yml", newUnarchive),
		def("img_convert", "yaml", newConvert),
		def("setup_cloudinit_iso", "yaml", newCloudinit),
		def("extend_and_convert", "yaml", newExtend),
		def("setup_image", "yaml", newSetupImage),
		def("install_to_libvirt", "yaml", newInstall),
		def("bootstrap", "yaml", newBootstrap),
	}
}

func def(name, ext string, make func() engine.Callback) engine.CallbackDef {
	return engine.CallbackDef{Name: name, Aliases: []string{"callbacks/sources/" + name + "." + ext}, New: make}
}
