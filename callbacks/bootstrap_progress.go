package callbacks

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"farm/engine"
)

const (
	cleanTimeout = 30 * time.Second
	// a whole system emulated on a slow hypervisor took a quarter of this
	buildTimeout = 45 * time.Minute
	// how often packages are counted to the user at most
	progressEvery = 3 * time.Second
	tailLines     = 15
	maxLine       = 4096
)

// progress reads the build's output line by line and tells what is worth telling.
type progress struct {
	emit engine.Emit
	now  func() time.Time

	mu       sync.Mutex // guards what follows: both output streams write here
	line     []byte
	tail     []string // last lines, oldest first
	reason   string   // of a failure, as the script gave it
	last     time.Time
	unpacked int
	set      int
}

func newProgress(emit engine.Emit) *progress {
	if emit == nil {
		emit = func(engine.Event) {}
	}
	return &progress{emit: emit, now: time.Now}
}

// Write takes a chunk of output; it never fails.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range b {
		switch {
		case c == '\n' || c == '\r':
			p.take(string(p.line))
			p.line = p.line[:0]
		case len(p.line) < maxLine && c >= ' ' && c != 0x7f:
			p.line = append(p.line, c)
		}
	}
	return len(b), nil
}

func (p *progress) take(line string) {
	line = withoutLogin(strings.TrimSpace(line))
	if line == "" {
		return
	}
	if p.tail = append(p.tail, line); len(p.tail) > tailLines {
		p.tail = p.tail[1:]
	}
	switch {
	case strings.HasPrefix(line, "farm! "):
		p.reason = strings.TrimPrefix(line, "farm! ")
	case strings.HasPrefix(line, "farm: "):
		p.say(strings.TrimPrefix(line, "farm: "))
	case stages[line] != "":
		p.say(stages[line])
	case strings.HasPrefix(line, "Unpacking "):
		p.unpacked++
		p.count("unpacked %d packages", p.unpacked)
	case strings.HasPrefix(line, "Setting up "):
		p.set++
		p.count("set up %d packages", p.set)
	}
}

// stages are mmdebstrap's own messages, in our words.
var stages = map[string]string{
	"I: running apt-get update...":                              "reading the package lists",
	"I: downloading packages with apt...":                       "downloading the essential packages",
	"I: extracting archives...":                                 "extracting the essential packages",
	"I: installing essential packages...":                       "installing the essential packages",
	"I: downloading apt...":                                     "downloading apt",
	"I: installing remaining packages inside the chroot...":     "installing the guest's packages",
	"I: installing apt...":                                      "installing apt",
	"I: downloading remaining packages inside the chroot...":    "downloading the guest's packages",
	"I: downloading packages with apt inside the chroot...":     "downloading the guest's packages",
	"I: cleaning package lists and apt cache...":                "finishing",
	"I: installing apt and its dependencies inside the chroot.": "installing apt",
}

func (p *progress) count(format string, n int) {
	if now := p.now(); now.Sub(p.last) >= progressEvery {
		p.last = now
		p.say(fmt.Sprintf(format, n))
	}
}

func (p *progress) say(text string) {
	p.emit(engine.Event{Kind: engine.Progress, Text: text})
}

// explain adds to err what the build last said.
func (p *progress) explain(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(bytes.TrimSpace(p.line)) > 0 {
		p.take(string(p.line))
		p.line = nil
	}
	var exit *engine.ExitError
	if p.reason != "" && errors.As(err, &exit) {
		return errors.New(p.reason)
	}
	return fmt.Errorf("%w; the last output was:\n%s", err, strings.Join(p.tail, "\n"))
}
