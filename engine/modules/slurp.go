package modules

import (
	"bytes"
	"context"
	"encoding/base64"

	"farm/engine"
	"farm/inventory/value"
)

// Slurp reads a file of the guest into a variable, in base64.
type Slurp struct {
	Src string `yaml:"src|path,required"` // the file
}

func newSlurp() engine.Module { return &Slurp{} }

// maxSlurp is the largest file that fits into a variable, in bytes.
const maxSlurp = 16 << 20

// readScript writes a file to standard output; or it ends with one of the statuses below. The path is on standard error
// where it is another than was given.
const readScript = readable + `readable "$src"
exec cat <"$src"
`

// readable is a function for scripts that ends one that cannot read FILE, with one of the statuses below.
const readable = `readable() {
	src=$(untilde "$1")
	if [ ! -e "$src" ]; then
		farm_d=$src
		while [ ! -e "$farm_d" ]; do
			case $farm_d in
			/*/*) farm_d=${farm_d%/*} ;;
			/*) farm_d=/ ;;
			*/*) farm_d=${farm_d%/*} ;;
			*) farm_d=. ;;
			esac
		done
		printf '%s\n' "$src" >&2
		[ -d "$farm_d" ] || exit 47
		[ -x "$farm_d" ] || exit 46
		exit 44
	fi
	if [ ! -r "$src" ]; then printf '%s\n' "$src" >&2; exit 46; fi
	if [ -d "$src" ]; then printf '%s\n' "$src" >&2; exit 45; fi
	[ "$src" = "$1" ] || printf '%s\n' "$src" >&2
}
`

// The statuses of a script that cannot read a file.
const (
	isMissing    = 44
	isFolder     = 45
	isUnreadable = 46
	isBelowFile  = 47 // what should be a folder on the way is a file
)

// bounded takes up to left bytes.
type bounded struct {
	bytes.Buffer
	left int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	n := len(p)
	if n > b.left {
		p, b.over = p[:b.left], true
	}
	b.left -= len(p)
	b.Buffer.Write(p)
	return n, nil
}

// unslurped is the result where the file could not be read.
func unslurped(r reply) engine.Result {
	path := text(r.stderr())
	switch r.Status {
	case isMissing:
		return failed("file not found: %s", path)
	case isFolder:
		return failed("source is a directory and must be a file: %s", path)
	case isUnreadable:
		return failed("file is not readable: %s", path)
	case isBelowFile:
		return failed("unable to slurp file: %s is below a file", path)
	}
	r.Stdout = nil
	return r.failure("")
}

// Run reads.
func (m *Slurp) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	content := &bounded{left: maxSlurp}
	r, err := script{Text: readScript, Vars: map[string]string{"src": m.Src}, Stdout: content, Keep: 4 << 10}.run(ctx, t)
	switch {
	case err != nil:
		return engine.Result{}, err
	case !r.ok():
		return unslurped(r), nil
	case content.over:
		return failed("%q is larger than %d MiB; use fetch", m.Src, maxSlurp>>20), nil
	}
	source := m.Src
	if real := r.stderr(); real != "" {
		source = text(real)
	}
	return engine.Result{Values: value.NewDict("content", base64.StdEncoding.EncodeToString(content.Bytes()),
		"source", source, "encoding", "base64")}, nil
}
