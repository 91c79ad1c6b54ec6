package modules

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// cp1252 are the characters that Windows' code page 1252 has from 0x80 on in place of Latin 1's
// controls (unicode.org, CP1252.TXT); 0 = there is none.
var cp1252 = [32]rune{
	'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
	0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ',
}

// encodings write text in other ways than UTF-8, by Python's names in small letters with _ for -.
// They say which character has no place in them; 0 = all have.
var encodings = map[string]func(text string) ([]byte, rune){
	"utf_8":        func(text string) ([]byte, rune) { return []byte(text), 0 },
	"ascii":        func(text string) ([]byte, rune) { return oneByte(text, 0x80, nil) },
	"latin_1":      func(text string) ([]byte, rune) { return oneByte(text, 0x100, nil) },
	"windows_1252": func(text string) ([]byte, rune) { return oneByte(text, 0x100, &cp1252) },
	"utf_16":       func(text string) ([]byte, rune) { return wide("\ufeff"+text, binary.LittleEndian), 0 },
	"utf_16_le":    func(text string) ([]byte, rune) { return wide(text, binary.LittleEndian), 0 },
	"utf_16_be":    func(text string) ([]byte, rune) { return wide(text, binary.BigEndian), 0 },
}

// encodingNames are other names of encodings.
var encodingNames = map[string]string{
	"utf8": "utf_8", "us_ascii": "ascii", "iso_8859_1": "latin_1", "iso8859_1": "latin_1", "latin1": "latin_1", "cp1252": "windows_1252",
	"utf16": "utf_16", "utf_16le": "utf_16_le", "utf_16be": "utf_16_be",
}

// encoded is text in the encoding called name.
func encoded(text, name string) ([]byte, error) {
	key := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	if key == "" {
		key = "utf_8"
	}
	if other, ok := encodingNames[key]; ok {
		key = other
	}
	write, ok := encodings[key]
	if !ok {
		return nil, fmt.Errorf("the encoding %q is not known; utf-8, ascii, latin-1, windows-1252, utf-16, utf-16-le and utf-16-be are", name)
	}
	b, lost := write(text)
	if lost != 0 {
		return nil, fmt.Errorf("%q has no place in the encoding %s", lost, name)
	}
	return b, nil
}

func oneByte(text string, limit rune, high *[32]rune) (out []byte, lost rune) {
next:
	for _, r := range text {
		if high != nil && r >= 0x80 {
			for i, h := range high {
				if h == r {
					out = append(out, byte(0x80+i))
					continue next
				}
			}
			if r < 0xa0 {
				return nil, r
			}
		}
		if r >= limit {
			return nil, r
		}
		out = append(out, byte(r))
	}
	return out, 0
}

func wide(text string, order binary.AppendByteOrder) (out []byte) {
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}
