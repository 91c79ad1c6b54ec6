package modules

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newAptSources has an apt whose files are in the folder etc.
func newAptSources(t *testing.T, programs map[string]string) *system {
	all := map[string]string{"apt-config": `shift
for a; do case $a in
Dir::Etc::sourcelist/f) echo "$v='$ETC/sources.list'" ;; Dir::Etc::sourceparts/d) echo "$v='$ETC/sources.list.d/'" ;;
Dir::Etc::trusted/f) echo "$v='$ETC/trusted.gpg'" ;; Dir::Etc::trustedparts/d) echo "$v='$ETC/trusted.gpg.d/'" ;;
*) v=$a ;;
esac; done`, "apt-get": `[ ! -e broken ] || { echo "E: no network" >&2; exit 100; }
[ ! -e missing ] || echo "W: Failed to fetch http://b/Release"`, "apt-key": "exit 1", "sleep": ":"}
	for k, v := range programs {
		all[k] = v
	}
	s := newSystem(t, all)
	s.task.Env["ETC"] = s.dir + "/etc"
	return s
}

func TestAptRepository(t *testing.T) {
	s := newAptSources(t, nil)
	const main = "deb http://a.example.org/debian x main"
	s.write("etc/sources.list", "# mine\n\n"+main+"\n#deb   http://a.example.org/debian  off main # why\n")
	s.write("etc/sources.list.d/other.sources", "Types: deb\n")
	s.check("apt_repository", "repo: '"+main+"'", "ok")
	s.called("apt-get")
	r := s.cycle("apt_repository", "repo: 'deb [arch=amd64  signed-by=/k] https://u:p@b.example.org:80/x-y/ y  main contrib'")
	s.called("apt-get", "apt-get -q -y update")
	s.values(r, "state", "present")
	s.holds("etc/sources.list.d/b_example_org_80_x_y.list", "deb [arch=amd64 signed-by=/k] https://u:p@b.example.org:80/x-y/ y main contrib\n", 0o644)
	s.cycle("apt_repository", "{repo: deb http://a.example.org/debian off main, update_cache: no}")
	s.holds("etc/sources.list", "# mine\n\n"+main+"\ndeb http://a.example.org/debian off main # why\n", 0)
	s.cycle("apt_repository", "{repo: 'deb-src http://c y main', filename: c, mode: '0600'}")
	s.holds("etc/sources.list.d/c.list", "deb-src http://c y main\n", 0o600)
	s.cycle("apt_repository", "{repo: 'deb http://c y main', filename: c}")
	s.cycle("apt_repository", "{repo: 'deb http://d y main', filename: DIR/d}")
	s.holds("d.list", "deb http://d y main\n", 0)
	s.cycle("apt_repository", "{repo: 'deb-src http://c y main', state: absent}")
	s.cycle("apt_repository", "{repo: 'deb http://c y main', state: absent}")
	s.only("etc/sources.list.d", "b_example_org_80_x_y.list", "other.sources")
	s.cycle("apt_repository", "{repo: '"+main+"', state: absent}")
	s.holds("etc/sources.list", "# mine\n\ndeb http://a.example.org/debian off main # why\n", 0)
}

func TestAptRepositoryUndoesWhatAptCannotRead(t *testing.T) {
	s := newAptSources(t, nil)
	s.write("etc/sources.list", "deb http://a x main")
	s.write("etc/sources.list.d/a.list", "deb http://a x contrib\n")
	s.keep("broken", "")
	before := s.snapshot()
	for _, args := range []string{"repo: deb http://b x main", "{repo: deb http://a x contrib, state: absent}", "{repo: deb http://c x main, filename: DIR/etc/sources}"} {
		s.fails("apt_repository", args, 1, "no network")
		if after := s.snapshot(); after != before {
			t.Errorf("%s left\n%s", args, after)
		}
	}
	os.Remove(s.state + "/broken")
	os.Remove(s.state + "/calls")
	s.keep("missing", "")
	s.fails("apt_repository", "{repo: deb http://b x main, update_cache_retry_max_delay: 3}", 1, "Failed to fetch")
	s.called("sleep", "sleep 1", "sleep 2", "sleep 3", "sleep 3")
}

func TestAptRepositoryRefuses(t *testing.T) {
	s := newAptSources(t, nil)
	for args, part := range map[string]string{
		"repo: ''":                              "repo is empty",
		"repo: http://a x main":                 "is no source",
		"repo: '#deb http://a x main'":          "is no source",
		"repo: 'ppa:../x'":                      "is no PPA",
		"{repo: deb http://a x y, state: gone}": "state",
		"{repo: deb http://a x y, mode: rwx}":   "mode",
	} {
		s.fails("apt_repository", args, 0, part)
	}
	s.alone("cat")
	os.Remove(filepath.Join(strings.Split(s.task.Env["PATH"], ":")[0], "apt-config"))
	s.fails("apt_repository", "repo: deb http://a x y", 1, "Debian and its kin")
}

// A PPA's key is that which Launchpad names; both come by curl.
func TestAptRepositoryOfAPPA(t *testing.T) {
	s := newAptSources(t, map[string]string{"curl": `for u; do :; done
case $u in
https://launchpad.net/api/1.0/~one/+archive/two) echo '{"signing_key_fingerprint": "33CF193F328C623151DF998B95EC77250BB675B5"}' ;;
"https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x33CF193F328C623151DF998B95EC77250BB675B5") cat one.asc ;;
*) exit 22 ;;
esac`})
	key, err := os.ReadFile("testdata/keys/one.asc")
	if err != nil {
		t.Fatal(err)
	}
	s.keep("one.asc", string(key))
	s.write("etc/sources.list", "")
	s.cycle("apt_repository", "{repo: 'ppa:one/two', codename: noble}")
	s.holds("etc/sources.list.d/ppa_one_two_noble.list", "deb http://ppa.launchpad.net/one/two/ubuntu noble main\n", 0)
	s.check("apt_key", "id: 95EC77250BB675B5", "ok")
	s.cycle("apt_repository", "{repo: 'ppa:one/two', codename: noble, state: absent}")
	s.fails("apt_repository", "{repo: 'ppa:one', codename: noble}", 22, "launchpad.net")
}

const keyOne, subkeyOne, keyOld = "95EC77250BB675B5", "E07E076DF7D95488", "921D26E48AC4ABE4"

func newAptKeys(t *testing.T) *system {
	s := newAptSources(t, map[string]string{"curl": `for u; do :; done; cat "${u##*[/x]}"`})
	for _, name := range []string{"one", "old", "renewed"} {
		b, err := os.ReadFile("testdata/keys/" + name + ".asc")
		if err != nil {
			t.Fatal(err)
		}
		s.write(name+".asc", string(b))
		s.keep(name, string(b))
	}
	s.keep(keyOne, "<html>no such thing</html>")
	return s
}

func TestAptKey(t *testing.T) {
	s := newAptKeys(t)
	r := s.cycle("apt_key", "file: DIR/one.asc")
	s.values(r, "id", keyOne, "short_id", keyOne[8:], "fp", keyOne, "key_id", keyOne, "before", "[]", "after", "["+keyOne+" "+subkeyOne+"]")
	raw, err := os.ReadFile(s.dir + "/etc/trusted.gpg")
	if err != nil || raw[0]&0x80 == 0 {
		t.Errorf("the keyring is no binary one (%v)", err)
	}
	s.check("apt_key", "{url: 'https://example.org/one'}", "ok")
	for _, id := range []string{keyOne, "0x" + strings.ToLower(keyOne), keyOne[8:], "33CF193F328C623151DF998B" + keyOne, subkeyOne} {
		s.check("apt_key", "{id: '"+id+"', url: 'https://example.org/none'}", "ok")
	}
	s.cycle("apt_key", "{url: 'https://example.org/one', keyring: DIR/k.asc}")
	s.cycle("apt_key", "{url: 'https://example.org/renewed', keyring: DIR/k.asc}")
	s.cycle("apt_key", "{id: "+keyOne+", state: absent, keyring: DIR/k.asc}")
	s.cycle("apt_key", "{id: "+keyOne[8:]+", state: absent}")
	s.only("etc")
	want, _ := os.ReadFile("testdata/keys/renewed.asc")
	if got, err := os.ReadFile(s.dir + "/k.asc"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("armour is\n%s\nwant\n%s\n(%v)", got, want, err)
	}
}

// A key that has expired is replaced where it stands.
func TestAptKeyIsRenewed(t *testing.T) {
	s := newAptKeys(t)
	s.write("etc/trusted.gpg.d/a.asc", string(must(os.ReadFile("testdata/keys/old.asc"))))
	s.fails("apt_key", "file: DIR/old.asc", 0, "has expired")
	s.cycle("apt_key", "file: DIR/renewed.asc")
	s.holds("etc/trusted.gpg.d/a.asc", string(must(os.ReadFile("testdata/keys/renewed.asc"))), 0)
	s.only("etc", "trusted.gpg.d")
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestAptKeyRefuses(t *testing.T) {
	s := newAptKeys(t)
	s.check("apt_key", "file: DIR/one.asc", "changed")
	for args, part := range map[string]string{
		"{id: 12345678, file: DIR/one.asc}": "is not",
		"{id: 123}":                         "no id of a key",
		"{id: '12345678'}":                  "say where it is",
		"{}":                                "id is missing",
		"{data: x, url: y}":                 "exclude",
		"{keyserver: x}":                    "id is missing",
		"{keyserver: 'ldap://x', id: '12345678'}":                   "keyserver",
		"{data: nothing}":                                           "inline data: it holds no OpenPGP",
		"{id: '1234567812345678', url: 'https://x/" + keyOne + "'}": "inline data",
		"{id: " + subkeyOne + ", state: absent}":                    "is a subkey",
		"{file: DIR/none}":                                          "none",
	} {
		r := s.check("apt_key", args, "failed")
		if !strings.Contains(r.Msg, part) {
			t.Errorf("%s: %q does not have %q", args, r.Msg, part)
		}
	}
	s.write("etc/trusted.gpg.d/box.gpg", "\x00\x00\x00\x20\x01\x01\x00\x02KBXf\x00\x00\x00\x00")
	s.fails("apt_key", "file: DIR/one.asc", 0, "keybox")
}

func TestKeyserverURL(t *testing.T) {
	for server, want := range map[string]string{
		"k.example.org":          "https://k.example.org/pks/lookup?op=get&options=mr&search=0xABCDEF01",
		"hkp://k.example.org":    "http://k.example.org:11371/pks/lookup?op=get&options=mr&search=0xABCDEF01",
		"hkp://k.example.org:80": "http://k.example.org:80/pks/lookup?op=get&options=mr&search=0xABCDEF01",
		"https://k/":             "https://k/pks/lookup?op=get&options=mr&search=0xABCDEF01",
	} {
		if got, err := keyserverURL(server, "0xabcdef01"); err != nil || got != want {
			t.Errorf("%s: %q, %v", server, got, err)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	for _, name := range []string{"one", "old", "renewed"} {
		b := must(os.ReadFile("testdata/keys/" + name + ".asc"))
		f.Add(b)
		f.Add(must(dearmour(b)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseKeys(b)
		if err != nil {
			return
		}
		var all []byte
		for _, k := range keys {
			k.expired(time.Now())
			k.ids()
			all = append(all, k.packets...)
		}
		again, err := parseKeys(armour(all))
		if len(all) > 0 && (err != nil || len(again) != len(keys)) {
			t.Errorf("%d keys became %d: %v", len(keys), len(again), err)
		}
	})
}
