package callbacks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// version is what a server says of a file before it is sent.
type version struct {
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
	Size     int64  `json:"size"` // -1 = not said
}

// known reports whether v tells one content from the next.
func (v version) known() bool { return v.ETag != "" || v.Modified != "" }

// resumable reports whether a download that was broken off may go on: RFC 9110, 13.1.5, takes a
// strong ETag or a date for If-Range.
func (v version) resumable() bool {
	return v.ETag != "" && !strings.HasPrefix(v.ETag, "W/") || v.Modified != ""
}

func (v version) String() string {
	if v.ETag != "" {
		return "etag " + v.ETag
	}
	if v.Modified != "" {
		return fmt.Sprintf("modified %s, %d bytes", v.Modified, v.Size)
	}
	return fmt.Sprintf("%d bytes", v.Size)
}

// stream is a file on its way.
type stream struct {
	io.ReadCloser
	version
	offset int64 // where in the file it starts: what was asked for, or 0
}

// permanent is an error that another attempt at the same address does not cure.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// The network's deadlines: to connect, for the answer's head, and between two pieces of the body.
const (
	dialLimit  = 15 * time.Second
	headLimit  = 30 * time.Second
	stallLimit = 60 * time.Second
)

// web is the HTTP client of downloads. A body keeps its encoding: what is hashed is
// what was published.
func web() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialLimit}).DialContext,
		TLSHandshakeTimeout:   dialLimit,
		ResponseHeaderTimeout: headLimit,
		DisableCompression:    true,
		DisableKeepAlives:     true,
	}}
}

// probe asks for a file's version without its content.
func probe(ctx context.Context, addr string) (version, error) {
	ctx, cancel := context.WithTimeout(ctx, headLimit)
	defer cancel()
	if strings.HasPrefix(addr, "ftp:") {
		s, err := openFTP(ctx, addr, 0)
		if err != nil {
			return version{}, err
		}
		s.Close()
		return s.version, nil
	}
	v, err := head(ctx, http.MethodHead, addr)
	var status *statusError
	if errors.As(err, &status) && (status.code == 403 || status.code == 405 || status.code == 501) {
		return head(ctx, http.MethodGet, addr) // some servers know GET only
	}
	return v, err
}

func head(ctx context.Context, method, addr string) (version, error) {
	req, err := http.NewRequestWithContext(ctx, method, addr, nil)
	if err != nil {
		return version{}, permanent{err}
	}
	resp, err := web().Do(req)
	if err != nil {
		return version{}, unanswered(addr, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return version{}, badStatus(addr, resp)
	}
	return versionOf(resp), nil
}

func versionOf(resp *http.Response) version {
	return version{resp.Header.Get("ETag"), resp.Header.Get("Last-Modified"), resp.ContentLength}
}

type statusError struct {
	addr string
	code int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: the server answers %d %s", e.addr, e.code, http.StatusText(e.code))
}

func badStatus(addr string, resp *http.Response) error {
	err := &statusError{redact(addr), resp.StatusCode}
	if c := resp.StatusCode; c >= 400 && c < 500 && c != http.StatusRequestTimeout && c != http.StatusTooManyRequests {
		return permanent{err}
	}
	return err
}

// unanswered is the error of a request that got no answer, in the system's words and not in those of
// Go's client.
func unanswered(addr string, err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	if failed := (*net.OpError)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	if failed := (*os.SyscallError)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	return fmt.Errorf("%s: %w", redact(addr), err)
}

// redact is an address without its password.
func redact(addr string) string {
	u, err := url.Parse(addr)
	if err != nil {
		return "an address that is no URL"
	}
	return u.Redacted()
}

// openRemote starts a download at offset; seen, if known, must still be the server's version,
// else it starts at 0.
func openRemote(ctx context.Context, addr string, offset int64, seen version) (*stream, error) {
	if strings.HasPrefix(addr, "ftp:") {
		return openFTP(ctx, addr, offset)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, addr, nil)
	if err != nil {
		return nil, permanent{err}
	}
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		switch {
		case seen.ETag != "" && !strings.HasPrefix(seen.ETag, "W/"):
			req.Header.Set("If-Range", seen.ETag)
		case seen.Modified != "":
			req.Header.Set("If-Range", seen.Modified)
		}
	}
	resp, err := web().Do(req)
	if err != nil {
		return nil, unanswered(addr, err)
	}
	s := &stream{ReadCloser: resp.Body, version: versionOf(resp)}
	switch {
	case resp.StatusCode == http.StatusOK:
		return s, nil
	case resp.StatusCode == http.StatusPartialContent && offset > 0:
		first, total, err := contentRange(resp.Header.Get("Content-Range"))
		if err == nil && first == offset {
			s.offset, s.Size = offset, total
			return s, nil
		}
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable || resp.StatusCode == http.StatusPartialContent {
		return openRemote(ctx, addr, 0, version{}) // what we have is no part of that file
	}
	return nil, badStatus(addr, resp)
}

// contentRange reads "bytes 10-99/100"; total is -1 where it is *.
func contentRange(text string) (first, total int64, err error) {
	text, ok := strings.CutPrefix(text, "bytes ")
	span, size, ok2 := strings.Cut(text, "/")
	from, _, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, fmt.Errorf("the range %q", text)
	}
	if total, err = strconv.ParseInt(size, 10, 64); err != nil {
		total = -1
	}
	first, err = strconv.ParseInt(from, 10, 64)
	return first, total, err
}

// body reads a stream with a watch on its pace. Its errors are kept and read as the
// end, so that what came before them is written; ask err afterwards.
type body struct {
	src   io.Reader
	stall *time.Timer // ends the download when it fires
	limit time.Duration
	on    func(n int)
	err   error
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	b.stall.Reset(b.limit)
	if n > 0 {
		b.on(n)
	}
	if err != nil && err != io.EOF {
		b.err = err
		return n, io.EOF
	}
	return n, err
}
