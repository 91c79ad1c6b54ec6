package modules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// aptKeyModule adds keys to those that apt trusts, and takes them out. It reads and writes the keyrings itself: neither
// gpg nor apt-key is needed.
type aptKeyModule struct {
	// Id of the key, in 8, 16 or 40 hex digits; a key that is there is not read again. Default that of the first key that is read.
	ID string `yaml:"id"`
	// The key itself, in ASCII armour.
	Data string `yaml:"data"`
	// File of the host that holds it.
	File string `yaml:"file"`
	// URL of it; the host's curl or wget fetches it.
	URL string `yaml:"url"`
	// Server to ask for the id: a name, or an URL of hkp, hkps, http or https.
	Keyserver string `yaml:"keyserver"`
	// Keyring file; default all that apt has. There a new key goes to trusted.gpg, or to trusted.gpg.d/apt_key.gpg where apt has no apt-key.
	Keyring string `yaml:"keyring"`
	// present or absent.
	State string `yaml:"state"`
	// false trusts any server.
	Certs bool `yaml:"validate_certs"`
}

// Each keyring comes as SIZE PATH, a newline, and its content.
const keyringsScript = `new=$keyring
if [ -n "$keyring" ]; then set -- "$(untilde "$keyring")"
else
	has apt-config || die 'the program "apt-config" is missing on this host: apt_key is for Debian and its kin'
	eval "$(apt-config shell trusted Dir::Etc::trusted/f parts Dir::Etc::trustedparts/d)"
	parts=${parts%/}
	set -- "$trusted" "$parts"/*
	new=$trusted
	has apt-key || new=$parts/apt_key.gpg
fi
say new "$new"
for f; do
	case ${keyring:-$f} in
	"$trusted" | "$keyring" | *.gpg | *.asc) [ -f "$f" ] || continue ;;
	*) continue ;;
	esac
	size=$(wc -c <"$f") || exit
	printf '%s %s\n' $size "$f"
	cat <"$f" || exit
done
`

const fetchKeyScript = `if [ -n "$file" ]; then exec cat <"$(untilde "$file")"; fi
if has curl; then exec curl -fsSL --connect-timeout 20 --max-time 120 ${insecure:+-k} -- "$url"
elif has wget; then exec wget -q -T 20 -O - ${insecure:+--no-check-certificate} -- "$url"
else die "neither curl nor wget is installed on this host"; fi
`

var keyID = regexp.MustCompile(`^(?:0[xX])?([0-9A-Fa-f]{8}|[0-9A-Fa-f]{16,40})$`)

// Validate checks what goes together.
func (m *aptKeyModule) Validate() error {
	n := 0
	for _, s := range []string{m.Data, m.File, m.URL, m.Keyserver} {
		if s != "" {
			n++
		}
	}
	switch {
	case n > 1:
		return errors.New("data, file, url and keyserver exclude each other")
	case m.ID != "" && !keyID.MatchString(m.ID):
		return fmt.Errorf("id: %q is no id of a key: those have 8, or 16 to 40 hex digits", m.ID)
	case m.ID == "" && m.Keyserver != "":
		return errors.New("id is missing: a keyserver is asked for it")
	case m.ID == "" && n == 0:
		return errors.New("id is missing, or one of data, file and url")
	}
	if m.Keyserver != "" {
		if _, err := keyserverURL(m.Keyserver, m.ID); err != nil {
			return err
		}
	}
	return oneOf("state", m.State, "present", "absent")
}

// keyserverURL is where a server has a key. https://datatracker.ietf.org/doc/html/draft-shaw-openpgp-hkp-00
func keyserverURL(server, id string) (string, error) {
	scheme, host, ok := strings.Cut(server, "://")
	if !ok {
		scheme, host = "hkps", server
	}
	host = strings.TrimRight(host, "/")
	switch scheme {
	case "hkps":
		scheme = "https"
	case "hkp":
		scheme = "http"
		if !strings.Contains(host, ":") {
			host += ":11371"
		}
	case "http", "https":
	default:
		return "", fmt.Errorf("keyserver: %q is none: known are hkp, hkps, http and https", server)
	}
	return scheme + "://" + host + "/pks/lookup?op=get&options=mr&search=0x" + bareID(id), nil
}

// bareID is an id in upper case, without 0x.
func bareID(id string) string { return strings.ToUpper(keyID.FindStringSubmatch(id)[1]) }

// keyring is a file of keys.
type keyring struct {
	path string
	keys []pgpKey
}

// content is the file: text, if its name says so.
func (k keyring) content() []byte {
	var b []byte
	for _, key := range k.keys {
		b = append(b, key.packets...)
	}
	if strings.HasSuffix(k.path, ".asc") {
		return armour(b)
	}
	return b
}

// keyrings are those that apt trusts, or one.
type keyrings struct {
	files []*keyring
	fresh string // file for a new key
}

// ids lists the ids of keys and subkeys, without those that have expired; short ones have 8 digits.
func (k keyrings) ids(short bool) []any {
	list := []any{}
	now := time.Now()
	for _, f := range k.files {
		for _, key := range f.keys {
			if key.expired(now) {
				continue
			}
			for _, id := range key.ids() {
				if short {
					id = id[8:]
				}
				list = append(list, id)
			}
		}
	}
	return list
}

func readKeyrings(ctx context.Context, t *engine.Task, only string) (k keyrings, bad engine.Result, err error) {
	r, err := script{Text: keyringsScript, Keep: maxSlurp, Vars: map[string]string{"keyring": only}}.run(ctx, t)
	if err != nil {
		return k, engine.Result{}, err
	}
	if !r.ok() {
		r.Stdout = nil
		return k, r.failure("apt_key"), nil
	}
	k.fresh = r.get("new")
	for out := r.Stdout; len(out) > 0; {
		head, rest, _ := bytes.Cut(out, []byte("\n"))
		size, name, ok := strings.Cut(string(head), " ")
		n, err := strconv.Atoi(size)
		if !ok || err != nil || n < 0 || n > len(rest) {
			return k, failed("apt_key: the keyrings changed while they were read"), nil
		}
		keys, err := parseKeys(rest[:n])
		if err != nil {
			return k, failed("apt_key: the keyring %q: %v", name, err), nil
		}
		k.files = append(k.files, &keyring{name, keys})
		out = rest[n:]
	}
	return k, engine.Result{}, nil
}

// add puts the keys where they are already, or into the file for new ones. It returns the files that change.
func (k *keyrings) add(keys []pgpKey) (changed []*keyring) {
	for _, key := range keys {
		found := false
		for _, f := range k.files {
			for i := range f.keys {
				if f.keys[i].fingerprints[0] == key.fingerprints[0] {
					found, f.keys[i] = true, key
					changed = append(changed, f)
				}
			}
		}
		if found {
			continue
		}
		i := slices.IndexFunc(k.files, func(f *keyring) bool { return f.path == k.fresh })
		if i < 0 {
			k.files = slices.Insert(k.files, 0, &keyring{path: k.fresh})
			i = 0
		}
		k.files[i].keys = append(k.files[i].keys, key)
		changed = append(changed, k.files[i])
	}
	return changed
}

// drop takes the key with that id out of all files.
func (k *keyrings) drop(id string) (changed []*keyring, err error) {
	for _, f := range k.files {
		n := len(f.keys)
		f.keys = slices.DeleteFunc(f.keys, func(key pgpKey) bool {
			for _, sub := range key.fingerprints[1:] {
				if strings.HasSuffix(sub, id) {
					err = fmt.Errorf("%s is a subkey; give the id of its key, %s", id, key.ids()[0])
				}
			}
			return strings.HasSuffix(key.fingerprints[0], id)
		})
		if len(f.keys) < n {
			changed = append(changed, f)
		}
	}
	return changed, err
}

// write writes files; one without keys is removed.
func writeKeyrings(ctx context.Context, t *engine.Task, files []*keyring) (engine.Result, error) {
	quiet := *t
	quiet.Diff = false // keys are no text
	for _, f := range files {
		if len(f.keys) == 0 {
			r, err := run(ctx, t, `rm -f -- "$file"`, map[string]string{"file": f.path})
			if err != nil || !r.ok() {
				return r.failure("apt_key"), err
			}
			continue
		}
		p := putting{dest: f.path, follow: true, parents: "-"}
		p.content(f.content())
		p.mode = newMode
		if res, err := p.put(ctx, &quiet); err != nil || res.Failed {
			return res, err
		}
	}
	return engine.Result{}, nil
}

// fetchKeys reads keys from a file of the host or from a URL.
func fetchKeys(ctx context.Context, t *engine.Task, file, url string, certs bool) (keys []pgpKey, bad engine.Result, err error) {
	b, bad, err := fetchBytes(ctx, t, file, url, certs)
	if err != nil || bad.Failed {
		return nil, bad, err
	}
	if keys, err = parseKeys(b); err == nil && len(keys) == 0 {
		err = errNoKey
	}
	if err != nil {
		return nil, failed("read a key from %s: %v", either(url == "", strconv.Quote(file), "the inline data of "+strconv.Quote(url)), err), nil
	}
	return keys, bad, nil
}

func fetchBytes(ctx context.Context, t *engine.Task, file, url string, certs bool) (b []byte, bad engine.Result, err error) {
	content := &bounded{left: maxSlurp}
	r, err := script{Text: fetchKeyScript, Stdout: io.Writer(content), Keep: 4 << 10, Vars: map[string]string{"file": file, "url": url, "insecure": flag(!certs)}}.run(ctx, t)
	if err != nil {
		return nil, engine.Result{}, err
	}
	if !r.ok() {
		r.Stdout = nil
		return nil, r.failure(fmt.Sprintf("fetch %q", file+url)), nil
	}
	return content.Bytes(), engine.Result{}, nil
}

// read is the keys that the arguments name.
func (m *aptKeyModule) read(ctx context.Context, t *engine.Task) (keys []pgpKey, bad engine.Result, err error) {
	switch {
	case m.Data != "":
		if keys, err = parseKeys([]byte(m.Data)); err == nil && len(keys) == 0 {
			err = errNoKey
		}
		if err != nil {
			return nil, failed("apt_key: read a key from the inline data: %v", err), nil
		}
		return keys, bad, nil
	case m.Keyserver != "":
		url, _ := keyserverURL(m.Keyserver, m.ID) // Validate has seen its error
		return fetchKeys(ctx, t, "", url, m.Certs)
	case m.File != "" || m.URL != "":
		return fetchKeys(ctx, t, m.File, m.URL, m.Certs)
	}
	return nil, failed("apt_key: the key %q is not there; data, file, url or keyserver say where it is", m.ID), nil
}

// Run adds or removes.
func (m *aptKeyModule) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("%v", err), nil
	}
	var keys []pgpKey
	told := m.ID
	if told == "" {
		var bad engine.Result
		var err error
		if keys, bad, err = m.read(ctx, t); err != nil || bad.Failed {
			return bad, err
		}
		told = keys[0].ids()[0]
	}
	id := bareID(told)
	fp := id[max(0, len(id)-16):]
	rings, bad, err := readKeyrings(ctx, t, m.Keyring)
	if err != nil || bad.Failed {
		return bad, err
	}
	short := len(id) == 8
	before := rings.ids(short)
	res := engine.Result{Values: value.NewDict("id", told, "short_id", id[len(id)-8:], "fp", fp, "key_id", id, "before", before)}
	var files []*keyring
	if m.State == "absent" {
		if files, err = rings.drop(fp); err != nil {
			return failed("apt_key: %v", err), nil
		}
		res.Changed = len(files) > 0
	} else if res.Changed = !slices.Contains(before, any(fp)); res.Changed && (keys != nil || !t.Check) {
		if keys == nil {
			if keys, bad, err = m.read(ctx, t); err != nil || bad.Failed {
				return bad, err
			}
		}
		files = rings.add(keys)
		if !slices.Contains(rings.ids(short), any(fp)) {
			return failed("apt_key: the key that was read is not %q, or has expired", told), nil
		}
	}
	if !res.Changed || t.Check {
		return res, nil
	}
	if bad, err := writeKeyrings(ctx, t, files); err != nil || bad.Failed {
		return bad, err
	}
	res.Values.Set("after", rings.ids(short))
	return res, nil
}

// ppaKey has apt trust the key of a PPA, which Launchpad names.
func (m *aptRepositoryModule) ppaKey(ctx context.Context, t *engine.Task) (engine.Result, error) {
	p := ppaName.FindStringSubmatch(m.Repo)
	b, bad, err := fetchBytes(ctx, t, "", "https://launchpad.net/api/1.0/~"+p[1]+"/+archive/"+ppaArchive(p), m.Certs)
	if err != nil || bad.Failed {
		return bad, err
	}
	v, _ := value.FromJSON(b)
	d, _ := v.(*value.Dict)
	if d == nil {
		d = value.NewDict()
	}
	f, _ := d.Get("signing_key_fingerprint")
	if !keyID.MatchString(value.Text(f)) {
		return failed("apt_repository: Launchpad names no key of %q", m.Repo), nil
	}
	key := aptKeyModule{ID: value.Text(f), Keyserver: "keyserver.ubuntu.com", State: "present", Certs: m.Certs}
	return key.Run(ctx, t)
}
