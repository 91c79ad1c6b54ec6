package modules

import (
	"context"
	"errors"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// authorizedKeyModule manages the SSH keys that may log in as a user.
type authorizedKeyModule struct {
	// Name of the account.
	User string `yaml:"user,required"`
	// Public keys, one a line.
	Key string `yaml:"key,required"`
	// present or absent.
	State string `yaml:"state"`
	// File; default ~USER/.ssh/authorized_keys.
	Path string `yaml:"path"`
	// Make the folder and set its owner and mode.
	ManageDir bool `yaml:"manage_dir"`
	// Options put before the key.
	KeyOptions string `yaml:"key_options"`
	// Comment put behind it.
	Comment string `yaml:"comment"`
	// Remove all other keys.
	Exclusive bool `yaml:"exclusive"`
}

const authorizedKeyScript = `entry=$(getent passwd "$user" 2>/dev/null || grep "^$user:" /etc/passwd)
[ -n "$entry" ] || die "there is no user \"$user\""
home=$(printf %s "$entry" | cut -d : -f 6); owner=$(printf %s "$entry" | cut -d : -f 3,4)
if [ -n "$path" ]; then file=$(untilde "$path"); else file=$home/.ssh/authorized_keys; fi
say path "$file"
old=$(cat "$file" 2>/dev/null)
new=$old
[ -z "$exclusive" ] || new=
while IFS= read -r line || [ -n "$line" ]; do
	[ -n "$line" ] || continue
	blob=$(printf %s "$line" | tr ' ' '\n' | grep '^AAAA' | head -n 1)
	[ -n "$blob" ] || die "this is not a public key: $line"
	if [ "$state" = absent ]; then new=$(printf '%s\n' "$new" | grep -vF -- "$blob")
	elif ! printf '%s\n' "$new" | grep -qxF -- "$line"; then
		new=$(printf '%s\n' "$new" | grep -vF -- "$blob"; printf '%s\n' "$line")
	fi
done
new=$(printf '%s\n' "$new" | sed '/^$/d')
[ "$new" != "$(printf '%s\n' "$old" | sed '/^$/d')" ] || exit 0
say changed 1
[ -z "$check" ] || exit 0
dir=$(dirname "$file")
if [ -n "$manage" ]; then mkdir -p "$dir" && chmod 700 "$dir" && chown "$owner" "$dir" || exit; fi
file=$(readlink -f "$file" 2>/dev/null || printf %s "$file")
tmp=$(mktemp "$file.XXXXXX") || exit
trap 'rm -f "$tmp"' EXIT
printf '%s\n' "$new" | sed '/^$/d' >"$tmp" && chmod 600 "$tmp" && chown "$owner" "$tmp" && mv -f "$tmp" "$file"
`

// Validate checks what types cannot say.
func (m *authorizedKeyModule) Validate() error {
	if !accountName(m.User) {
		return errAccountName(m.User)
	}
	if strings.ContainsAny(m.KeyOptions+m.Comment, "\r\n") {
		return errors.New("key_options and comment are one line each")
	}
	return oneOf("state", m.State, "present", "absent")
}

// Run edits the file.
func (m *authorizedKeyModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	var keys []string
	for line := range strings.Lines(m.Key) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if m.Comment != "" {
			line = commented(line, m.Comment)
		}
		if m.KeyOptions != "" {
			line = m.KeyOptions + " " + line
		}
		keys = append(keys, line)
	}
	r, err := script{Text: authorizedKeyScript, Stdin: strings.NewReader(strings.Join(keys, "\n") + "\n"), Vars: map[string]string{
		"user": m.User, "state": m.State, "path": m.Path, "manage": flag(m.ManageDir), "exclusive": flag(m.Exclusive), "check": flag(t.Check),
	}}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure("authorized_key"), nil
	}
	return engine.Result{Changed: r.is("changed"), Values: value.NewDict("user", m.User, "key", m.Key, "keyfile", r.get("path"), "state", m.State)}, nil
}

// commented is a public key with another comment.
func commented(line, comment string) string {
	words := strings.Fields(line)
	for i, w := range words {
		if strings.HasPrefix(w, "AAAA") {
			return strings.Join(words[:i+1], " ") + " " + comment
		}
	}
	return line
}
