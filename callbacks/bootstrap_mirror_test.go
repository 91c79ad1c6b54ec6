package callbacks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
	"farm/engine/enginetest"
)

// aptConn is a host whose apt names a mirror.
type aptConn struct {
	*buildConn
	says string
	err  error
}

func (c aptConn) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	if cmd.Argv[0] == "apt-get" {
		return engine.Output{Stdout: []byte(c.says)}, c.err
	}
	return c.buildConn.Exec(ctx, cmd)
}

func TestMirrorAndItsLoginArriveApart(t *testing.T) {
	for _, tc := range []struct{ given, own, mirror, login string }{
		{given: "https://m.org/debian", mirror: "https://m.org/debian"},
		{given: "http://joe:p%40ss%25@m.org:8080/debian/", mirror: "http://m.org:8080/debian/",
			login: "machine http://m.org:8080/debian\nlogin joe\npassword p@ss%\n"},
		{own: "http://own.org/debian/\nhttp://other.org/\n", mirror: "http://own.org/debian/"},
		{own: "https://joe:s$cret'@own.org\n", mirror: "https://own.org", login: "machine https://own.org\nlogin joe\npassword s$cret'\n"},
		{mirror: publicMirror},
	} {
		im, c := bootstrapImage()
		im.Conn = aptConn{buildConn: c, says: tc.own}
		b := newBootstrap().(*bootstrap)
		b.Mirror = tc.given
		if err := b.Run(t.Context(), im); err != nil {
			t.Errorf("%+v: %v", tc, err)
			continue
		}
		const dir = "/tmp/im/bootstrap-abc/"
		if !strings.Contains(c.files[dir+"config"], "\nmirror='"+tc.mirror+"'\n") {
			t.Errorf("%+v: the configuration is\n%s", tc, c.files[dir+"config"])
		}
		if got := c.files[dir+"auth"]; got != tc.login {
			t.Errorf("%+v: the login is %q", tc, got)
		}
		if tc.login != "" && c.modes[dir+"auth"] != 0o600 {
			t.Errorf("%+v: the login has mode %o", tc, c.modes[dir+"auth"])
		}
		if last := c.runs[len(c.runs)-1]; last != "rm -rf "+strings.TrimSuffix(dir, "/") {
			t.Errorf("%+v: the last command was %q", tc, last)
		}
	}
}

func TestMirrorRefusedWithoutItsPassword(t *testing.T) {
	for given, want := range map[string]string{
		"http://joe:hush%20hush@m.org/debian": `"http://m.org/debian"`,
		"http://joe:hush/hush@m.org/debian":   `"http://m.org/debian"`,
		"http://hush/hush@m.org/debian":       `"http://m.org/debian"`,
		"http://hush@m.org/debian":            `"http://m.org/debian"`,
		"http://m.org/$(reboot)":              "want a URL",
		"m.org/debian":                        "want a URL",
	} {
		im, c := bootstrapImage()
		b := newBootstrap().(*bootstrap)
		b.Mirror = given
		err := b.Run(t.Context(), im)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") || engine.FaultOf(err) != engine.UserFault {
			t.Errorf("%s: %v", given, err)
		}
		if len(c.runs) > 0 {
			t.Errorf("%s: %q was run", given, c.runs)
		}
	}
}

func TestMirrorOfAHostWithoutApt(t *testing.T) {
	im, c := bootstrapImage()
	im.Conn = aptConn{buildConn: c, err: &engine.ExitError{Status: 127}}
	if got, err := ownMirror(t.Context(), im); got != publicMirror || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	im.Conn = aptConn{buildConn: c, err: engine.ErrUnreachable}
	if _, err := ownMirror(t.Context(), im); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("a lost host: %v", err)
	}
}

func TestMirrorLoginOpensAServer(t *testing.T) {
	const helper = "/usr/lib/apt/apt-helper"
	if _, err := os.Stat(helper); err != nil {
		enginetest.Lacking(t, "needs apt, which mmdebstrap is about, and so Debian or a relative of it")
	}
	const name, password = "joe", `p@ss:%'"$x#`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, p, _ := r.BasicAuth(); n != name || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="debian"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "in")
	}))
	defer srv.Close()
	var r recipe
	if err := r.setMirror(strings.Replace(srv.URL, "://", "://joe:p%40ss%3A%25%27%22%24x%23@", 1) + "/debian"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, login := range []string{"", r.mirrorLogin} {
		auth, file := filepath.Join(dir, "auth"), filepath.Join(dir, "file")
		if err := os.WriteFile(auth, []byte(login), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), helper, "-o", "Dir::Etc::netrc="+auth, "-o", "Dir::Etc::netrcparts=/nonexistent",
			"-o", "Acquire::http::Proxy=DIRECT", "-o", "APT::Sandbox::User=", "download-file", r.mirror+"/x", file)
		out, err := cmd.CombinedOutput()
		got, _ := os.ReadFile(file)
		if (err == nil && string(got) == "in") != (login != "") {
			t.Errorf("with the login %q: %v, %q\n%s", login, err, got, out)
		}
	}
}
