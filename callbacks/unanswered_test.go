package callbacks

import (
	"net"
	"net/http"
	"testing"
)

func TestUnansweredRequestIsToldInTheSystemsWords(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close() // nothing listens there now
	_, err = head(t.Context(), http.MethodHead, "http://me:secret@"+addr+"/kernel")
	if want := "http://me:xxxxx@" + addr + "/kernel: connection refused"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
