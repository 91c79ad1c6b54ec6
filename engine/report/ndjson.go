package report

import (
	"bufio"
	"encoding/json"
	"io"

	"farm/engine"
)

// NDJSON writes every event as one line of JSON.
type NDJSON struct {
	w   *bufio.Writer
	c   io.Closer
	enc *json.Encoder
}

// NewNDJSON returns a sink that writes to w and closes it.
func NewNDJSON(w io.WriteCloser) *NDJSON {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	return &NDJSON{b, w, enc}
}

// Event writes e; what ends a task, a phase or more is passed on at once.
func (n *NDJSON) Event(e engine.Event, _ *engine.State) error {
	if err := n.enc.Encode(e); err != nil {
		return err
	}
	if e.Kind == engine.TaskOutput {
		return nil
	}
	return n.w.Flush()
}

// Close writes what is left.
func (n *NDJSON) Close() error {
	err := n.w.Flush()
	if e := n.c.Close(); err == nil {
		err = e
	}
	return err
}
