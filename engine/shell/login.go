package shell

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	"farm/engine"
)

// login is the way to a shell: the command that starts it, and the password that it may ask for.
type login struct {
	b      *engine.Become
	line   string
	pty    bool
	stay   bool   // in the folder that the shell is started in
	up     string // printed once the user has been changed; "" = at once
	prompt string // that sudo was told to ask with; "" = any text that ends with a colon
	send   func(string)
	wrong  chan struct{} // closed when the password was refused

	outText, errText said
	mu               sync.Mutex // guards asked, passed
	asked            int
	passed           bool
}

// said keeps the first bytes of what a login printed and looks for a prompt.
type said struct {
	mu   sync.Mutex
	text []byte
	rest []byte // since the last prompt
	seen func(rest []byte) bool
}

const maxSaid = 4 << 10

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p[:min(len(p), maxSaid-len(s.text))]...)
	if s.seen != nil {
		s.rest = append(s.rest, p...)
		if s.seen(s.rest) {
			s.rest = nil
		} else if len(s.rest) > maxSaid {
			s.rest = s.rest[len(s.rest)-maxSaid:]
		}
	}
	return len(p), nil
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text)
}

// startLine starts a shell that leads its process group, since the signals that end a
// command go to that group: under Dropbear, whose commands are of the server's own group,
// they would end the connection. It is quoted for any login shell.
const startLine = `exec /bin/sh -c '{ read -r p c s pp g rest; } 2>/dev/null </proc/$$/stat
[ "${g:-$$}" = $$ ] || ! command -v setsid >/dev/null || exec setsid /bin/sh
exec /bin/sh'`

func newLogin(b *engine.Become) *login {
	l := &login{b: b, line: startLine, wrong: make(chan struct{})}
	if b == nil {
		return l
	}
	user := b.User
	if user == "" {
		user = "root"
	}
	l.up = newToken()
	first := "echo " + l.up + "; exec /bin/sh"
	switch b.Method {
	case "", "sudo":
		l.prompt = "[" + newToken() + "]"
		l.line = Join([]string{"exec", "sudo", "-H", "-S", "-p", l.prompt, "-u", user, "--", "/bin/sh", "-c", first})
		l.errText.seen = l.prompted
	case "su":
		l.pty = b.Password != ""
		l.line = Join([]string{"exec", "su", user, "-s", "/bin/sh", "-c", first})
	case "doas":
		l.pty = b.Password != ""
		argv := []string{"exec", "doas", "-u", user, "--", "/bin/sh", "-c", first}
		if !l.pty {
			argv = append(argv[:2], append([]string{"-n"}, argv[2:]...)...)
		}
		l.line = Join(argv)
	}
	if l.pty {
		l.outText.seen = l.prompted
	}
	return l
}

// prompted answers a prompt once; a second one means that the password was wrong.
func (l *login) prompted(text []byte) bool {
	if l.prompt != "" {
		if !bytes.Contains(text, []byte(l.prompt)) {
			return false
		}
	} else if !bytes.HasSuffix(bytes.TrimRight(text, " "), []byte(":")) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.passed {
		return false
	}
	l.asked++
	switch {
	case l.asked == 1 && l.b.Password != "":
		go l.send(l.b.Password + "\n")
	case l.asked < 3:
		close(l.wrong)
		l.asked = 3
	}
	return true
}

// pass ends the watch for prompts.
func (l *login) pass() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passed = true
}

func (l *login) refused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked > 0 && !l.passed
}

// explain says why there is no shell.
func (l *login) explain(cause error) error {
	text := l.clean(l.errText.String() + "\n" + l.outText.String())
	if l.b == nil {
		return fmt.Errorf("%w: /bin/sh: %w%s", ErrNotPOSIX, noExit{cause}, text)
	}
	method, user := l.b.Method, l.b.User
	if method == "" {
		method = "sudo"
	}
	if user == "" {
		user = "root"
	}
	l.mu.Lock()
	asked, passed := l.asked, l.passed
	l.mu.Unlock()
	why := fmt.Sprintf("%v%s", noExit{cause}, text)
	var exit *engine.ExitError
	switch {
	case errors.As(cause, &exit) && exit.Status == 127:
		why = method + " is not installed there" + text
	case asked > 0 && !passed && l.b.Password == "":
		why = "a password is needed (become_password)"
	case asked > 0 && !passed:
		why = "wrong password" + text
	}
	return engine.Blamef(engine.UserFault, "become %q with %s: %s", user, method, why)
}

// clean shortens what a login printed to one line that holds no secret.
func (l *login) clean(text string) string {
	if l.prompt != "" {
		text = strings.ReplaceAll(text, l.prompt, "")
	}
	if l.b != nil && l.b.Password != "" {
		text = strings.ReplaceAll(text, l.b.Password, "********")
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 400 {
		text = text[:400] + "..."
	}
	if text == "" {
		return ""
	}
	return ": " + text
}
