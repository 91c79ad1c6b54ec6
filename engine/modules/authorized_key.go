package modules

import (
	"context"
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
file=${path:-$home/.ssh/authorized_keys}
say path "$file"
old=$(cat "$file" 2>/dev/null)
new=$(printf '%s\n' "$old")
[ -z "$exclusive" ] || new=
while IFS= read -r line || [ -n "$line" ]; do
	[ -n "$line" ] || continue
	blob=$(printf %s "$line" | tr ' ' '\n' | grep -E '^AAAA' | head -n 1)
	[ -n "$blob" ] || die "not a public key: $line"
	if [ "$state" = absent ]; then new=$(printf '%s\n' "$new" | grep -vF -- "$blob")
	elif printf '%s\n' "$new" | grep -qxF -- "$line"; then :
	else new=$(printf '%s\n' "$new" | grep -vF -- "$blob"; printf '%s\n' "$line"); fi
done
new=$(printf '%s\n' "$new" | sed '/^$/d')
[ "$new" = "$(printf '%s\n' "$old" | sed '/^$/d')" ] && exit 0
say changed 1
[ -z "$check" ] || exit 0
dir=$(dirname "$file")
if [ -n "$manage" ]; then mkdir -p "$dir" && chmod 700 "$dir" && chown "$owner" "$dir" || exit; fi
tmp=$file.$$.farm
(umask 077; printf '%s\n' "$new" | sed '/^$/d' >"$tmp") && chown "$owner" "$tmp" && mv -f "$tmp" "$file"
`

// Validate checks what types cannot say.
func (m *authorizedKeyModule) Validate() error {
	if !accountName(m.User) {
		return errAccountName(m.User)
	}
	return oneOf("state", m.State, "present", "absent")
}

// Run edits the file.
func (m *authorizedKeyModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	var keys []string
	for line := range strings.Lines(m.Key) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if m.KeyOptions != "" {
			line = m.KeyOptions + " " + line
		}
		if m.Comment != "" {
			if f := strings.Fields(line); len(f) > 1 {
				line = strings.Join(f[:2], " ") + " " + m.Comment
			}
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
