package engine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Because puts the last line of what a command wrote to standard error, at most 500 bytes
// of it, before err, where err is the command's ExitError. Other errors, and that of a
// command that wrote nothing, come back as they are.
func (o Output) Because(err error) error {
	var exit *ExitError
	text := bytes.TrimSpace(o.Stderr)
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	if !errors.As(err, &exit) || len(text) == 0 {
		return err
	}
	const most = 500
	return fmt.Errorf("%s: %w", strings.ToValidUTF8(string(text[:min(len(text), most)]), "?"), err)
}
