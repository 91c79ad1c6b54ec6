package shell

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
)

// maxRecord bounds what may follow a token on its line.
const maxRecord = 256

var errRecord = errors.New("a frame of the shell protocol is too long")

// newToken makes 32 hex digits that no command can guess.
func newToken() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// framer cuts a stream at the lines that start with a token. A token may stand right
// after output that has no newline at its end.
type framer struct {
	r          io.Reader
	buf        []byte
	start, end int
}

func newFramer(r io.Reader) *framer { return &framer{r: r, buf: make([]byte, 32<<10)} }

// forget drops what came after the last frame: late output of something that an
// earlier command left behind.
func (f *framer) forget() { f.start, f.end = 0, 0 }

// next copies the stream to w up to the token and returns the rest of the token's line.
func (f *framer) next(token string, w io.Writer) (string, error) {
	tok := []byte(token)
	for {
		b := f.buf[f.start:f.end]
		i := bytes.Index(b, tok)
		if i < 0 {
			i = len(b) - overlap(b, tok)
		} else if j := bytes.IndexByte(b[i:], '\n'); j >= 0 {
			if i > 0 {
				w.Write(b[:i])
			}
			f.start += i + j + 1
			return string(bytes.TrimRight(b[i+len(tok):i+j], "\r")), nil
		} else if len(b)-i > len(tok)+maxRecord {
			return "", errRecord
		}
		if i > 0 {
			w.Write(b[:i])
			f.start += i
		}
		if err := f.fill(); err != nil {
			w.Write(f.buf[f.start:f.end])
			f.forget()
			return "", err
		}
	}
}

func (f *framer) fill() error {
	if f.start > 0 {
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.start = 0
	}
	n, err := f.r.Read(f.buf[f.end:])
	f.end += n
	if n > 0 {
		return nil
	}
	return err
}

// overlap is the length of b's longest end that tok begins with.
func overlap(b, tok []byte) int {
	for k := min(len(b), len(tok)-1); k > 0; k-- {
		if bytes.HasPrefix(tok, b[len(b)-k:]) {
			return k
		}
	}
	return 0
}
