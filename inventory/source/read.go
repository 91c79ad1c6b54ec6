package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MaxFileSize is the size in bytes that a YAML file may have.
const MaxFileSize = 16 << 20

// ReadFile reads and parses one YAML document. Only regular files are read: a folder, a
// FIFO or a device is refused without waiting for it. A missing file is fs.ErrNotExist, wrapped.
func ReadFile(path string) (*File, error) {
	text, err := ReadText(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// ReadText reads a regular file of at most MaxFileSize bytes.
func ReadText(path string) ([]byte, error) {
	at := Pos{File: path}
	// O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Pos: at, Err: cause(err), Hint: beside(path)}
	}
	if err != nil {
		return nil, &Error{Pos: at, Err: cause(err)}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, &Error{Pos: at, Err: cause(err)}
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{Pos: at, What: fmt.Sprintf("this is %s, not a regular file", fileKind(info.Mode()))}
	}
	if info.Size() > MaxFileSize {
		return nil, tooLarge(at, info.Size())
	}
	text, err := io.ReadAll(io.LimitReader(file, MaxFileSize+1))
	if err != nil {
		return nil, &Error{Pos: at, Err: cause(err)}
	}
	if len(text) > MaxFileSize { // it grew, or it is one of /proc's that claim to be empty
		return nil, tooLarge(at, int64(len(text)))
	}
	return text, nil
}

// beside is the hint for a file that is missing: one with a name like it in the same folder.
func beside(path string) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return DidYouMean(filepath.Base(path), names)
}

func tooLarge(at Pos, size int64) error {
	return &Error{Pos: at, What: fmt.Sprintf("the file has %d bytes, over the limit of %d MiB", size, MaxFileSize>>20)}
}

// cause is err without the path, which the position says already.
func cause(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	return err
}

func fileKind(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&os.ModeNamedPipe != 0:
		return "a FIFO"
	case m&os.ModeSocket != 0:
		return "a socket"
	case m&os.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}
