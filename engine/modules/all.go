// Package modules are the tasks that farm runs itself, one file each. They need nothing in
// the guest but a POSIX shell and the usual programs beside it; no Python.
package modules

import "farm/engine"

// All lists the modules.
func All() []engine.ModuleDef {
	return append(ownModules(), systemModules()...)
}

// ownModules lists the modules for commands, variables and files.
func ownModules() []engine.ModuleDef {
	return []engine.ModuleDef{
		{Name: "add_host", New: newAddHost},
		{Name: "ansible", New: newAnsible},
		{Name: "artifact", New: newArtifact},
		{Name: "archive", Aliases: []string{"community.general.archive"}, New: newArchive},
		{Name: "assemble", New: newAssemble},
		{Name: "assert", New: newAssert},
		{Name: "async_status", New: newAsyncStatus},
		{Name: "blockinfile", New: newBlockinfile},
		{Name: "command", New: newCommand},
		{Name: "copy", New: newCopy},
		{Name: "debug", New: newDebug},
		{Name: "fail", New: newFail},
		{Name: "fetch", New: newFetch},
		{Name: "file", New: newFile},
		{Name: "find", New: newFind},
		{Name: "get_url", New: newGetURL},
		{Name: "group_by", New: newGroupBy},
		{Name: "junit_results", New: newJUnitResults},
		{Name: "known_hosts", New: newKnownHosts},
		{Name: "lineinfile", New: newLineinfile},
		{Name: "openssh_keypair", Aliases: []string{"community.crypto.openssh_keypair"}, New: newOpensshKeypair},
		{Name: "pause", New: newPause},
		{Name: "ping", New: newPing},
		{Name: "raw", New: newRaw},
		{Name: "replace", New: newReplace},
		{Name: "script", New: newScript},
		{Name: "set_fact", New: newSetFact},
		{Name: "set_stats", New: newSetStats},
		{Name: "setup", Aliases: []string{"gather_facts"}, New: newSetup},
		{Name: "shell", New: newShell},
		{Name: "slurp", New: newSlurp},
		{Name: "stat", New: newStat},
		{Name: "synchronize", Aliases: []string{"ansible.posix.synchronize"}, New: newSynchronize},
		{Name: "tempfile", New: newTempfile},
		{Name: "template", New: newTemplate},
		{Name: "unarchive", New: newUnarchive},
		{Name: "uri", New: newURI},
		{Name: "validate_argument_spec", New: newValidateArgumentSpec},
	}
}
