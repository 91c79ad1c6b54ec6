package callbacks

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/engine"
)

func TestFetchTimeoutBoundsTheWholeDownload(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	head := func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", "35")
		return r.Method == http.MethodHead
	}
	for name, tt := range map[string]struct {
		serve   http.HandlerFunc
		retries int
		args    []any
		want    string // behind the address
	}{
		"nothing is answered":               {hang, 0, nil, "/disk.img: not answered within 1.5s, the argument `timeout`; nothing had come"},
		"nothing is answered, with retries": {hang, 5, nil, "/disk.img: not answered within 1.5s, the argument `timeout`; nothing had come"},
		"only HEAD is answered": {func(w http.ResponseWriter, r *http.Request) {
			if !head(w, r) {
				hang(w, r)
			}
		}, 0, nil, "/disk.img: not downloaded within 1.5s, the argument `timeout`; nothing had come"},
		"the body stops": {func(w http.ResponseWriter, r *http.Request) {
			if !head(w, r) {
				io.WriteString(w, content[:5])
				w.(http.Flusher).Flush()
				hang(w, r)
			}
		}, 0, nil, "/disk.img: not downloaded within 1.5s, the argument `timeout`; 5 of 35 bytes had come"},
		"the list is not sent": {hang, 0, []any{"checksum", "/SUMS"}, "/SUMS: not downloaded within 1.5s, the argument `timeout`; nothing had come"},
		"tries without end": {func(w http.ResponseWriter, r *http.Request) {
			if !head(w, r) {
				http.Error(w, "", http.StatusServiceUnavailable)
			}
		}, 1000, nil, "/disk.img: not downloaded within 1.5s, the argument `timeout`; nothing had come; the last try: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(tt.serve)
			defer s.Close()
			im, _ := newImage(t)
			args := []any{"src", s.URL + "/disk.img", "retries", int64(tt.retries)}
			if tt.args != nil {
				args = append(args, tt.args[0], s.URL+tt.args[1].(string))
			}
			f := callback(t, "fetch", args...).(*fetch)
			f.Timeout, f.pause = 1500*time.Millisecond, 50*time.Millisecond
			began := time.Now()
			_, err := f.Key(t.Context(), im)
			if err == nil {
				err = f.Run(t.Context(), im)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
			if err == nil || !strings.Contains(err.Error(), s.URL+tt.want) || engine.FaultOf(err) != engine.FarmFault {
				t.Errorf("got %v, want %s", err, s.URL+tt.want)
			}
			if err := f.Run(t.Context(), im); err == nil || !strings.Contains(err.Error(), s.URL+tt.want) {
				t.Errorf("Run: got %v, want %s", err, s.URL+tt.want)
			}
		})
	}
}

func TestFetchTimeoutLeavesTheCachedCopy(t *testing.T) {
	s := newServer(t, content)
	im, events := newImage(t)
	if err := callback(t, "fetch", "src", s.URL+"/disk.img").Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock() // nothing is answered
	defer s.mu.Unlock()
	f := callback(t, "fetch", "src", s.URL+"/disk.img", "dest", "again.img").(*fetch)
	f.Timeout = time.Second
	if err := f.Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.TmpDir, "again.img")); got != content {
		t.Errorf("got %q", got)
	}
	if !events.has(engine.Warning, "not answered within 1s, the argument `timeout`; nothing had come); uses the copy of") {
		t.Errorf("events: %v", events.events)
	}
}

func TestFetchTimeoutEndsFTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	im, _ := newImage(t)
	f := callback(t, "fetch", "src", "ftp://"+l.Addr().String()+"/disk.img", "retries", int64(0)).(*fetch)
	f.Timeout = time.Second
	if err := f.Run(t.Context(), im); err == nil || !strings.HasSuffix(err.Error(), "/disk.img: not answered within 1s, the argument `timeout`; nothing had come") {
		t.Errorf("got %v", err)
	}
}

func TestFetchTimeoutEndsAnFTPBody(t *testing.T) {
	over := make(chan struct{})
	addr := ftpServer(t, content, func() { <-over })
	defer close(over)
	im, _ := newImage(t)
	f := callback(t, "fetch", "src", addr+"/disk.img", "sha256", sum256(content), "retries", int64(0)).(*fetch)
	f.Timeout = 1500 * time.Millisecond
	began := time.Now()
	if err := f.Run(t.Context(), im); err == nil || !strings.HasSuffix(err.Error(), "not downloaded within 1.5s, the argument `timeout`; 17 of 35 bytes had come") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestFetchWithoutTimeoutHasBoundsOfItsOwn(t *testing.T) {
	f := newFetch().(*fetch)
	f.start()
	ctx, stop := f.bounded(t.Context())
	defer stop()
	if end, _ := ctx.Deadline(); time.Until(end) < atLast-time.Minute || web().Transport.(*http.Transport).ResponseHeaderTimeout != headLimit {
		t.Errorf("the end is %s, an answer's head may take %s", end, web().Transport.(*http.Transport).ResponseHeaderTimeout)
	}
}
