package modules

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// pgpKey is an OpenPGP certificate (RFC 4880, 11.1): a public key with all that belongs to it.
type pgpKey struct {
	fingerprints []string // of the key and its subkeys, in upper-case hex
	packets      []byte
}

// ids are the long ids of the key and its subkeys: 16 hex digits each.
func (k pgpKey) ids() (list []string) {
	for _, f := range k.fingerprints {
		list = append(list, f[len(f)-16:])
	}
	return list
}

var errNoKey = errors.New("it holds no OpenPGP public key")

// parseKeys reads a keyring, binary or in ASCII armour; nothing at all is an empty one.
func parseKeys(b []byte) (keys []pgpKey, err error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, nil
	}
	if len(b) > 12 && string(b[8:12]) == "KBXf" {
		return nil, errors.New("it is a keybox of gpg's, which apt does not read")
	}
	if b[0] < 0x80 {
		if b, err = dearmour(b); err != nil {
			return nil, err
		}
	}
	for len(b) > 0 {
		tag, body, size, err := pgpPacket(b)
		if err != nil {
			return nil, err
		}
		const publicKey, publicSubkey = 6, 14
		switch {
		case tag == publicKey:
			keys = append(keys, pgpKey{})
		case len(keys) == 0:
			return nil, errNoKey
		}
		k := &keys[len(keys)-1]
		if tag == publicKey || tag == publicSubkey {
			f, err := pgpFingerprint(body)
			if err != nil {
				return nil, err
			}
			k.fingerprints = append(k.fingerprints, f)
		}
		k.packets = append(k.packets, b[:size]...)
		b = b[size:]
	}
	return keys, nil
}

// pgpPacket reads the packet that b begins with (RFC 4880, 4.2): its tag, its body and its whole size.
func pgpPacket(b []byte) (tag int, body []byte, size int, err error) {
	head, n := 2, 0
	bad := errors.New("it is damaged: a packet has no end")
	switch {
	case len(b) < 2 || b[0]&0x80 == 0:
		return 0, nil, 0, errNoKey
	case b[0]&0x40 != 0: // the new format
		tag = int(b[0] & 0x3f)
		switch l := int(b[1]); {
		case l < 192:
			n = l
		case l < 224 && len(b) > 2:
			head, n = 3, (l-192)<<8+int(b[2])+192
		case l == 255 && len(b) > 5:
			head, n = 6, int(binary.BigEndian.Uint32(b[2:]))
		default:
			return 0, nil, 0, bad
		}
	default:
		tag = int(b[0]>>2) & 0x0f
		head = 1 + 1<<(b[0]&3)
		if b[0]&3 == 3 || len(b) < head {
			return 0, nil, 0, bad
		}
		for _, c := range b[1:head] {
			n = n<<8 | int(c)
		}
	}
	if n > len(b)-head {
		return 0, nil, 0, bad
	}
	return tag, b[head : head+n], head + n, nil
}

func pgpFingerprint(body []byte) (string, error) {
	if len(body) == 0 || body[0] != 4 || len(body) > 0xffff {
		return "", errors.New("it holds a key of another version than 4, which apt does not take")
	}
	h := sha1.New()
	h.Write([]byte{0x99, byte(len(body) >> 8), byte(len(body))})
	h.Write(body)
	return strings.ToUpper(hex.EncodeToString(h.Sum(nil))), nil
}

// dearmour takes every public key block out of a text (RFC 4880, 6.2).
func dearmour(b []byte) (out []byte, err error) {
	const begin, end = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
	s := strings.ReplaceAll(string(b), "\r\n", "\n")
	for {
		_, rest, ok := strings.Cut(s, begin)
		if !ok {
			break
		}
		block, after, ok := strings.Cut(rest, end)
		if !ok {
			return nil, errors.New("it is damaged: a key block has no end")
		}
		s = after
		var data strings.Builder
		headers := true
		for _, line := range strings.Split(strings.TrimPrefix(block, "\n"), "\n") {
			line = strings.TrimSpace(line)
			switch {
			case headers && strings.Contains(line, ": "):
			case line == "":
				headers = false
			case line[0] == '=': // the checksum
			default:
				headers = false
				data.WriteString(line)
			}
		}
		raw, err := base64.StdEncoding.DecodeString(data.String())
		if err != nil {
			return nil, errors.New("it is damaged: a key block is no base64")
		}
		out = append(out, raw...)
	}
	if len(out) == 0 {
		return nil, errNoKey
	}
	return out, nil
}

// expired reports whether the key's newest signature of its own says that it is no longer to be used (RFC 4880, 5.2.3.6).
func (k pgpKey) expired(now time.Time) bool {
	var created, newest, lasts uint32
	b := k.packets
	for len(b) > 0 {
		tag, body, size, err := pgpPacket(b)
		if err != nil {
			return false
		}
		b = b[size:]
		const signature, publicKey, publicSubkey = 2, 6, 14
		switch {
		case tag == publicSubkey:
			b = nil // what follows is of subkeys
		case tag == publicKey && len(body) > 4:
			created = binary.BigEndian.Uint32(body[1:])
		case tag == signature:
			if s, ok := pgpSignature(body); ok && s.made >= newest && s.issuer == k.ids()[0] {
				newest, lasts = s.made, s.lasts
			}
		}
	}
	return lasts > 0 && now.After(time.Unix(int64(created)+int64(lasts), 0))
}

// pgpSelf is what a signature of a key on itself says: when it was made, how many seconds the key lasts (0 = for
// ever), and the id of the key that made it.
type pgpSelf struct {
	made, lasts uint32
	issuer      string
}

func pgpSignature(body []byte) (s pgpSelf, ok bool) {
	// version, kind, two algorithms, then the length of the hashed fields
	if len(body) < 6 || body[0] != 4 || (body[1] < 0x10 || body[1] > 0x13) && body[1] != 0x1f {
		return s, false
	}
	rest := body[4:]
	for range 2 { // the hashed fields, and those that are not
		if len(rest) < 2 {
			return s, false
		}
		n := int(binary.BigEndian.Uint16(rest))
		if n > len(rest)-2 {
			return s, false
		}
		fields := rest[2 : 2+n]
		rest = rest[2+n:]
		for len(fields) > 0 {
			kind, value, size := pgpField(fields)
			if size == 0 {
				return s, false
			}
			fields = fields[size:]
			switch {
			case kind == 2 && len(value) == 4:
				s.made = binary.BigEndian.Uint32(value)
			case kind == 9 && len(value) == 4:
				s.lasts = binary.BigEndian.Uint32(value)
			case kind == 16 && len(value) == 8:
				s.issuer = strings.ToUpper(hex.EncodeToString(value))
			case kind == 33 && len(value) == 21:
				s.issuer = strings.ToUpper(hex.EncodeToString(value[13:]))
			}
		}
	}
	return s, true
}

// pgpField reads the field of a signature that b begins with (RFC 4880, 5.2.3.1); size 0 = it is damaged.
func pgpField(b []byte) (kind byte, value []byte, size int) {
	head, n := 1, int(b[0])
	switch {
	case b[0] == 255 && len(b) > 5:
		head, n = 5, int(binary.BigEndian.Uint32(b[1:]))
	case b[0] >= 192 && len(b) > 2:
		head, n = 2, (int(b[0])-192)<<8+int(b[1])+192
	}
	if n < 1 || n > len(b)-head {
		return 0, nil, 0
	}
	return b[head] & 0x7f, b[head+1 : head+n], head + n
}

// armour is a keyring as text.
func armour(b []byte) []byte {
	var out bytes.Buffer
	out.WriteString("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n")
	enc := base64.StdEncoding
	for line := range slices.Chunk(b, 48) {
		out.WriteString(enc.EncodeToString(line) + "\n")
	}
	crc := uint32(0xb704ce)
	for _, c := range b {
		crc ^= uint32(c) << 16
		for range 8 {
			if crc <<= 1; crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
	}
	out.WriteString("=" + enc.EncodeToString([]byte{byte(crc >> 16), byte(crc >> 8), byte(crc)}) + "\n-----END PGP PUBLIC KEY BLOCK-----\n")
	return out.Bytes()
}
