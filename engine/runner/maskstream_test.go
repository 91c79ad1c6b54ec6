package runner

import (
	"fmt"
	"strings"
	"testing"

	"farm/engine"
	"farm/inventory/value"
)

func TestMaskStreamHidesSecretsCutAnywhere(t *testing.T) {
	key := "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nq83vEjRWeJCrze8S\n-----END KEY-----"
	m := &Mask{}
	m.Add("hunter2hunter", "tercet", key, "aaaa")
	for _, secret := range []string{"hunter2hunter", key, "hunter2huntercet", "aaaaaaaaa"} {
		text := "before " + secret + " after hun aaa"
		want := m.Text(text)
		for i := range text {
			for j := i; j < len(text); j++ {
				s := m.Stream()
				got := s(text[:i], false) + s(text[i:j], false) + s(text[j:], true)
				if got != want {
					t.Fatalf("%q cut at %d and %d: got %q, want %q", text, i, j, got, want)
				}
			}
		}
		if strings.Contains(want, "hunter") || strings.Contains(want, "cet ") || strings.Contains(want, "MII") || want != "before "+masked+" after hun aaa" {
			t.Errorf("%q became %q", text, want)
		}
	}
}

func TestMaskStreamKeepsBackNoMoreThanItMust(t *testing.T) {
	m := &Mask{}
	m.Add("hunter2")
	s := m.Stream()
	for _, step := range []struct{ piece, want string }{{"compiling a.c\n", "compiling a.c\n"}, {"h", ""}, {"u", ""}, {"man", "human"}, {"hunter", ""}, {"2!", masked + "!"}} {
		if got := s(step.piece, false); got != step.want {
			t.Errorf("after %q: got %q, want %q", step.piece, got, step.want)
		}
	}
	var none *Mask
	if got := none.Stream()("x", false); got != "x" {
		t.Errorf("no mask gives %q", got)
	}
}

func TestMaskHidesTheLinesOfASecret(t *testing.T) {
	m := &Mask{}
	m.Add("-----BEGIN KEY-----\r\nMIIEpAIBAAKCAQEA\r\nx\r\n-----END KEY-----\r\n")
	got := value.Text(m.Value([]any{"-----BEGIN KEY-----", "MIIEpAIBAAKCAQEA", "x"}))
	if strings.Contains(got, "MII") || !strings.Contains(got, "BEGIN KEY") {
		t.Errorf("lines are %s", got)
	}
	if got := m.Text("-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nx\n-----END KEY-----"); strings.Contains(got, "x") {
		t.Errorf("without carriage returns it is %q", got)
	}
}

func BenchmarkMaskStream(b *testing.B) {
	m := &Mask{}
	for i := range 50 {
		m.Add(fmt.Sprintf("secret-%d-%s", i, strings.Repeat("x", 40)))
	}
	line := strings.Repeat("cc -c -o main.o main.c ", 5) + "\n"
	s := m.Stream()
	for b.Loop() {
		s(line, false)
	}
	b.SetBytes(int64(len(line)))
}

var _ engine.Mask = (*Mask)(nil)
