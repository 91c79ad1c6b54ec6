package savefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// file is a save file as libvirt writes it, with room behind the definition and the cookie.
func file(order binary.ByteOrder, definition, cookie string, room int) []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	body := append([]byte(definition), 0)
	at := 0
	if cookie != "" {
		at = len(body)
		body = append(append(body, cookie...), 0)
	}
	body = append(body, make([]byte, room)...)
	for i, n := range []int{version, len(body), 1, 0, at} {
		order.PutUint32(b[atVersion+4*i:], uint32(n))
	}
	return append(append(b, body...), "QEVM and the rest"...)
}

func TestStartIsReadAndGetsAnotherDefinition(t *testing.T) {
	for name, order := range map[string]binary.ByteOrder{"little endian": binary.LittleEndian, "big endian": binary.BigEndian} {
		for _, cookie := range []string{"", "<cookie/>"} {
			b := file(order, "<domain>a</domain>", cookie, 40)
			s, err := Read(b)
			if err != nil || s.Definition != "<domain>a</domain>" || s.Cookie != cookie || !s.Running {
				t.Fatalf("%s: %+v, %v", name, s, err)
			}
			for _, definition := range []string{"<domain>b</domain>", "<domain>much longer</domain>", "<d/>"} {
				start, err := s.With(definition)
				if err != nil || len(start) != s.Len() {
					t.Fatalf("%s: %d bytes of %d, %v", name, len(start), s.Len(), err)
				}
				again, err := Read(append(start, b[s.Len():]...))
				if err != nil || again.Definition != definition || again.Cookie != cookie || again.Len() != s.Len() {
					t.Errorf("%s: %+v, %v", name, again, err)
				}
			}
		}
	}
}

func TestGuestThatWasSavedPausedGoesOn(t *testing.T) {
	b := file(binary.LittleEndian, "<domain/>", "", 0)
	binary.LittleEndian.PutUint32(b[atRunning:], 0)
	s, err := Read(b)
	if err != nil || s.Running {
		t.Fatalf("%+v, %v", s, err)
	}
	start, err := s.With("<domain/>")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Read(start); err != nil || !again.Running {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestDefinitionThatDoesNotFitIsRefused(t *testing.T) {
	s, err := Read(file(binary.LittleEndian, "<domain/>", "<cookie/>", 3))
	if err != nil {
		t.Fatal(err)
	}
	for definition, want := range map[string]string{"<domain>ab</domain>": "room for 23", "<d>\x00</d>": "zero"} {
		if _, err := s.With(definition); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", definition, err)
		}
	}
}

func TestUnknownFilesAreRefused(t *testing.T) {
	good := file(binary.LittleEndian, "<domain/>", "<cookie/>", 8)
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	number := func(at int, n uint32) []byte {
		return change(func(b []byte) { binary.LittleEndian.PutUint32(b[at:], n) })
	}
	plain := file(binary.LittleEndian, "<domain/>", "", 0)
	plain[headerSize+len("<domain/>")] = '>'
	for why, b := range map[string][]byte{
		"within the header":            good[:50],
		"begins with":                  change(func(b []byte) { b[0] = 'X' }),
		"not finished":                 change(func(b []byte) { copy(b, partial) }),
		"its version is 3":             number(atVersion, 3),
		"its definition has 0 bytes":   number(atLength, 0),
		"its definition has 268435456": number(atLength, 1<<28),
		"within the definition":        good[:headerSize+4],
		"its cookie is at 99":          number(atCookie, 99),
		"its cookie is in":             number(atCookie, 3),
		"its definition has no end":    plain,
	} {
		if _, err := Read(b); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(file(binary.LittleEndian, "<domain/>", "<cookie/>", 8), "<domain>b</domain>")
	f.Add(file(binary.BigEndian, "<domain/>", "", 0), "")
	f.Fuzz(func(t *testing.T, b []byte, definition string) {
		s, err := Read(b)
		if err != nil {
			return
		}
		start, err := s.With(definition)
		if err != nil || definition == "" {
			return
		}
		again, err := Read(start)
		if err != nil || again.Definition != definition || again.Cookie != s.Cookie || len(start) != s.Len() {
			t.Errorf("%q: %+v, %v", definition, again, err)
		}
	})
}
