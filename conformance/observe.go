package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Run is what one run of a case showed.
type Run struct {
	Outcome string          `json:"outcome"` // "ok", "failed", or "error": nothing was run, or the program gave up
	Detail  string          `json:"detail,omitempty"`
	Events  []Event         `json:"events"`
	Vars    map[string]any  `json:"vars"` // registered and set, at the end
	Files   map[string]File `json:"files"`
}

// Event is a result: of a task, of one item, of a whole loop.
type Event struct {
	Task    string         `json:"task"`
	Module  string         `json:"module"`
	Handler bool           `json:"handler,omitempty"`
	Item    bool           `json:"item,omitempty"` // of one item of a loop
	Status  string         `json:"status"`         // ok, changed, skipped, failed, ignored, unreachable
	Result  map[string]any `json:"result"`
}

// File is one thing in the work folder.
type File struct {
	Mode   string `json:"mode"` // as ls shows it
	Owner  string `json:"owner"`
	Links  uint64 `json:"links,omitempty"` // names of a regular file
	Target string `json:"target,omitempty"`
	Text   string `json:"text,omitempty"`
}

// maxText bounds what is kept of one file.
const maxText = 1 << 20

// Snapshot lists what is under dir, and dir itself as ".".
func Snapshot(dir string) (map[string]File, error) {
	out := map[string]File{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f := File{Mode: info.Mode().String()}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			f.Owner = fmt.Sprintf("%d:%d", st.Uid, st.Gid)
			if info.Mode().IsRegular() {
				f.Links = uint64(st.Nlink)
			}
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			f.Target, err = os.Readlink(path)
		case info.Mode().IsRegular() && info.Size() <= maxText:
			var text []byte
			text, err = os.ReadFile(path)
			f.Text = string(text)
		case info.Mode().IsRegular():
			err = fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), maxText)
		}
		out[rel] = f
		return err
	})
	return out, err
}

// decode reads JSON with numbers as they are written.
func decode(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return dec.Decode(into)
}
