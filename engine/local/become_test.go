package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farm/engine"
)

// The real programs need root to be set up; these do what matters here: sudo asks on
// standard error and reads standard input, su and doas talk to the terminal.
const (
	fakeSudo = `#!/bin/sh
while [ "$1" != -- ]; do [ "$1" = -p ] && prompt=$2; [ "$1" = -u ] && USER=$2; shift; done; shift
for i in 1 2 3; do
	printf %s "$prompt" >&2; IFS= read -r p || exit 1
	[ "$p" = "s3cret'" ] && BECOME=$USER exec "$@"
	echo "Sorry, try again." >&2
done
exit 1`
	fakeSu = `#!/bin/sh
BECOME=$1; export BECOME; shift 2
printf 'Password: ' >/dev/tty; IFS= read -r p </dev/tty
[ "$p" = "s3cret'" ] || { echo "su: Authentication failure"; exit 1; }
exec "$@"`
	fakeDoas = `#!/bin/sh
BECOME=$2; export BECOME
while [ "$1" != -- ]; do shift; done; shift
printf 'doas (me@here) password: ' >/dev/tty; IFS= read -r p </dev/tty
[ "$p" = "s3cret'" ] || { echo "doas: Authentication failed"; exit 1; }
exec "$@"`
)

func withFakes(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"sudo": fakeSudo, "su": fakeSu, "doas": fakeDoas} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestBecomeRunsAsUser(t *testing.T) {
	withFakes(t)
	for _, method := range []string{"sudo", "su", "doas"} {
		t.Run(method, func(t *testing.T) {
			c := New()
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			b := &engine.Become{User: "ann", Method: method, Password: "s3cret'"}
			for range 2 { // the second in the same shell
				out, err := c.Exec(ctx, engine.Cmd{Script: "echo $BECOME; echo oops >&2; printf x; exit 3", Become: b})
				var exit *engine.ExitError
				if !errors.As(err, &exit) || exit.Status != 3 || string(out.Stdout) != "ann\nx" || string(out.Stderr) != "oops\n" {
					t.Fatalf("%q, %q, %v", out.Stdout, out.Stderr, err)
				}
			}
			big := strings.Repeat("\x00\x03\x04\x11\r\n\xff", 40000)
			out, err := c.Exec(ctx, engine.Cmd{Argv: []string{"cat"}, Stdin: strings.NewReader(big), Become: b})
			if err != nil || string(out.Stdout) != big {
				t.Errorf("%d bytes of input came back as %d: %v", len(big), len(out.Stdout), err)
			}
			short, stop := context.WithTimeout(ctx, 100*time.Millisecond)
			defer stop()
			if _, err := c.Exec(short, engine.Cmd{Script: "sleep 1000", Become: b}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
}

func TestBecomeExplainsRefusal(t *testing.T) {
	withFakes(t)
	for _, method := range []string{"sudo", "su", "doas"} {
		t.Run(method, func(t *testing.T) {
			c := New()
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err := c.Exec(ctx, engine.Cmd{Script: "true", Become: &engine.Become{Method: method, Password: "wr0ng"}})
			if err == nil || !strings.Contains(err.Error(), "wrong password") || strings.Contains(err.Error(), "wr0ng") || engine.FaultOf(err) != engine.UserFault {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
	c := New()
	defer c.Close()
	_, err := c.Exec(t.Context(), engine.Cmd{Script: "true", Become: &engine.Become{}})
	if err == nil || !strings.Contains(err.Error(), "a password is needed") {
		t.Errorf("no password: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = New().Exec(t.Context(), engine.Cmd{Script: "true", Become: &engine.Become{}})
	if err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("no sudo: %v", err)
	}
}
