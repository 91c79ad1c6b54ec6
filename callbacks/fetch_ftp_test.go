package callbacks

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// ftpServer serves one file to one client after the other; the first transfer ends early, after hang.
func ftpServer(t *testing.T, content string, hang func()) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for first := true; ; {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if serveFTP(conn, content, first, hang) {
				first = false
			}
		}
	})
	return "ftp://" + l.Addr().String()
}

func serveFTP(conn net.Conn, content string, cut bool, hang func()) (sent bool) {
	defer conn.Close()
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	data, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return false
	}
	defer data.Close()
	offset := 0
	say("220 ready")
	for in := bufio.NewScanner(conn); in.Scan(); {
		verb, arg, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "USER":
			say("331 password")
		case "PASS":
			say("230 in")
		case "TYPE":
			say("200 ok")
		case "SIZE":
			say("213 %d", len(content))
		case "MDTM":
			say("213 20260101000000")
		case "EPSV":
			say("229 Entering (|||%d|)", data.Addr().(*net.TCPAddr).Port)
		case "REST":
			fmt.Sscan(arg, &offset)
			say("350 ok")
		case "RETR":
			c, err := data.Accept()
			if err != nil {
				return false
			}
			say("150 here")
			part := content[offset:]
			if cut {
				part = part[:len(part)/2]
			}
			io.WriteString(c, part)
			if cut {
				hang()
			}
			c.Close()
			say("226 done")
			return true
		default:
			say("502 what")
		}
	}
	return false
}

func TestFetchFTPResumes(t *testing.T) {
	im, _ := newImage(t)
	addr := ftpServer(t, content, func() {})
	cb := callback(t, "fetch", "src", addr+"/pub/disk.img", "sha256", sum256(content))
	if err := cb.Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(im.TmpDir, "disk.img")); got != content {
		t.Errorf("got %q", got)
	}
}
