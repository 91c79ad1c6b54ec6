package callbacks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ftpFile is a download by FTP (RFC 959, with EPSV of RFC 2428 and SIZE, MDTM and REST
// of RFC 3659). It is passive only and anonymous unless the address holds a login.
type ftpFile struct {
	control net.Conn
	data    net.Conn
	stop    func() bool
	ctx     context.Context // of the download; closes both when it ends
}

func (f *ftpFile) Read(p []byte) (int, error) {
	f.data.SetReadDeadline(time.Now().Add(stallLimit))
	n, err := f.data.Read(p)
	if err != nil && f.ctx.Err() != nil {
		err = context.Cause(f.ctx) // it was closed for that
	}
	return n, err
}

func (f *ftpFile) Close() error {
	f.stop()
	return errors.Join(f.data.Close(), f.control.Close())
}

// openFTP starts a download at offset, or at 0 where the server cannot.
func openFTP(ctx context.Context, addr string, offset int64) (_ *stream, err error) {
	u, err := url.Parse(addr)
	if err != nil {
		return nil, permanent{err}
	}
	if strings.ContainsAny(u.Path, "\r\n") {
		return nil, permanent{fmt.Errorf("%s: the path holds a line break", redact(addr))}
	}
	port := u.Port()
	if port == "" {
		port = "21"
	}
	dialer := net.Dialer{Timeout: dialLimit}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	f := &ftpFile{control: conn, stop: context.AfterFunc(ctx, func() { conn.Close() }), ctx: ctx}
	defer func() {
		if err != nil {
			f.stop()
			conn.Close()
			err = fmt.Errorf("%s: %w", redact(addr), err)
		}
	}()
	conn.SetDeadline(time.Now().Add(headLimit))
	s := &stream{version: version{Size: -1}}
	text := textproto.NewConn(readWriter{io.LimitReader(conn, 1<<20), conn, conn})
	ask := func(code int, format string, args ...any) (string, error) {
		if format != "" {
			if err := text.PrintfLine(format, args...); err != nil {
				return "", err
			}
		}
		_, msg, err := text.ReadResponse(code)
		return msg, err
	}
	if _, err = ask(2, ""); err != nil {
		return nil, err
	}
	if err = ftpLogin(u, ask); err != nil {
		return nil, err
	}
	if _, err = ask(2, "TYPE I"); err != nil {
		return nil, err
	}
	if msg, err := ask(213, "SIZE %s", u.Path); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(msg), 10, 64); err == nil {
			s.Size = n
		}
	}
	if msg, err := ask(213, "MDTM %s", u.Path); err == nil {
		s.Modified = strings.TrimSpace(msg)
	}
	dataPort, err := ftpPassive(ask)
	if err != nil {
		return nil, err
	}
	// The data connection goes to the server we talk to, whatever address it names.
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	if f.data, err = dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(dataPort))); err != nil {
		return nil, err
	}
	stop, data := f.stop, f.data
	ended := context.AfterFunc(ctx, func() { data.Close() })
	f.stop = func() bool { ended(); return stop() }
	if offset > 0 {
		if _, err := ask(350, "REST %d", offset); err == nil {
			s.offset = offset
		}
	}
	if _, err = ask(1, "RETR %s", u.Path); err != nil {
		f.data.Close()
		var reply *textproto.Error
		if errors.As(err, &reply) && reply.Code == 550 {
			err = permanent{err}
		}
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	s.ReadCloser = f
	return s, nil
}

type readWriter struct {
	io.Reader
	io.Writer
	io.Closer
}

func ftpLogin(u *url.URL, ask func(int, string, ...any) (string, error)) error {
	user, password := "anonymous", "farm@"
	if u.User != nil {
		user = u.User.Username()
		password, _ = u.User.Password()
	}
	if strings.ContainsAny(user+password, "\r\n") {
		return permanent{errors.New("the login holds a line break")}
	}
	_, err := ask(331, "USER %s", user)
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code == 230 {
		return nil // no password wanted
	}
	if err == nil {
		_, err = ask(2, "PASS %s", password)
	}
	return err
}

// ftpPassive asks for a data port: EPSV's "(|||PORT|)", else PASV's "(h,h,h,h,p,p)".
func ftpPassive(ask func(int, string, ...any) (string, error)) (int, error) {
	if msg, err := ask(229, "EPSV"); err == nil {
		_, rest, _ := strings.Cut(msg, "(|||")
		num, _, _ := strings.Cut(rest, "|")
		if port, err := strconv.ParseUint(num, 10, 16); err == nil {
			return int(port), nil
		}
	}
	msg, err := ask(227, "PASV")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(msg, "(")
	rest, _, _ = strings.Cut(rest, ")")
	f := strings.Split(rest, ",")
	if len(f) != 6 {
		return 0, fmt.Errorf("the answer to PASV is %q", msg)
	}
	hi, err1 := strconv.ParseUint(f[4], 10, 8)
	lo, err2 := strconv.ParseUint(f[5], 10, 8)
	return int(hi<<8 | lo), errors.Join(err1, err2)
}
