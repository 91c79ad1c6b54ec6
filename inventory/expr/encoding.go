package expr

import (
	bytes "encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// charset is an encoding of text by the name that Python knows it by.
type charset struct {
	width int // bytes of a unit; 0 = UTF-8
	order byteOrder
	mark  bool          // texts begin with a byte order mark
	high  map[rune]byte // of one byte: what differs from Latin-1
}

type byteOrder interface {
	bytes.ByteOrder
	bytes.AppendByteOrder
}

// charsets are the encodings by their names without - and _.
var charsets = map[string]charset{
	"utf8": {}, "ascii": {}, "usascii": {},
	"latin1": {width: 1}, "iso88591": {width: 1}, "latin": {width: 1}, "l1": {width: 1},
	"iso885915": {width: 1, high: latin9}, "latin9": {width: 1, high: latin9},
	"cp1252": {width: 1, high: windows1252}, "windows1252": {width: 1, high: windows1252},
	"utf16": {width: 2, order: bytes.LittleEndian, mark: true}, "utf16le": {width: 2, order: bytes.LittleEndian}, "utf16be": {width: 2, order: bytes.BigEndian},
	"utf32": {width: 4, order: bytes.LittleEndian, mark: true}, "utf32le": {width: 4, order: bytes.LittleEndian}, "utf32be": {width: 4, order: bytes.BigEndian},
}

// windows1252 is https://encoding.spec.whatwg.org/index-windows-1252.txt from 0x80 to 0x9f.
var windows1252 = map[rune]byte{
	'€': 0x80, '‚': 0x82, 'ƒ': 0x83, '„': 0x84, '…': 0x85, '†': 0x86, '‡': 0x87, 'ˆ': 0x88, '‰': 0x89, 'Š': 0x8a, '‹': 0x8b, 'Œ': 0x8c, 'Ž': 0x8e,
	'‘': 0x91, '’': 0x92, '“': 0x93, '”': 0x94, '•': 0x95, '–': 0x96, '—': 0x97, '˜': 0x98, '™': 0x99, 'š': 0x9a, '›': 0x9b, 'œ': 0x9c, 'ž': 0x9e, 'Ÿ': 0x9f,
}

// latin9 is where ISO 8859-15 differs from ISO 8859-1.
var latin9 = map[rune]byte{'€': 0xa4, 'Š': 0xa6, 'š': 0xa8, 'Ž': 0xb4, 'ž': 0xb8, 'Œ': 0xbc, 'œ': 0xbd, 'Ÿ': 0xbe}

// charsetOf throws for an encoding that is not known.
func charsetOf(encoding string) charset {
	c, ok := charsets[strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(encoding))]
	if !ok {
		throwHint("such as utf-8, latin-1, iso-8859-15, windows-1252, utf-16 or utf-16-le", "the encoding %q is not known", encoding)
	}
	return c
}

// encoded is text in an encoding.
func encoded(s, encoding string) []byte {
	c := charsetOf(encoding)
	var b []byte
	if c.mark {
		s = "\ufeff" + s
	}
	switch c.width {
	case 0:
		return []byte(s)
	case 1:
		taken := map[byte]bool{}
		for _, at := range c.high {
			taken[at] = true
		}
		for _, r := range s {
			at, moved := c.high[r]
			if !moved && (r > 0xff || taken[byte(r)]) {
				throw("%q is no character of %s", r, encoding)
			} else if !moved {
				at = byte(r)
			}
			b = append(b, at)
		}
	case 2:
		for _, unit := range utf16.Encode([]rune(s)) {
			b = c.order.AppendUint16(b, unit)
		}
	case 4:
		for _, r := range s {
			b = c.order.AppendUint32(b, uint32(r))
		}
	}
	return b
}

// decoded is the text that bytes are in an encoding.
func decoded(b []byte, encoding string) string {
	c := charsetOf(encoding)
	if c.width == 0 {
		return string(b)
	}
	if len(b)%c.width != 0 {
		throw("%d bytes are no text in %s", len(b), encoding)
	}
	var s strings.Builder
	var units []uint16
	back := map[byte]rune{}
	for r, at := range c.high {
		back[at] = r
	}
	for i := 0; i < len(b); i += c.width {
		unit := b[i : i+c.width]
		switch c.width {
		case 1:
			r, moved := back[unit[0]]
			if !moved {
				r = rune(unit[0])
			}
			s.WriteRune(r)
		case 2:
			units = append(units, c.order.Uint16(unit))
		case 4:
			r := rune(c.order.Uint32(unit))
			if !utf8.ValidRune(r) {
				throw("%#x is no character of %s", r, encoding)
			}
			s.WriteRune(r)
		}
	}
	s.WriteString(string(utf16.Decode(units)))
	return strings.TrimPrefix(s.String(), "\ufeff")
}
