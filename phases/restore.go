package phases

import (
	"context"
	"fmt"
	"strings"

	"farm/engine"
)

// restore puts the machine's disks on a cached state, before it boots.
type restore struct{ name string }

func (p restore) Name() string { return p.name }

func (p restore) Run(ctx context.Context, r *engine.Run) error {
	state := r.States[strings.TrimPrefix(p.name, "restore ")]
	layer, err := r.Layers.Find(ctx, state.Key)
	if err != nil {
		return fmt.Errorf("restore layer %q: %w", state.Name, err)
	}
	return useLayer(ctx, r, layer)
}

// useLayer makes throw-away disks over a layer for a machine that is not defined yet.
func useLayer(ctx context.Context, r *engine.Run, layer engine.Layer) error {
	disks, err := r.Layers.Overlay(ctx, layer, r.HostDir)
	if err != nil {
		return fmt.Errorf("overlay of layer %q: %w", layer.Name, err)
	}
	r.Layer, r.Disks = layer, disks
	return nil
}
