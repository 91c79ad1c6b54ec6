package engine

import (
	"context"
	"errors"
	"time"

	"farm/inventory"
)

// Host is one opened hypervisor. Safe for concurrent use.
type Host interface {
	Name() string // in the inventory
	Conn() Conn
	// Capabilities is what the host can run; asked once and kept.
	Capabilities(ctx context.Context) (Capabilities, error)
	// Define makes a machine, not started. The machine, its NVRAM and its ports carry spec.Owner.
	Define(ctx context.Context, spec MachineSpec) (Machine, error)
	// Machine finds a machine by its libvirt name; ErrNotExist if there is none.
	Machine(ctx context.Context, name string) (Machine, error)
	// Machines lists those that farm made, oldest first.
	Machines(ctx context.Context) ([]Machine, error)
	Close() error
}

// Capabilities is what a host can run and how much of it.
type Capabilities struct {
	Arch           string // the host's own, as uname -m prints it
	Guests         map[string]GuestSupport
	VCPUs          int
	MemoryMiB      int    // in all
	FreeMiB        int    // memory available now
	Home           string // home folder of the user we log in as
	URI            string // libvirt URI
	LibvirtVersion string
	Facts          map[string]any // Ansible's names, for definitions and `requires`
}

// GuestSupport is how one guest architecture (by libvirt's name) runs on a host.
type GuestSupport struct {
	Emulator string
	KVM      bool   // a boot probe saw a guest make progress
	WhyNot   string // why KVM is not used, for people
	Machines []string
	// Firmware is the UEFI loaders found, with their NVRAM templates; may be empty.
	Firmware []inventory.Firmware
}

// MachineSpec is everything that Define needs.
type MachineSpec struct {
	Name  string // libvirt name
	VM    inventory.VM
	Owner Owner
	Disks []MachineDisk
	KVM   bool
	// Dir is the machine's own folder on the host, made by the caller: console log, NVRAM, sockets.
	Dir string
	// TemplateXML is the user's domain template already rendered; "" = farm builds the domain.
	TemplateXML string
	// NVRAM is a file to start from, such as a layer's; "" = the firmware's template.
	NVRAM string
}

// MachineDisk is a disk file on the host as a machine gets it.
type MachineDisk struct {
	inventory.Disk
	Path string // absolute
}

// Owner says in libvirt's metadata, in farm's namespace, whose a machine is.
type Owner struct {
	Run     string    `xml:"run"`
	VM      string    `xml:"vm"`
	User    string    `xml:"user"`    // user@controller
	Expires time.Time `xml:"expires"` // after this `farm gc` may remove it; zero = when the run is over
	Keep    bool      `xml:"keep"`    // kept on purpose until Expires
	Dir     string    `xml:"dir"`     // MachineSpec.Dir
	// What a machine was made for; "" = by a farm that did not write it down.
	Project   string `xml:"project,omitempty"`   // project_id
	Inventory string `xml:"inventory,omitempty"` // file, absolute, on the controller
	Home      string `xml:"home,omitempty"`      // folder of the records that have the machine, on the controller
}

// PowerState is whether a machine runs.
type PowerState string

// The states of a machine.
const (
	Running PowerState = "running"
	Off     PowerState = "off"
	Paused  PowerState = "paused" // also by an I/O error; see Machine.Why
	Crashed PowerState = "crashed"
)

// Machine is one VM defined on a host. Safe for concurrent use.
type Machine interface {
	Name() string
	Owner() Owner
	Start(ctx context.Context) error
	// Shutdown asks the guest to power off (agent, then ACPI, asked again every few
	// seconds) and waits until it is off or ctx ends.
	Shutdown(ctx context.Context) error
	// PowerOff ends the machine at once; no error if it is off.
	PowerOff(ctx context.Context) error
	State(ctx context.Context) (PowerState, error)
	// SSH is where the guest's sshd is reached, as seen from the host; it waits for a
	// lease where the address is not known beforehand.
	SSH(ctx context.Context) (addr string, err error)
	// ConsoleLog is the file on the host that takes the serial console.
	ConsoleLog() string
	// SetOwner replaces the owner's mark, to extend a lease.
	SetOwner(ctx context.Context, o Owner) error
	// Remove powers off and undefines, with NVRAM; disks and Dir are the caller's.
	Remove(ctx context.Context) error
}

// Snapshotter is a machine whose disks can be frozen while it runs: each writable disk
// goes on in a file of next that is there already and stands on it, and its old file is
// written no more. All disks or none. now are the disks as they are, found by their
// paths; next are those to be, in the same order.
// With quiesce the guest's agent freezes the filesystems meanwhile, if it answers.
type Snapshotter interface {
	Snapshot(ctx context.Context, now, next []MachineDisk, quiesce bool) error
}

// Resumer is a machine whose guest can be kept with its memory, and resume from it in another machine.
type Resumer interface {
	// Remember is Snapshot that puts the guest's memory of the same moment into a new file.
	// The guest stands still meanwhile, and goes on. After an error the disks go on where
	// they were, as far as it can be told; what is left of the file is the caller's.
	Remember(ctx context.Context, now, next []MachineDisk, file string) error
	// Memory describes a file of Remember, which this machine has made; an error if it is
	// none that Resume takes.
	Memory(ctx context.Context, file string) (Memory, error)
	// Resume starts the machine, which is off, from a memory; its disks must hold what
	// they held then. ErrUnfit, wrapped, with the reason if it cannot be, and nothing was
	// started; after another error the machine may run or not.
	Resume(ctx context.Context, m Memory) error
}

// ErrUnfit is wrapped where a machine cannot resume from a memory, as it or its host differs.
var ErrUnfit = errors.New("its memory does not fit")
