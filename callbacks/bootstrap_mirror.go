package callbacks

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"farm/engine"
)

// publicMirror is asked where neither the inventory nor the hypervisor names a mirror.
const publicMirror = "http://deb.debian.org/debian"

// ownMirror is the URL from which the hypervisor itself takes Debian's packages, with the
// login that it has there; publicMirror if it says none.
func ownMirror(ctx context.Context, im *engine.Image) (string, error) {
	out, err := im.Conn.Exec(ctx, engine.Cmd{Keep: 64 << 10, Argv: []string{"apt-get", "indextargets",
		"--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Label: Debian"}})
	var exit *engine.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("ask apt for its mirror: %w", err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out.Stdout)), "\n")
	if err != nil || line == "" {
		return publicMirror, nil
	}
	return line, nil
}

// setMirror checks the URL of a mirror and parts it from the login in it: the URL goes on
// command lines and into everybody's files, the login into a file for root alone.
func (r *recipe) setMirror(mirror string) error {
	u, err := url.Parse(mirror)
	if err != nil { // without the cause: it quotes the login
		return fmt.Errorf("mirror %q: it is no URL; want one such as %s", withoutLogin(mirror), publicMirror)
	}
	r.mirrorLogin = ""
	if u.User != nil {
		if r.mirrorLogin, err = aptLogin(u); err != nil {
			return fmt.Errorf("mirror %q: %w", withoutLogin(mirror), err)
		}
		u.User = nil
		mirror = u.String()
	}
	if u.Scheme == "" || strings.ContainsAny(mirror, " '\"\\\n\t`$@") {
		return fmt.Errorf("mirror %q: want a URL such as %s", withoutLogin(mirror), publicMirror)
	}
	r.mirror = mirror
	return nil
}

// aptLogin is the login of a URL as apt_auth.conf(5) has it: words that are parted by spaces
// and cannot be quoted.
func aptLogin(u *url.URL) (string, error) {
	password, _ := u.User.Password()
	for _, word := range []string{u.User.Username(), password} {
		if word == "" || strings.ContainsFunc(word, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }) {
			return "", errors.New("apt takes a name and a password in it, neither with spaces")
		}
	}
	place := strings.TrimSuffix(u.Scheme+"://"+u.Host+u.EscapedPath(), "/")
	return fmt.Sprintf("machine %s\nlogin %s\npassword %s\n", place, u.User.Username(), password), nil
}

// userInfo is the login in a URL: passwords may hold slashes, as people write them.
var userInfo = regexp.MustCompile(`://[^\s"']*@`)

// withoutLogin takes the logins out of the URLs in text.
func withoutLogin(text string) string { return userInfo.ReplaceAllString(text, "://") }
