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

// readScript writes a file to standard output.
const readScript = `src=$(untilde "$src")
[ -e "$src" ] || { echo "the file $src does not exist" >&2; exit 44; }
[ ! -d "$src" ] || die "$src is a folder"
exec cat <"$src"
`

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

// Run reads.
func (m *Slurp) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	content := &bounded{left: maxSlurp}
	r, err := script{Text: readScript, Vars: map[string]string{"src": m.Src}, Stdout: content, Keep: 4 << 10}.run(ctx, t)
	switch {
	case err != nil:
		return engine.Result{}, err
	case !r.ok():
		r.Stdout = nil
		return r.failure(""), nil
	case content.over:
		return failed("%q is larger than %d MiB; use fetch", m.Src, maxSlurp>>20), nil
	}
	return engine.Result{Values: value.NewDict("content", base64.StdEncoding.EncodeToString(content.Bytes()),
		"source", m.Src, "encoding", "base64")}, nil
}
