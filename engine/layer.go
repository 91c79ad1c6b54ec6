package engine

import (
	"context"
	"time"

	"farm/inventory"
)

// Layers keeps disk states on one host. A layer is frozen: overlays stand on it, nothing writes it.
type Layers interface {
	// Base prepares the base disks of a VM, once per host however many ask, and returns its layer.
	Base(ctx context.Context, p Preparation) (Layer, error)
	// Find returns the layer with the key; ErrNotExist if there is none, another error if it is
	// damaged or stale: if a layer below it was made anew since.
	Find(ctx context.Context, key string) (Layer, error)
	// Overlay makes throw-away disks over l in dir and returns them in l's order.
	Overlay(ctx context.Context, l Layer, dir string) ([]MachineDisk, error)
	// Reserve makes the caller the only one who may make the layer key, until release is
	// called. fs.ErrExist, wrapped, if it is there or somebody else is making it.
	Reserve(ctx context.Context, key string) (release func(), err error)
	// Continue makes the files in dir in which the writable disks of a running machine go
	// on once Freeze makes them the layer key; they stand on that layer's files.
	Continue(ctx context.Context, key string, disks []MachineDisk, dir string) ([]MachineDisk, error)
	// Freeze turns disks that nothing writes any more into a layer, with the parent's
	// layers below; atomically: there is a whole layer or none. fs.ErrExist, wrapped, if there is
	// one with the key already: it is another's, and disks of Continue must not stand on it.
	Freeze(ctx context.Context, m FreezeSpec) (Layer, error)
	// List lists layers, oldest first.
	List(ctx context.Context) ([]Layer, error)
	// Remove deletes a layer that nothing stands on.
	Remove(ctx context.Context, key string) error
	// Expire is Remove for a layer that was made before a time; no error if there is none.
	Expire(ctx context.Context, key string, before time.Time) error
}

// Layer is a frozen disk state on a host.
type Layer struct {
	Key string `json:"key"` // content key, 64 hex digits
	// ID is this very making of the layer, unique: one made anew under the same key holds other
	// blocks. It is given when the layer is published.
	ID     string `json:"id"`
	Name   string `json:"name"`   // "base", "clean", "vde.0.init"
	Parent string `json:"parent"` // key; "" for a base
	// ParentID is the ID of the parent that the disks were written over; no other may be put
	// below them.
	ParentID string        `json:"parent_id,omitempty"`
	Disks    []MachineDisk `json:"disks"`
	NVRAM    string        `json:"nvram,omitempty"`
	Memory   *Memory       `json:"memory,omitempty"` // of the guest that ran on the disks; nil = none was kept
	// Kernel is the definition's, with absolute paths on the host; zero = none.
	Kernel   inventory.Kernel `json:"kernel,omitzero"`
	HostKeys []string         `json:"host_keys,omitempty"` // SSH host keys that the guest will show
	Created  time.Time        `json:"created"`
	Used     time.Time        `json:"used"`
	Bytes    int64            `json:"bytes"`  // on disk, without its parents
	VM       string           `json:"vm"`     // id of the VM it was made by
	Inputs   []Input          `json:"inputs"` // what the key was made from, in order
}

// Memory is the memory of a running guest, of the moment when a layer's disks were frozen.
type Memory struct {
	Path  string `json:"path"`  // file on the host, of the form that its driver saves guests in
	Bytes int64  `json:"bytes"` // of the file
	// Needs is what has to be the same where a guest resumes from it, beside the layer: "QEMU": "7.2.22".
	Needs map[string]string `json:"needs"`
}

// Input is one thing that a layer's key depends on.
type Input struct {
	Name   string `json:"name"`           // "file provision_phases/vde/main.yaml", "var project_id"
	Digest string `json:"digest"`         // SHA-256 of the content, in hex
	Text   string `json:"text,omitempty"` // the value itself where it is short and no secret
	// Unknown is why the content cannot be known before the tasks run; "" = it is known. What
	// depends on such an input is not kept.
	Unknown string `json:"-"`
}

// FreezeSpec says what becomes a layer.
type FreezeSpec struct {
	Key, Name string
	Parent    Layer
	Disks     []MachineDisk // the overlays, in the parent's order; read-only ones are left alone
	NVRAM     string        // file on the host; "" = none
	Memory    *Memory       // its file goes into the layer, as the disks do; nil = none
	HostKeys  []string
	VM        string
	Inputs    []Input
}

// Preparation is what it takes to make a VM's base disks.
type Preparation struct {
	VM      inventory.VM
	Local   Conn
	KeyPath string
	Mirror  string
	Facts   map[string]any
	Vars    Vars
	Emit    Emit
	Offline bool
	// Callback finds a callback by the name in a definition; a user's own wins.
	Callback func(name string) (CallbackDef, error)
}
