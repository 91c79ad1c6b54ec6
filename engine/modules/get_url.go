package modules

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// GetURL downloads a file into the guest with the guest's curl or wget.
type GetURL struct {
	URL       string            `yaml:"url,required"`          // http, https, ftp or file
	Dest      string            `yaml:"dest,required"`         // the file, or a folder to put it into
	Checksum  string            `yaml:"checksum"`              // "sha256:HEX", or sha256: and the URL of a list; a file that has it already is not fetched
	Force     bool              `yaml:"force|thirsty"`         // fetch even if the file is there
	Backup    bool              `yaml:"backup"`                // keep the old file beside it
	Mode      any               `yaml:"mode"`                  // '0644' or 'u=rw,go=r'
	Owner     string            `yaml:"owner"`                 // name or number
	Group     string            `yaml:"group"`                 // name or number
	Timeout   int               `yaml:"timeout"`               // seconds to connect, and without a byte
	Headers   map[string]string `yaml:"headers"`               // of the request
	Username  string            `yaml:"url_username|username"` // for HTTP basic authentication
	Password  string            `yaml:"url_password|password"` // for HTTP basic authentication
	BasicAuth bool              `yaml:"force_basic_auth"`      // accepted
	Agent     string            `yaml:"http_agent"`            // User-Agent
	Certs     bool              `yaml:"validate_certs"`        // true; false trusts any server
	UseProxy  bool              `yaml:"use_proxy"`             // accepted: the guest's environment decides
	TmpDest   string            `yaml:"tmp_dest"`              // accepted: the new file is made beside the old one
}

func newGetURL() engine.Module {
	return &GetURL{Timeout: 10, Certs: true, UseProxy: true, Agent: "farm"}
}

var checksumForm = regexp.MustCompile(`^(md5|sha1|sha224|sha256|sha384|sha512):([0-9A-Fa-f]{32,128})$`)

// checksumList is a checksum that a published list has.
var checksumList = regexp.MustCompile(`^(md5|sha1|sha224|sha256|sha384|sha512):((?:https?|ftp|file)://\S+)$`)

// Validate checks the URL and the checksum.
func (m *GetURL) Validate() error {
	u, err := url.Parse(m.URL)
	if err != nil || u.Scheme == "" {
		return fmt.Errorf("%q is no URL", m.URL)
	}
	if m.Checksum != "" && !checksumForm.MatchString(m.Checksum) && !checksumList.MatchString(m.Checksum) {
		return fmt.Errorf("checksum %q: it is written sha256:HEX, or sha256:URL of a list", m.Checksum)
	}
	for k, v := range m.Headers {
		if strings.ContainsAny(k+v, "\r\n") {
			return errors.New("a header is one line")
		}
	}
	_, err = modeText(m.Mode)
	return err
}

// curlConfig is a configuration for curl(1): headers and passwords come on its standard
// input, since a command line can be read by everybody on the host.
func curlConfig(headers map[string]string, user, password, agent string) string {
	var b strings.Builder
	set := func(name, v string) {
		v = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(v)
		fmt.Fprintf(&b, "%s = \"%s\"\n", name, v)
	}
	for _, k := range value.From(headers).(*value.Dict).Keys() {
		set("header", k+": "+headers[k])
	}
	if user != "" {
		set("user", user+":"+password)
	}
	if agent != "" {
		set("user-agent", agent)
	}
	return b.String()
}

const getURLScript = fileFuncs + `
changed=
dest=$(untilde "$dest")
if [ -d "$dest" ]; then dest=${dest%/}/$name; folder=1; fi
case $dest in */*) ;; *) dest=./$dest ;; esac
[ -d "${dest%/*}/" ] || die "the folder ${dest%/*} does not exist"
conf=$(cat)
fetch() { # URL FILE
	farm_u=$1
	if has curl; then
		set -- -fsSL --connect-timeout "$timeout" --speed-limit 1 --speed-time "$timeout" -K - -o "$2" -w '%{http_code}'
		[ -n "$certs" ] || set -- "$@" -k
		code=$(printf '%s\n' "$conf" | curl "$@" -- "$farm_u") || exit
	elif has wget; then
		[ -z "$secret" ] || die "headers and passwords need curl on this host; there is only wget"
		set -- -q -T "$timeout" -O "$2"
		[ -n "$certs" ] || set -- "$@" --no-check-certificate
		wget "$@" -- "$farm_u" </dev/null >&2 || { code=$?; die "wget cannot fetch $farm_u (status $code)"; }
		code=200
	else die "neither curl nor wget is installed on this host"; fi
}
if [ -n "$sums" ]; then # lines of a checksum and a name; or a checksum alone
	list=$(mktemp "${TMPDIR:-/tmp}/farm.XXXXXXXX") || exit
	trap 'rm -f -- "$list"' EXIT
	fetch "$sums" "$list"
	lines=0 alone=
	while read -r farm_h farm_f || [ -n "$farm_h" ]; do
		lines=$((lines + 1)) farm_f=${farm_f#[*]}
		if [ -z "$farm_f" ]; then alone=$farm_h; fi
		if [ "${farm_f#./}" = "$name" ]; then want=$farm_h; break; fi
	done <"$list"
	if [ -z "$want" ] && [ $lines = 1 ]; then want=$alone; fi
	[ -n "$want" ] || die "$sums has no checksum of $name"
	want=$(printf %s "$want" | tr A-F a-f)
	rm -f -- "$list"
	trap - EXIT
fi
old=
if [ -f "$dest" ]; then
	if [ -n "$want" ]; then
		if [ "$(sum "$algorithm" "$dest")" = "$want" ]; then attrs "$dest"; report "$dest"; say checksum "$(sum sha1 "$dest")"; say exists 1; exit; fi
	elif [ -z "$force$folder$local" ]; then attrs "$dest"; report "$dest"; say checksum "$(sum sha1 "$dest")"; say code 304; exit; fi
	old=$(sum sha1 "$dest")
	say old "$old"
fi
if [ -n "$check" ]; then say changed 1; say path "$dest"; exit; fi
tmp=${dest%/*}/.${dest##*/}.farm-$token
trap 'rm -f -- "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
if [ -f "$dest" ]; then cp -p -- "$dest" "$tmp" || exit; else (umask 077; : >"$tmp") || exit; fi
chmod u+w "$tmp"
fetch "$url" "$tmp"
say code "$code"
if [ -n "$want" ]; then
	got=$(sum "$algorithm" "$tmp") || exit
	[ "$got" = "$want" ] || die "the $algorithm checksum of $url is $got, not $want"
fi
new=$(sum sha1 "$tmp") || exit
if [ "$new" != "$old" ]; then
	changed=1
	if [ -f "$dest" ]; then
		if [ -n "$backup" ]; then cp -p -- "$dest" "$dest$backup" || exit; say backup "$dest$backup"; fi
	else chmod =rw "$tmp"; fi
	attrs "$tmp"
	mv -f -- "$tmp" "$dest" || exit
fi
attrs "$dest"
say checksum "$new"
say md5 "$(sum md5 "$dest")"
report "$dest"
`

// Run downloads.
func (m *GetURL) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("get_url: %v", err), nil
	}
	mode, _ := modeText(m.Mode)
	vars := map[string]string{"url": m.URL, "dest": m.Dest, "name": nameOfURL(m.URL), "folder": "", "local": flag(strings.HasPrefix(m.URL, "file:")), "force": flag(m.Force), "want": "", "algorithm": "", "sums": "",
		"mode": mode, "owner": m.Owner, "group": m.Group, "check": flag(t.Check), "token": token(), "timeout": strconv.Itoa(max(m.Timeout, 1)),
		"certs": flag(m.Certs), "secret": flag(m.Username != "" || len(m.Headers) > 0), "backup": ""}
	if c := checksumForm.FindStringSubmatch(m.Checksum); c != nil {
		vars["algorithm"], vars["want"] = c[1], strings.ToLower(c[2])
	}
	if c := checksumList.FindStringSubmatch(m.Checksum); c != nil {
		vars["algorithm"], vars["sums"] = c[1], c[2]
	}
	if m.Backup {
		vars["backup"] = backupSuffix()
	}
	began := time.Now()
	r, err := script{Text: getURLScript, Vars: vars, Stdin: strings.NewReader(curlConfig(m.Headers, m.Username, m.Password, m.Agent))}.run(ctx, t)
	if err != nil {
		return engine.Result{}, err
	}
	if !r.ok() {
		res := r.failure(fmt.Sprintf("fetch %q", m.URL))
		res.Values.Set("url", m.URL)
		res.Values.Set("dest", m.Dest)
		return res, nil
	}
	d := value.NewDict("url", m.URL, "dest", text(r.get("path")), "elapsed", int64(time.Since(began)/time.Second))
	d.Set("status_code", nil) // file:// has none
	if code := r.number("code", 10); code != 0 {
		d.Set("status_code", code)
	}
	fileValues(r, d)
	if sum := r.get("md5"); sum != "" {
		size, _ := d.Get("size")
		d.Set("md5sum", sum)
		d.Set("msg", fmt.Sprintf("OK (%v bytes)", size))
	}
	if sum := r.get("checksum"); sum != "" {
		d.Set("checksum_dest", nil)
		if old := r.get("old"); old != "" {
			d.Set("checksum_dest", old)
		}
		d.Set("checksum_src", sum)
	}
	if r.is("exists") { // nothing was asked for
		d.Delete("status_code")
		d.Set("checksum_src", nil)
		d.Set("msg", "file already exists")
	}
	if saved := r.get("backup"); saved != "" {
		d.Set("backup_file", text(saved))
	}
	return engine.Result{Changed: r.is("changed"), Values: d}, nil
}

// nameOfURL is the name that a download gets in a folder.
func nameOfURL(s string) string {
	if u, err := url.Parse(s); err == nil {
		if name := u.Path[strings.LastIndexByte(u.Path, '/')+1:]; name != "" && name != "." && name != ".." {
			return name
		}
	}
	return "index.html"
}
