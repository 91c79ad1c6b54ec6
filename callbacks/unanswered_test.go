package callbacks

import (
	"net/http"
	"testing"
)

func TestUnansweredRequestIsToldInTheSystemsWords(t *testing.T) {
	const addr = "http://me:secret@127.0.0.1:9/kernel" // the port of discard, where nothing listens
	_, err := head(t.Context(), http.MethodHead, addr)
	const want = "http://me:xxxxx@127.0.0.1:9/kernel: connection refused"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
