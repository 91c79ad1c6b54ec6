// Package savefile reads and rewrites the start of libvirt's save files, in which a
// guest's memory lies behind the definition of its machine. libvirt resumes a file only as
// the machine that it was made of; with another definition in its start, the rest unchanged,
// it becomes another machine's.
//
// The format is that of libvirt's QEMU driver: a header of 92 bytes with numbers in the byte
// order of the host that wrote it; then as many bytes as it says, of which the first are the
// definition, ended by a zero; at the offset that it says, or nowhere, what the driver calls a
// cookie, ended by a zero as well; the rest are zeros. QEMU's own stream follows.
package savefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	magic   = "LibvirtQemudSave"
	partial = "LibvirtQemudPart" // a file that is still being written, or never was finished
	version = 2

	headerSize = 92
	// largest bounds the part behind the header; libvirt leaves about 64 KiB of room there.
	largest = 256 << 10
)

// Largest is how many bytes of a file Read may need at most.
const Largest = headerSize + largest

// ErrFormat is wrapped by every error that means "this is no save file that farm knows".
var ErrFormat = errors.New("not a save file that is known")

// Start is the start of a save file, up to QEMU's stream.
type Start struct {
	Definition string // of the domain, as XML
	Cookie     string // what the driver notes beside it, as XML; "" = nothing
	// Running is whether the guest ran when it was saved.
	Running bool

	header []byte
	order  binary.ByteOrder
	length int // of what follows the header
}

// offsets of the header's numbers, four bytes each.
const (
	atVersion = 16 + 4*iota
	atLength
	atRunning
	atCompressed
	atCookie
)

// Read reads the start of a file; more may follow it. Errors wrap ErrFormat.
func Read(b []byte) (Start, error) {
	fail := func(format string, args ...any) (Start, error) {
		return Start{}, fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
	}
	switch {
	case len(b) < headerSize:
		return fail("it ends within the header")
	case string(b[:len(partial)]) == partial:
		return fail("it was not finished")
	case string(b[:len(magic)]) != magic:
		return fail("it begins with %q", b[:len(magic)])
	}
	s := Start{header: bytes.Clone(b[:headerSize]), order: binary.LittleEndian}
	if s.number(atVersion) != version {
		s.order = binary.BigEndian
	}
	if v := s.number(atVersion); v != version {
		return fail("its version is %d, not %d", binary.LittleEndian.Uint32(b[atVersion:]), version)
	}
	length, cookie := s.number(atLength), s.number(atCookie)
	switch {
	case length == 0 || length > largest:
		return fail("its definition has %d bytes", length)
	case uint32(len(b)-headerSize) < length:
		return fail("it ends within the definition")
	case cookie >= length:
		return fail("its cookie is at %d of %d bytes", cookie, length)
	}
	s.length, s.Running = int(length), s.number(atRunning) != 0
	rest := b[headerSize : headerSize+s.length]
	var ok bool
	if s.Definition, ok = text(rest); !ok || s.Definition == "" {
		return fail("its definition has no end")
	}
	if cookie == 0 {
		return s, nil
	}
	if int(cookie) <= len(s.Definition) {
		return fail("its cookie is in its definition")
	}
	if s.Cookie, ok = text(rest[cookie:]); !ok {
		return fail("its cookie has no end")
	}
	return s, nil
}

func (s Start) number(at int) uint32 { return s.order.Uint32(s.header[at:]) }

// text is what comes before the first zero.
func text(b []byte) (string, bool) {
	before, _, ok := bytes.Cut(b, []byte{0})
	return string(before), ok
}

// Len is how many bytes of the file the start takes.
func (s Start) Len() int { return headerSize + s.length }

// With is the start with another definition, in as many bytes, for a guest that goes on
// running. It is an error if the definition does not fit, or holds a zero.
func (s Start) With(definition string) ([]byte, error) {
	if bytes.IndexByte([]byte(definition), 0) >= 0 {
		return nil, errors.New("the definition holds a zero byte")
	}
	need := len(definition) + 1
	cookie := 0
	if s.Cookie != "" {
		cookie = need
		need += len(s.Cookie) + 1
	}
	if need > s.length {
		return nil, fmt.Errorf("the definition needs %d bytes, the save file has room for %d", need, s.length)
	}
	b := make([]byte, s.Len())
	copy(b, s.header)
	s.order.PutUint32(b[atRunning:], 1)
	s.order.PutUint32(b[atCookie:], uint32(cookie))
	copy(b[headerSize:], definition)
	if cookie > 0 {
		copy(b[headerSize+cookie:], s.Cookie)
	}
	return b, nil
}
