package modules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// URI makes an HTTP request from the host: farm speaks HTTP itself, over the host's
// connection, so the host needs no program for it.
type URI struct {
	URL           string            `yaml:"url,required"`          // http or https
	Method        string            `yaml:"method"`                // GET by default
	Body          any               `yaml:"body"`                  // text; a mapping or list with body_format
	BodyFormat    string            `yaml:"body_format"`           // raw (the default), json, form-urlencoded
	Headers       map[string]string `yaml:"headers"`               // of the request
	StatusCode    []int             `yaml:"status_code"`           // those that are no failure; 200 by default
	ReturnContent bool              `yaml:"return_content"`        // the result has "content"
	Dest          string            `yaml:"dest|path"`             // file of the host that gets the answer
	Creates       string            `yaml:"creates"`               // do nothing if this is there
	Removes       string            `yaml:"removes"`               // do nothing if this is not there
	Follow        string            `yaml:"follow_redirects"`      // safe (the default), all, none, or a boolean
	Timeout       int               `yaml:"timeout"`               // seconds
	Username      string            `yaml:"url_username|user"`     // for HTTP basic authentication
	Password      string            `yaml:"url_password|password"` // for HTTP basic authentication
	BasicAuth     bool              `yaml:"force_basic_auth"`      // accepted: it is sent at once
	Certs         bool              `yaml:"validate_certs"`        // true; false is not supported
	Agent         string            `yaml:"http_agent"`            // User-Agent
	Mode          any               `yaml:"mode"`                  // of dest
	Owner         string            `yaml:"owner"`                 // of dest
	Group         string            `yaml:"group"`                 // of dest
	UseProxy      bool              `yaml:"use_proxy"`             // accepted: there is no proxy
	Force         bool              `yaml:"force"`                 // accepted: answers are not cached
}

func newURI() engine.Module {
	return &URI{Method: "GET", BodyFormat: "raw", StatusCode: []int{200}, Follow: "safe", Timeout: 30, Certs: true, Agent: "farm", UseProxy: true}
}

// maxAnswer is the longest answer that is read, in bytes.
const maxAnswer = 64 << 20

// Validate checks what goes together.
func (m *URI) Validate() error {
	u, err := url.Parse(m.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is no URL of http or https", m.URL)
	}
	switch m.BodyFormat {
	case "raw", "json", "form-urlencoded":
	default:
		return fmt.Errorf("body_format %q is none of raw, json, form-urlencoded", m.BodyFormat)
	}
	if _, err := value.ParseBool(m.Follow); err != nil {
		if err := oneOf("follow_redirects", strings.ToLower(m.Follow), "safe", "all", "none", "urllib2", "yes", "no"); err != nil {
			return err
		}
	}
	if !m.Certs {
		return errors.New("validate_certs: false is not supported")
	}
	_, err = modeText(m.Mode)
	return err
}

// Run asks.
func (m *URI) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("uri: %v", err), nil
	}
	if why, err := (execution{creates: m.Creates, removes: m.Removes}).needless(ctx, t); err != nil || why != "" {
		return engine.Result{Skipped: why != "", Msg: "skipped, since " + why}, err
	}
	if t.Check && !strings.EqualFold(m.Method, "GET") && !strings.EqualFold(m.Method, "HEAD") {
		return engine.Result{Skipped: true, Msg: "the request would have been made if not in check mode"}, nil
	}
	req, err := m.request(ctx)
	if err != nil {
		return failed("uri: %v", err), nil
	}
	began := time.Now()
	resp, body, err := m.do(t, req)
	if err != nil {
		if ctx.Err() != nil {
			return engine.Result{}, fmt.Errorf("ask %q: %w", m.URL, context.Cause(ctx))
		}
		r := failed("ask %q: %v", m.URL, err)
		r.Values = value.NewDict("url", m.URL, "status", int64(-1), "elapsed", int64(time.Since(began)/time.Second), "redirected", false)
		return r, nil
	}
	r := m.result(resp, body)
	r.Values.Set("elapsed", int64(time.Since(began)/time.Second))
	if m.Dest == "" || r.Failed {
		return r, nil
	}
	mode, _ := modeText(m.Mode)
	p := putting{dest: m.Dest, name: nameOfURL(m.URL), mode: mode, owner: m.Owner, group: m.Group}
	p.content(body)
	put, err := p.put(ctx, t)
	if err != nil || put.Failed {
		return put, err
	}
	r.Changed = put.Changed
	path, _ := put.Values.Get("dest")
	r.Values.Set("path", path)
	return r, nil
}

func (m *URI) request(ctx context.Context) (*http.Request, error) {
	body, kind, err := m.body()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, strings.ToUpper(m.Method), m.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("User-Agent", m.Agent)
	for k, v := range m.Headers {
		req.Header.Set(k, v)
		if strings.EqualFold(k, "Host") {
			req.Host = v
		}
	}
	if m.Username != "" {
		req.SetBasicAuth(m.Username, m.Password)
	}
	return req, nil
}

func (m *URI) body() (body []byte, kind string, err error) {
	d, isDict := m.Body.(*value.Dict)
	switch {
	case m.Body == nil:
		return nil, "", nil
	case m.BodyFormat == "json":
		if s, ok := m.Body.(string); ok {
			return []byte(s), "application/json", nil
		}
		body, err = contentBytes(value.NewDict("b", m.Body))
		if err == nil {
			body = bytes.TrimSuffix(bytes.TrimPrefix(body, []byte(`{"b": `)), []byte("}"))
		}
		return body, "application/json", err
	case m.BodyFormat == "form-urlencoded" && isDict:
		form := url.Values{}
		for k, v := range d.All() {
			if list, ok := v.([]any); ok {
				for _, item := range list {
					form.Add(fmt.Sprint(k), value.Text(item))
				}
				continue
			}
			form.Add(fmt.Sprint(k), value.Text(v))
		}
		return []byte(form.Encode()), "application/x-www-form-urlencoded", nil
	case m.BodyFormat == "form-urlencoded":
		return []byte(value.Text(m.Body)), "application/x-www-form-urlencoded", nil
	}
	return []byte(value.Text(m.Body)), "", nil
}

// do makes the request by way of the host's connection.
func (m *URI) do(t *engine.Task, req *http.Request) (*http.Response, []byte, error) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return t.Conn.Dial(ctx, "tcp", addr)
		},
		DisableKeepAlives: true,
	}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(req.Context(), time.Duration(max(m.Timeout, 1))*time.Second)
	defer cancel()
	client := &http.Client{Transport: transport, CheckRedirect: m.redirect}
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	}
	return resp, body, err
}

func (m *URI) redirect(req *http.Request, via []*http.Request) error {
	safe := via[0].Method == http.MethodGet || via[0].Method == http.MethodHead
	switch follow := strings.ToLower(m.Follow); {
	case follow == "none", follow == "no", follow == "false", !safe && follow != "all" && follow != "yes" && follow != "true":
		return http.ErrUseLastResponse
	case len(via) >= 10:
		return errors.New("more than 10 redirections")
	}
	return nil
}

func (m *URI) result(resp *http.Response, body []byte) engine.Result {
	d := value.NewDict("url", resp.Request.URL.String(), "status", int64(resp.StatusCode), "redirected", resp.Request.URL.String() != m.URL,
		"cookies", value.NewDict(), "cookies_string", "")
	for k, v := range resp.Header {
		d.Set(strings.ReplaceAll(strings.ToLower(k), "-", "_"), text(strings.Join(v, ", ")))
	}
	for _, c := range resp.Cookies() {
		cookies, _ := d.Get("cookies")
		cookies.(*value.Dict).Set(c.Name, c.Value)
	}
	size := "unknown"
	if resp.ContentLength >= 0 {
		size = fmt.Sprint(resp.ContentLength)
	}
	r := engine.Result{Values: d, Msg: fmt.Sprintf("OK (%s bytes)", size)}
	good := false
	for _, c := range m.StatusCode {
		good = good || c == resp.StatusCode
	}
	if !good {
		r.Failed = true
		r.Msg = fmt.Sprintf("Status code was %d and not %v: %s", resp.StatusCode, m.StatusCode, resp.Status)
	}
	if m.ReturnContent || !good {
		d.Set("content", text(string(body)))
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && (strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json")) {
		if v, err := value.FromJSON(body); err == nil {
			d.Set("json", v)
		}
	}
	return r
}
