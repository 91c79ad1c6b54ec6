package modules

import (
	"strings"
	"testing"

	"farm/engine"
)

// wordMask masks one word, which it finds again over the pieces of a stream.
type wordMask string

func (m wordMask) Text(text string) string { return strings.ReplaceAll(text, string(m), "***") }
func (m wordMask) Value(v any) any         { return v }
func (m wordMask) Stream() func(string, bool) string {
	held := ""
	return func(piece string, last bool) string {
		text := m.Text(held + piece)
		keep := 0
		for n := 1; n < len(m) && !last; n++ {
			if strings.HasSuffix(text, string(m[:n])) {
				keep = n
			}
		}
		held = text[len(text)-keep:]
		return text[:len(text)-keep]
	}
}

// streamed is what live shows of output that comes in pieces.
func streamed(mask engine.Mask, pieces ...string) string {
	var shown []string
	l := newLive(&engine.Task{Mask: mask, Emit: func(e engine.Event) { shown = append(shown, e.Text) }})
	var cmd engine.Cmd
	l.attach(&cmd)
	for _, p := range pieces {
		cmd.Stdout.Write([]byte(p))
	}
	l.end()
	return strings.Join(shown, "|")
}

func TestLiveMasksSecretsAtEveryCut(t *testing.T) {
	for _, secret := range []string{"hunter2", "line1\nline2"} {
		text := "a\npassword " + secret + " b\n"
		for i := range text {
			got := streamed(wordMask(secret), text[:i], text[i:])
			if flat := strings.ReplaceAll(got, "|", "\n"); flat != "a\npassword *** b" {
				t.Errorf("cut at %d: %q", i, got)
			}
		}
	}
}

func TestLiveMasksSecretsAtTheBoundOfALine(t *testing.T) {
	const secret = "hunter2"
	for before := maxLiveLine - len(secret) - 2; before <= maxLiveLine+2; before++ {
		text := strings.Repeat("x", before) + secret + strings.Repeat("y", 100)
		got := strings.ReplaceAll(streamed(wordMask(secret), text[:before+3], text[before+3:]), "|", "")
		if want := strings.Repeat("x", before) + "***" + strings.Repeat("y", 100); got != want {
			t.Errorf("%d bytes before the secret: the line ends in %q", before, got[len(got)-120:])
		}
	}
}

func TestLiveCutsNeitherCharactersNorControlSequences(t *testing.T) {
	for before := maxLiveLine - 8; before <= maxLiveLine+2; before++ {
		text := strings.Repeat("x", before) + "é\x1b[31mred" + strings.Repeat("y", 100)
		got := strings.ReplaceAll(streamed(nil, text[:maxLiveLine+1], text[maxLiveLine+1:]), "|", "")
		if want := strings.Repeat("x", before) + "éred" + strings.Repeat("y", 100); got != want {
			t.Errorf("%d bytes before: the line ends in %q", before, got[len(got)-120:])
		}
	}
}

func TestLiveStopsAtItsBound(t *testing.T) {
	got := streamed(wordMask("hunter2"), strings.Repeat("0123456789abcdef\n", maxLive/16), "hunter2\n", "more\n")
	if !strings.HasSuffix(got, "(further output is not shown)") || len(got) > maxLive+200 {
		t.Errorf("%d bytes, the end is %q", len(got), got[len(got)-60:])
	}
}

func TestFailureMasksSecretsBeforeItIsCut(t *testing.T) {
	const secret = "hunter2"
	for after := maxMessage - len(secret) - 2; after <= maxMessage+2; after++ {
		r := reply{Output: engine.Output{Status: 1, Stderr: []byte(strings.Repeat("x", 100) + secret + strings.Repeat("y", after))}, mask: wordMask(secret)}
		if msg := strings.Trim(r.failure("").Msg, ".y"); strings.Contains(msg, "ter2") || strings.HasSuffix(msg, "r2") || len(r.failure("").Msg) < maxMessage {
			t.Errorf("%d bytes after the secret: the message begins with %.20q", after, msg)
		}
	}
}
