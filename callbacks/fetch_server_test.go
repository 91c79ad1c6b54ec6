package callbacks

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// server serves one file with ETag and Range, and misbehaves on demand.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	content  string
	etag     string
	cutAt    []int // each answer ends after so many bytes, one entry used an answer
	down     bool
	requests []string // "GET bytes=4-"
	sums     string   // content of /SUMS
}

func newServer(t *testing.T, content string) *server {
	s := &server{content: content, etag: `"v1"`}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, strings.TrimSpace(r.Method+" "+r.Header.Get("Range")))
	switch {
	case s.down:
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	case r.URL.Path == "/SUMS":
		io.WriteString(w, s.sums)
		return
	case r.URL.Path != "/disk.img":
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", s.etag)
	content := bytes.NewReader([]byte(s.content))
	if len(s.cutAt) > 0 && r.Method == "GET" {
		w = &cutter{w, s.cutAt[0]}
		s.cutAt = s.cutAt[1:]
	}
	http.ServeContent(w, r, "", time.Time{}, content)
}

// cutter breaks the connection off after n bytes.
type cutter struct {
	http.ResponseWriter
	n int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) > c.n {
		c.ResponseWriter.Write(b[:c.n])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.n -= len(b)
	return c.ResponseWriter.Write(b)
}

func sum256(text string) string { s := sha256.Sum256([]byte(text)); return hex.EncodeToString(s[:]) }

func sum512(text string) string { s := sha512.Sum512([]byte(text)); return hex.EncodeToString(s[:]) }

func count(requests []string, prefix string) (n int) {
	for _, r := range requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

const content = "the content of a disk, quite short\n"
