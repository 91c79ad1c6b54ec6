package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"farm/engine"
)

// folder is a machine's folder on a hypervisor.
type folder struct {
	foreign bool // of another system that shares the files with this one
	signed  bool // it says of which system it is
	vain    bool // made over a day ago, and nothing was ever put into it
	claim   engine.Claim
}

// foldersScript prints the folders of machines, one a line: name, state, claim.
const foldersScript = engine.SystemScript + `cd -- "$1" 2>/dev/null || exit 0
for d in *; do
	[ -d "$d" ] && [ ! -L "$d" ] || continue
	state=old
	if [ -s "$d/` + engine.SystemFile + `" ]; then
		state=foreign
		[ "$(head -c 1000 "$d/` + engine.SystemFile + `")" != "$system" ] || state=own
	elif [ -n "$(find "$d" -prune -empty -mmin +1440)" ]; then
		state=vain
	fi
	printf '%s\t%s\t%s\n' "$d" "$state" "$(head -c 16000 "$d/` + engine.ClaimFile + `" 2>/dev/null | head -n 1)"
done`

// folders lists the folders of machines on a hypervisor by name.
func (h *hypervisor) folders(ctx context.Context) (map[string]folder, error) {
	out, err := h.conn.Exec(ctx, engine.Cmd{Argv: []string{"/bin/sh", "-c", foldersScript, "farm", h.machinesDir()}, Dir: "/", Keep: 64 << 20})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", h.machinesDir(), err)
	}
	all := map[string]folder{}
	for line := range strings.Lines(string(out.Stdout)) {
		name, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		state, claim, ok := strings.Cut(rest, "\t")
		if !ok {
			continue // a name with a line end is not farm's
		}
		f := folder{foreign: state == "foreign", signed: state == "own" || state == "foreign", vain: state == "vain"}
		if json.Unmarshal([]byte(claim), &f.claim) != nil {
			f.claim = engine.Claim{} // made by a farm that did not write one
		}
		all[name] = f
	}
	return all, nil
}

// abandoned says why a folder without a machine can go though these records do not know it,
// "" if somebody may still use it.
func (f folder) abandoned(uri string, runs map[string]runState, me string, now time.Time) string {
	o := f.claim.Owner
	switch {
	case f.vain:
		return "nothing was put into it"
	case o.Run == "" || f.claim.URI != uri:
		return ""
	case f.foreign && (o.Expires.IsZero() || now.Before(o.Expires.Add(lapse))):
		return ""
	}
	return orphaned(o, runs, me, now)
}

// gcFolders removes folders that no machine has and these records do not know: of runs with
// other records, which may be gone for good.
func (a *app) gcFolders(ctx context.Context, h *hypervisor, w world, dry bool) (removed []leftover, err error) {
	for name, f := range w.folders {
		if _, known := w.records[name]; known && !f.foreign || w.used[name] {
			continue
		}
		why := f.abandoned(h.caps.URI, w.runs, a.user(), time.Now())
		if why == "" {
			continue
		}
		// It may have been made since the machines were listed.
		if _, err := h.host.Machine(ctx, name); !errors.Is(err, engine.ErrNotExist) {
			continue
		}
		if !dry {
			if err := h.removeFolder(ctx, path.Join(h.machinesDir(), name)); err != nil {
				return removed, err
			}
		}
		a.finds(&removed, leftover{Host: h.Name, Kind: "files", Name: name, Why: why}, "files of "+name)
	}
	return removed, nil
}
