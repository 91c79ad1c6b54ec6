package inventory

import (
	"farm/inventory/source"
	"farm/inventory/value"
)

// VM is one virtual machine that an inventory asks for, on one hypervisor or on none
// yet. VMs are immutable once Expand has returned them.
type VM struct {
	ID       string // "platform/target", with "#n" where count is over 1
	Platform string // metadata.platform_name: group and phase folder
	Target   string // metadata.target_name
	Name     string // metadata.name: the name in the inventory
	Index    int    // from 1, among the VMs of one count; the variable vm_index
	Arch     string // libvirt's name: x86_64, aarch64, ppc64le, ...
	Host     string // hypervisor it is pinned to or was placed on; "" = not placed
	Groups   []string
	Vars     *value.Dict // group and host variables by precedence, templates not evaluated
	Def      Definition
	Pos      source.Pos // of the wish in `config`
}

// Definition is the merged definition of a VM (the fact `vm`), evaluated. Raw holds
// every key, also those that only templates and callbacks read.
type Definition struct {
	Metadata   Metadata          `yaml:"metadata"`
	VirtDomain string            `yaml:"virt_domain|domain_type"` // qemu: emulate; kvm or "": accelerate where the host can; lxc
	Arch       string            `yaml:"arch"`
	Emulator   string            `yaml:"emulator"` // path; "" = what the host reports
	Machine    string            `yaml:"machine"`
	CPU        string            `yaml:"cpu"`      // model, for emulation
	Firmware   Firmware          `yaml:"firmware"` // a path, or {loader, nvram_template}
	Kernel     Kernel            `yaml:"kernel"`
	VCPUs      int               `yaml:"vcpus"`
	RAMMiB     int               `yaml:"ram"`
	Disks      []Disk            `yaml:"disks"`
	Net        []Net             `yaml:"net"` // one mapping is a list of one
	DefaultBus string            `yaml:"default_bus"`
	Shares     []Share           `yaml:"shares"`
	Console    string            `yaml:"console"`
	Labels     map[string]string `yaml:"labels"`
	Requires   string            `yaml:"requires"`
	// TimeoutScale multiplies every deadline; 0 = 1, and farm's own factor when emulated.
	TimeoutScale float64     `yaml:"timeout_scale"`
	DiskMode     string      `yaml:"disk_mode"` // snapshot (default) or persistent
	Boots        []any       `yaml:"boots"`
	Rest         *value.Dict `yaml:",rest"`

	Raw *value.Dict `yaml:"-"`
}

// Metadata says where a VM's parts come from and go to.
type Metadata struct {
	TargetName   string      `yaml:"target_name"`
	PlatformName string      `yaml:"platform_name"`
	Name         string      `yaml:"name"`
	Hostname     string      `yaml:"hostname"`
	Connection   string      `yaml:"connection"`       // libvirt URI
	PoolDir      string      `yaml:"libvirt_pool_dir"` // on the hypervisor
	TmpDir       string      `yaml:"tmp_dir"`          // on the hypervisor
	Template     string      `yaml:"template"`
	Auth         Auth        `yaml:"auth"`
	Sources      []Source    `yaml:"sources"`
	Rest         *value.Dict `yaml:",rest"`
}

// Auth is how the guest is logged into; image callbacks create these users.
type Auth struct {
	User           string      `yaml:"user"`
	Password       string      `yaml:"password"`
	BecomeUser     string      `yaml:"become_user"`
	BecomePassword string      `yaml:"become_password"`
	BecomeMethod   string      `yaml:"become_method"`
	Rest           *value.Dict `yaml:",rest"`
}

// Source is one image resource: callbacks that prepare it, then its place in the pool.
type Source struct {
	BeforeProvision []CallbackTask `yaml:"before_provision"`
	OnProvision     *CallbackTask  `yaml:"on_provision"`
	Rest            *value.Dict    `yaml:",rest"`
}

// CallbackTask is one call of a callback with its free-form arguments.
type CallbackTask struct {
	Callback string      `yaml:"callback"` // short name or AF's path; "" = install_to_libvirt
	Args     *value.Dict `yaml:",rest"`
}

// Disk is one disk of a VM.
type Disk struct {
	Type     string      `yaml:"type|format"` // qcow2, raw; default qcow2
	DevName  string      `yaml:"devname"`
	Src      string      `yaml:"src|source"` // file below the pool folder, or an absolute path
	Bus      string      `yaml:"bus"`        // virtio (default), scsi, sata, nvme
	Size     string      `yaml:"size"`       // such as 10G: of a blank disk, or to grow the overlay to
	Serial   string      `yaml:"serial"`
	Boot     int         `yaml:"boot"` // boot order from 1; 0 = none
	ReadOnly bool        `yaml:"readonly"`
	Snapshot string      `yaml:"snapshot"`
	Cache    string      `yaml:"cache"`
	Rest     *value.Dict `yaml:",rest"`
}

// Net is one network card.
type Net struct {
	Type    string      `yaml:"type"`   // user (default), network, bridge, vde, ethernet
	Source  string      `yaml:"source"` // user: QEMU's option string; else name, interface, switch or tap
	MAC     string      `yaml:"mac"`
	IP      string      `yaml:"ip"`
	Mask    string      `yaml:"mask"`
	Gateway string      `yaml:"gateway"`
	Rest    *value.Dict `yaml:",rest"`
}

// Firmware is the loader of a VM; both paths are on the hypervisor. "auto" as Loader
// asks for the UEFI that libvirt reports for the architecture.
type Firmware struct {
	Loader        string `yaml:"loader"`
	NVRAMTemplate string `yaml:"nvram_template"`
}

// Kernel is a kernel booted directly, without firmware or boot loader.
type Kernel struct {
	Src    string `yaml:"src"` // below the pool folder, or absolute
	Initrd string `yaml:"initrd"`
	Params string `yaml:"params"`
}

// Share is a folder of the hypervisor that the guest sees.
type Share struct {
	Src      string `yaml:"src"`
	Tag      string `yaml:"tag"`
	Mount    string `yaml:"mount"`
	ReadOnly bool   `yaml:"readonly"`
}
