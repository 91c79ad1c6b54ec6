package modules

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"farm/engine/enginetest"
	"farm/inventory/value"
)

// web answers with the file's text, or tells what was asked.
func web(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/file.txt", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	mux.HandleFunc("/secret", func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "me" || p != `p"\s` || r.Header.Get("X-A") != "b c" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		io.WriteString(w, "secret")
	})
	mux.HandleFunc("/sums", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("0", 64)+"  other\n2CF24DBA5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 *./file.txt")
	})
	mux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/file.txt", http.StatusFound) })
	mux.HandleFunc("/json", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprintf(w, `{"method": %q, "kind": %q, "body": %q}`, r.Method, r.Header.Get("Content-Type"), body)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestGetURL(t *testing.T) {
	enginetest.Need(t, "curl")
	t.Setenv("no_proxy", "*")
	b := newBench(t)
	at := web(t)
	b.twice("get_url", "{url: "+at+"/file.txt, dest: DIR/f, mode: '0600'}")
	b.holds("f", "hello", 0o600)
	b.write("f", "mine")
	b.check("get_url", "{url: "+at+"/file.txt, dest: DIR/f}", "ok")
	b.holds("f", "mine", 0)
	b.check("get_url", "{url: "+at+"/file.txt, dest: DIR/f, force: true}", "changed")
	b.check("get_url", "{url: "+at+"/file.txt, dest: DIR/f, force: true}", "ok")
	sum := "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	b.twice("get_url", "{url: "+at+"/file.txt, dest: DIR, checksum: '"+sum+"'}")
	b.holds("file.txt", "hello", 0o644)
	b.check("get_url", "{url: "+at+"/file.txt, dest: DIR/g, checksum: 'md5:00000000000000000000000000000000'}", "failed")
	b.twice("get_url", "{url: "+at+"/file.txt, dest: DIR/h, checksum: 'sha256:"+at+"/sums'}")
	b.holds("h", "hello", 0o644)
	b.check("get_url", "{url: "+at+"/to, dest: DIR/i, checksum: 'sha256:"+at+"/sums'}", "failed") // not in the list
	b.check("get_url", "{url: "+at+"/none, dest: DIR/g}", "failed")
	b.check("get_url", "{url: "+at+"/secret, dest: DIR/g, url_username: me, url_password: 'p\"\\s', headers: {X-A: b c}}", "changed")
	b.holds("g", "secret", 0)
	b.check("get_url", "{url: nonsense, dest: DIR/g}", "failed")
	b.only("", "f", "file.txt", "g", "h")
}

func TestURI(t *testing.T) {
	b := newBench(t)
	at := web(t)
	r := b.check("uri", "{url: "+at+"/file.txt, return_content: true}", "ok")
	b.values(r, "content", "hello", "status", 200, "content_type", "text/plain; charset=utf-8", "redirected", false)
	b.values(b.check("uri", "{url: "+at+"/to, return_content: yes}", "ok"), "content", "hello", "redirected", true)
	b.values(b.check("uri", "{url: "+at+"/to, follow_redirects: none, status_code: [302, 200]}", "ok"), "status", 302)
	b.values(b.check("uri", "{url: "+at+"/none}", "failed"), "status", 404)
	b.check("uri", "{url: "+at+"/none, status_code: 404}", "ok")
	for args, want := range map[string]string{
		"{method: POST, body: {a: [1, x]}, body_format: json}":                    `POST application/json {"a": [1, "x"]}`,
		"{method: put, body: [1, 2], body_format: json}":                          `PUT application/json [1, 2]`,
		"{method: POST, body: {a: b c, d: [1, 2]}, body_format: form-urlencoded}": `POST application/x-www-form-urlencoded a=b+c&d=1&d=2`,
		"{method: POST, body: plain}":                                             `POST  plain`,
	} {
		r := b.check("uri", "{url: "+at+"/json, "+trimBraces(args)+"}", "ok")
		js, _ := r.Values.Get("json")
		d, _ := js.(*value.Dict)
		var got string
		for _, k := range []string{"method", "kind", "body"} {
			v, _ := d.Get(k)
			got += " " + value.Text(v)
		}
		if got[1:] != want {
			t.Errorf("%s: %q, want %q", args, got[1:], want)
		}
	}
	b.check("uri", "{url: "+at+"/file.txt, dest: DIR/f}", "changed")
	b.check("uri", "{url: "+at+"/file.txt, dest: DIR/f}", "ok")
	b.holds("f", "hello", 0)
	b.check("uri", "{url: "+at+"/file.txt, creates: DIR/f}", "skipped")
	b.check("uri", "{url: 'http://127.0.0.1:1/', timeout: 2}", "failed")
	b.check("uri", "{url: 'ftp://x/'}", "failed")
	b.values(b.check("uri", "{url: "+at+"/secret, user: me, password: 'p\"\\s', headers: {X-A: b c}, return_content: true}", "ok"), "content", "secret")
}
