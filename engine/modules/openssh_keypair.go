package modules

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"farm/engine"
	"farm/inventory/value"
)

// OpensshKeypair makes an SSH key with the guest's ssh-keygen.
type OpensshKeypair struct {
	Path        string  `yaml:"path,required"`      // the private key; the public one is PATH.pub
	State       string  `yaml:"state"`              // present (the default) or absent
	Type        string  `yaml:"type"`               // rsa (the default), ed25519, ecdsa, dsa, rsa1
	Size        int     `yaml:"size"`               // bits; ssh-keygen's default by default, 4096 for rsa
	Comment     *string `yaml:"comment"`            // of the public key
	Force       bool    `yaml:"force"`              // make a new key where one of another kind is
	Regenerate  string  `yaml:"regenerate"`         // partial_idempotence (the default), never, fail, full_idempotence, always
	Passphrase  string  `yaml:"passphrase"`         // of the private key
	Mode        any     `yaml:"mode"`               // of the private key; '0600' by default
	Owner       string  `yaml:"owner"`              // name or number
	Group       string  `yaml:"group"`              // name or number
	Backend     string  `yaml:"backend"`            // accepted: it is always ssh-keygen
	PrivateForm string  `yaml:"private_key_format"` // accepted: it is OpenSSH's own

}

func newOpensshKeypair() engine.Module {
	return &OpensshKeypair{State: "present", Type: "rsa", Regenerate: "partial_idempotence"}
}

// Validate checks the words.
func (m *OpensshKeypair) Validate() error {
	if m.State != "present" && m.State != "absent" {
		return fmt.Errorf("state %q is neither present nor absent", m.State)
	}
	switch m.Type {
	case "rsa", "ed25519", "ecdsa", "dsa":
	default:
		return fmt.Errorf("type %q is none of rsa, ed25519, ecdsa, dsa", m.Type)
	}
	switch m.Regenerate {
	case "never", "fail", "partial_idempotence", "full_idempotence", "always":
	default:
		return fmt.Errorf("regenerate %q is none of never, fail, partial_idempotence, full_idempotence, always", m.Regenerate)
	}
	_, err := modeText(m.Mode)
	return err
}

const keypairScript = fileFuncs + `
changed=
path=$(untilde "$path")
case $path in */*) ;; *) path=./$path ;; esac
if [ "$state" = absent ]; then
	for f in "$path" "$path.pub"; do
		if [ -e "$f" ] || [ -L "$f" ]; then changed=1; [ -n "$check" ] || rm -f -- "$f" || exit; fi
	done
	say changed "$changed"; say path "$path"
	exit
fi
need ssh-keygen
[ -d "${path%/*}/" ] || die "the folder ${path%/*} does not exist"
[ ! -d "$path" ] || die "$path is a folder"
fingerprint() { ssh-keygen -lf "$path.pub" 2>/dev/null || ssh-keygen -lf "$path" </dev/null 2>/dev/null; }
make=
if [ ! -f "$path" ]; then make=1
elif [ "$regenerate" = always ] || [ -n "$force" ]; then make=1
else
	has=$(fingerprint)
	if [ -z "$has" ] || ! ssh-keygen -y -P "" -f "$path" </dev/null >/dev/null 2>&1; then
		case $regenerate in
		never) ;;
		full_idempotence) make=1 ;;
		*) die "$path is no key that can be read; force: true replaces it" ;;
		esac
	else
		is=$(printf %s "$has" | sed 's/.*(\(.*\))$/\1/' | tr A-Z a-z)
		bits=${has%% *}
		if [ "$is" != "$type" ] || { [ -n "$size" ] && [ "$type" != ed25519 ] && [ "$bits" != "$size" ]; }; then
			case $regenerate in
			never) ;;
			fail) die "$path is a key of $bits bits of type $is; force: true replaces it" ;;
			*) make=1 ;;
			esac
		fi
	fi
fi
if [ -n "$make" ]; then
	changed=1
	if [ -n "$check" ]; then say changed 1; say path "$path"; exit; fi
	new=$path.farm-$token
	trap 'rm -f -- "$new" "$new.pub"' EXIT
	set -- -q -t "$type" -N "" -C "$comment" -f "$new"
	if [ "$type" != ed25519 ] && [ -n "${size:-$rsa}" ]; then set -- -b "${size:-$rsa}" "$@"; fi
	ssh-keygen "$@" </dev/null >&2 || exit
	mv -f -- "$new" "$path" && mv -f -- "$new.pub" "$path.pub" || exit
elif [ ! -f "$path.pub" ]; then
	changed=1
	if [ -z "$check" ]; then
		line=$(ssh-keygen -y -P "" -f "$path" </dev/null) || exit
		if [ -n "$comment" ]; then line="$(printf %s "$line" | cut -d ' ' -f 1,2) $comment"; fi
		(umask 022; printf '%s\n' "$line" >"$path.pub") || exit
	fi
fi
attrs "$path"
report "$path"
say fingerprint "$(fingerprint)"
say public "$(cat <"$path.pub" 2>/dev/null)"
`

// Run makes the key, or removes it.
func (m *OpensshKeypair) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("openssh_keypair: %v", err), nil
	}
	if m.Passphrase != "" {
		return failed("openssh_keypair: a passphrase would show on ssh-keygen's command line; it is not supported"), nil
	}
	mode, _ := modeText(m.Mode)
	vars := map[string]string{"path": m.Path, "state": m.State, "type": m.Type, "size": "", "rsa": "", "force": flag(m.Force),
		"regenerate": m.Regenerate, "mode": mode, "owner": m.Owner, "group": m.Group, "check": flag(t.Check), "token": token(), "comment": ""}
	if m.Size > 0 {
		vars["size"] = strconv.Itoa(m.Size)
	} else if m.Type == "rsa" {
		vars["rsa"] = "4096"
	}
	if m.Comment != nil {
		vars["comment"] = *m.Comment
	}
	r, err := run(ctx, t, keypairScript, vars)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		return r.failure(fmt.Sprintf("make the key %q", m.Path)), nil
	}
	d := value.NewDict("filename", text(r.get("path")), "type", m.Type, "size", int64(m.Size))
	if p := strings.Fields(r.get("fingerprint")); len(p) >= 3 {
		if bits, err := strconv.ParseInt(p[0], 10, 64); err == nil {
			d.Set("size", bits)
		}
		d.Set("fingerprint", p[1])
		d.Set("type", strings.ToLower(strings.Trim(p[len(p)-1], "()")))
	}
	if words := strings.Fields(text(r.get("public"))); len(words) >= 2 {
		d.Set("public_key", words[0]+" "+words[1])
		d.Set("comment", strings.Join(words[2:], " "))
	}
	return engine.Result{Changed: r.is("changed"), Values: d}, nil
}
