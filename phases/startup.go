package phases

import (
	"context"

	"farm/engine"
)

// startup boots the machine and waits until its guest can be worked with.
type startup struct{ attach bool }

func (startup) Name() string { return Startup }

func (p startup) Run(ctx context.Context, r *engine.Run) error {
	if p.attach {
		if r.Machine == nil {
			// Nothing is wrong with the inventory: a machine may be there another time.
			return engine.Blamef(engine.FarmFault, "no running machine of %s to attach to, and startup is not among allowed_phases; "+
				"allow startup, or have one left running with --keep always", r.VM.ID)
		}
		return reach(ctx, r)
	}
	if r.Disks == nil {
		if err := useLayer(ctx, r, r.Base); err != nil {
			return err
		}
	}
	vm := r.VM
	if k := r.Layer.Kernel; k.Src != "" {
		k.Params = vm.Def.Kernel.Params // VMs that share the files may differ in them
		vm.Def.Kernel = k
	}
	m, err := r.Host.Define(ctx, engine.MachineSpec{
		Name: r.Name, VM: vm, Owner: r.Owner, Disks: r.Disks, KVM: r.KVM, Dir: r.HostDir, NVRAM: r.Layer.NVRAM,
		TemplateXML: r.Template,
	})
	if err != nil {
		return err
	}
	r.Machine = m
	return begin(ctx, r)
}
