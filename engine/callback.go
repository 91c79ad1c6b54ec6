package engine

import (
	"context"

	"farm/inventory"
	"farm/inventory/value"
)

// Callback prepares an image on a host; its exported fields are the arguments, filled
// strictly by value.Decode. Relative paths are below im.TmpDir.
type Callback interface {
	Run(ctx context.Context, im *Image) error
}

// Keyed is a callback that says what its work depends on beyond its arguments, such as
// a published checksum; equal keys mean that the work need not be done again.
type Keyed interface {
	Key(ctx context.Context, im *Image) (string, error)
}

// CallbackDef is one entry of the list of callbacks.
type CallbackDef struct {
	Name    string   // short: "fetch"
	Aliases []string // AF's paths: "callbacks/sources/fetch.yaml"
	New     func() Callback
}

// Image is one source of a VM under preparation on a host.
type Image struct {
	Conn   Conn // the host
	Local  Conn // the controller: downloads, keys
	VM     inventory.VM
	Source inventory.Source
	Task   inventory.CallbackTask
	// SourceIndex and TaskIndex count from 0.
	SourceIndex, TaskIndex int
	TmpDir                 string // work folder of this preparation, on the host; removed when it is over
	PoolDir                string // where finished files go, on the host
	Cache                  string // farm's cache of downloads on the host, kept
	KeyPath                string // private key on the controller that guests will accept; its .pub lies beside
	Mirror                 string // Debian mirror for bootstrap; "" = that of the host's apt, else deb.debian.org
	Facts                  map[string]any
	Vars                   Vars
	Emit                   Emit
	Offline                bool
	Installed              []string    // files that on_provision put into PoolDir, appended by callbacks
	HostKeys               []string    // public host keys put into the image ("ssh-ed25519 AAAA..."), appended by callbacks
	Args                   *value.Dict // Task.Args, evaluated
	// Check reads the header of an image file on the host and refuses one that names other
	// files or is not of the format; "" = qcow2 or raw, whichever it is. Callbacks call it
	// before any tool opens a file from outside.
	Check func(ctx context.Context, path, format string) (ImageInfo, error)
	// Lock holds a lock on the host, among all of farm's processes, until release is called.
	Lock func(ctx context.Context, name string) (release func(), err error)
}

// ImageInfo is what the header of an image file says.
type ImageInfo struct {
	Format       string // qcow2, raw, vmdk, vdi, vpc, vhdx
	VirtualBytes int64  // size of the disk inside
}
