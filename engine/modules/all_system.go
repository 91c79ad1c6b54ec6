package modules

import "farm/engine"

// systemModules lists the modules for packages, users, services and the machine itself.
func systemModules() []engine.ModuleDef {
	return []engine.ModuleDef{
		{Name: "apt", New: func() engine.Module { return &aptModule{UpdateRetries: 5, LockTimeout: 60, State: "present"} }},
		{Name: "apt_key", New: func() engine.Module { return &aptKeyModule{State: "present", Certs: true} }},
		{Name: "apt_repository", New: newAptRepository},
		{Name: "package", New: func() engine.Module { return &packageModule{} }},
		{Name: "package_facts", New: func() engine.Module { return &packageFactsModule{Manager: []string{"auto"}, Strategy: "first"} }},
		{Name: "dnf", Aliases: []string{"yum"}, New: manager("dnf")},
		{Name: "apk", Aliases: []string{"community.general.apk"}, New: manager("apk")},
		{Name: "pacman", Aliases: []string{"community.general.pacman"}, New: manager("pacman")},
		{Name: "zypper", Aliases: []string{"community.general.zypper"}, New: manager("zypper")},
		{Name: "pip", New: func() engine.Module { return &pipModule{State: "present"} }},
		{Name: "git", New: func() engine.Module {
			return &gitModule{Version: "HEAD", Remote: "origin", Recursive: true, Update: true, Clone: true}
		}},
		{Name: "user", New: func() engine.Module { return &userModule{State: "present", CreateHome: true} }},
		{Name: "group", New: func() engine.Module { return &groupModule{State: "present"} }},
		{Name: "authorized_key", Aliases: []string{"ansible.posix.authorized_key"}, New: func() engine.Module {
			return &authorizedKeyModule{State: "present", ManageDir: true}
		}},
		{Name: "cron", New: newCron},
		{Name: "getent", New: func() engine.Module { return &getentModule{FailKey: true} }},
		{Name: "service", New: func() engine.Module { return &serviceModule{} }},
		{Name: "service_facts", New: func() engine.Module { return &serviceFactsModule{} }},
		{Name: "systemd", Aliases: []string{"systemd_service"}, New: func() engine.Module { return &serviceModule{systemd: true} }},
		{Name: "modprobe", Aliases: []string{"community.general.modprobe"}, New: func() engine.Module { return &modprobeModule{State: "present"} }},
		{Name: "sysctl", Aliases: []string{"ansible.posix.sysctl"}, New: func() engine.Module { return &sysctlModule{State: "present", Reload: true, File: "/etc/sysctl.conf"} }},
		{Name: "mount", Aliases: []string{"ansible.posix.mount"}, New: newMount},
		{Name: "hostname", New: func() engine.Module { return &hostnameModule{} }},
		{Name: "reboot", New: func() engine.Module {
			return &rebootModule{TestCommand: "true", RebootTimeout: 600, ConnectTimeout: 10}
		}},
		{Name: "virt", Aliases: []string{"community.libvirt.virt"}, New: newVirt},
		{Name: "virt_net", Aliases: []string{"community.libvirt.virt_net"}, New: newVirtNet},
		{Name: "wait_for", New: func() engine.Module {
			return &waitForModule{Host: "127.0.0.1", State: "started", Timeout: 300, Sleep: 1, ConnectTimeout: 5}
		}},
		{Name: "wait_for_connection", New: func() engine.Module { return &waitForConnectionModule{Timeout: 600, Sleep: 1, ConnectTimeout: 5} }},
	}
}
