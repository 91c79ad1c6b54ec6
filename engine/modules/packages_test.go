package modules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The managers know the packages of $STATE/known ("NAME VERSION") and keep $STATE/installed.
const (
	fakeDpkgQuery = `touch installed
case $3 in *Provides*) grep -q '^mta ' installed && echo "installed mail-transport-agent (= 1), smtp,"; exit 0 ;; esac
line=$(grep "^$5 " installed) || exit 1
echo "installed ${line#* }"`
	fakeAptGet = `touch installed; dry='' op=''
while [ $# -gt 0 ]; do case $1 in
	-s) dry=1 ;; -o | -t) shift ;; -*) ;;
	*) if [ -z "$op" ]; then op=$1; else set -- "$@" "=$1"; fi
	   case $1 in =*) break ;; esac ;;
	esac; shift; case $1 in =*) break ;; esac; done
new=0 gone=0
case $op in
update) [ ! -e broken ] || { echo "E: Failed to fetch"; exit 100; }; echo fetched; exit ;;
esac
for p; do p=${p#=}; case $op in
	install) line=$(grep "^${p%%=*} " known) || { echo "E: Unable to locate package $p"; exit 100; }
		grep -q "^${p%%=*} " installed && continue
		new=$((new + 1)); [ -n "$dry" ] || echo "$line" >>installed ;;
	remove) gone=$((gone + 1)); [ -n "$dry" ] || { grep -v "^$p " installed >i2; mv i2 installed; } ;;
	esac; done
[ -z "$dry" ] || [ $new$gone = 00 ] || echo "Inst something"
echo "0 upgraded, $new newly installed, $gone to remove and 7 not upgraded."`
)

func newApt(t *testing.T) *system {
	s := newSystem(t, map[string]string{"apt-get": fakeAptGet, "dpkg-query": fakeDpkgQuery})
	s.keep("known", "hello 2.10-3\nlibx++.1 1\nmta 1\n")
	s.keep("installed", "")
	s.write("var/lib/apt/lists/deb_InRelease", "x")
	return s
}

func TestAptInstallsOnce(t *testing.T) {
	s := newApt(t)
	r := s.cycle("apt", "{name: [hello, libx++.1]}")
	if out, _ := r.Values.Get("stdout"); !strings.Contains(out.(string), "2 newly installed") {
		t.Errorf("stdout %q", out)
	}
	if shown := s.shown(); !strings.Contains(shown, "newly installed") || strings.Contains(shown, "changed=") {
		t.Errorf("shown: %q", shown)
	}
	s.kept("installed", "hello 2.10-3\nlibx++.1 1")
	os.Remove(filepath.Join(s.state, "calls"))
	s.check("apt", "{name: [hello, 'hello=2.10*']}", "ok")
	s.called("apt-get")
	s.check("apt", "{name: hello, state: latest}", "ok")
	s.cycle("apt", "{name: hello, state: absent}")
	s.kept("installed", "libx++.1 1")
}

func TestAptKeepsServicesFromStarting(t *testing.T) {
	s := newSystem(t, map[string]string{"dpkg-query": fakeDpkgQuery, "apt-get": `case " $* " in *" install "*) cat "$root/usr/sbin/policy-rc.d" >seen ;; esac
` + fakeAptGet})
	s.keep("known", "hello 2.10-3\nmta 1\n")
	s.write("usr/sbin/policy-rc.d", "mine")
	s.check("apt", "{name: hello, policy_rc_d: 101, force: true}", "changed")
	if b, err := os.ReadFile(filepath.Join(s.state, "seen")); err != nil || !strings.Contains(string(b), "exit 101") {
		t.Errorf("policy-rc.d while apt ran: %q (%v)", b, err)
	}
	s.holds("usr/sbin/policy-rc.d", "mine", 0)
	s.only("usr/sbin", "policy-rc.d")
	b, _ := os.ReadFile(filepath.Join(s.state, "calls"))
	if !strings.Contains(string(b), "--allow-remove-essential") {
		t.Errorf("calls: %s", b)
	}
}

func TestAptCountsProvidedPackages(t *testing.T) {
	s := newApt(t)
	s.keep("installed", "mta 1\n")
	s.check("apt", "name: mail-transport-agent", "ok")
	s.check("apt", "{name: mail-transport-agent, state: absent}", "ok")
	s.fails("apt", "name: mail-transport", 100, "Unable to locate package mail-transport")
}

func TestAptFailures(t *testing.T) {
	s := newApt(t)
	s.fails("apt", "name: nonesuch", 100, "Unable to locate package nonesuch")
	s.fails("apt", "name: '-x'", 0, "no name of a package")
	s.fails("apt", "name: 'a;b'", 0, "no name of a package")
	s.fails("apt", "{name: hello, state: presnt}", 0, "present")
	s.fails("apt", "upgrade: maybe", 0, "upgrade")
	s.keep("broken", "")
	s.fails("apt", "{name: hello, update_cache: yes, update_cache_retries: 1}", 1, "update failed")
	s.kept("installed", "")
}

func TestAptUpdatesWhatIsOld(t *testing.T) {
	s := newApt(t)
	lists := filepath.Join(s.dir, "var/lib/apt/lists")
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(lists, old, old); err != nil {
		t.Fatal(err)
	}
	s.dry("apt", "{update_cache: yes, cache_valid_time: 3600}", "changed")
	s.called("apt-get")
	r := s.check("apt", "{name: hello, cache_valid_time: 3600}", "changed")
	s.values(r, "cache_updated", true)
	r = s.check("apt", "{update_cache: yes, cache_valid_time: 3600}", "ok")
	s.values(r, "cache_updated", false)
	// Lists that are not there are never fresh.
	os.Remove(filepath.Join(lists, "deb_InRelease"))
	r = s.check("apt", "{update_cache: yes, cache_valid_time: 3600}", "ok")
	s.values(r, "cache_updated", true)
}

// fakeOf is a manager whose arguments after the operation are packages; ops names the words
// for install and remove, and nothing what it prints where it does not know a package.
func fakeOf(install, remove, missing string) string {
	return `touch installed; op='' dry=''
for a; do case $a in
	--dry-run | -s) dry=1 ;; -[SR]) op=$a ;; -*) ;;
	*) if [ -z "$op" ]; then op=$a; continue; fi
	case $op in
	` + install + `)
		line=$(grep "^$a " known) || { echo "` + missing + ` $a" >&2; exit 3; }
		grep -qxF "$line" installed && continue
		[ -z "$dry" ] || { echo "(1/1) 1 package going to be installed"; continue; }
		grep -v "^$a " installed >i2; echo "$line" >>i2; mv i2 installed ;;
	` + remove + `) grep -v "^$a " installed >i2; mv i2 installed ;;
	esac ;; esac; done`
}

const fakeRpm = `touch installed
case $1 in -qa) cat installed; exit ;; esac
for a; do :; done
grep -q "^$a " installed`

func TestManagersInstallOnce(t *testing.T) {
	for name, programs := range map[string]map[string]string{
		"dnf": {"rpm": fakeRpm, "dnf": `case "$*" in *check-update*) for n; do
	[ "$(grep "^$n " known)" = "$(grep "^$n " installed)" ] || exit 100; done; exit 0 ;; esac
` + fakeOf("install | upgrade", "remove", "No match for argument:")},
		"zypper": {"rpm": fakeRpm, "zypper": fakeOf("install", "remove", "No provider of") + "\nexit 102"},
		"apk": {"apk": `[ "$1" = info ] && { [ "$2" = -v ] && { cat installed; exit; }; grep -q "^$3 " installed; exit; }
` + fakeOf("add", "del", "unable to select packages:")},
		"pacman": {"pacman": `case $1 in -Q) [ -n "$2" ] || { cat installed; exit; }; grep -q "^$3 " installed; exit ;;
-T) grep -q "^$3 " installed; exit ;; -Sgq) exit 1 ;;
-Qu) [ "$(grep "^$2 " known)" = "$(grep "^$2 " installed)" ] || echo "$2 1 -> 2"; exit ;; esac
` + fakeOf("-S", "-R", "error: target not found:")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t, programs)
			s.keep("known", "gcc 1\nmake 1\n")
			s.keep("installed", "")
			s.cycle(name, "{name: [gcc, make]}")
			s.kept("installed", "gcc 1\nmake 1")
			s.check(name, "{name: gcc, state: latest}", "ok")
			s.keep("known", "gcc 2\nmake 1\n")
			s.check(name, "{name: gcc}", "ok")
			s.cycle(name, "{name: [gcc, make], state: latest}")
			s.kept("installed", "make 1\ngcc 2")
			s.cycle(name, "{name: make, state: absent}")
			s.kept("installed", "gcc 2")
			s.fails(name, "name: nonesuch", 3, "nonesuch")
			s.fails(name, "{name: a, state: gone}", 0, "state")
			s.fails(name, "name: '$(x)'", 0, "no name of a package")
		})
	}
}

func TestManagersRefuseOthersOptions(t *testing.T) {
	s := newSystem(t, nil)
	s.fails("apk", "{name: a, enablerepo: x}", 0, "enablerepo")
	s.fails("pacman", "{name: a, disable_gpg_check: yes}", 0, "disable_gpg_check")
}

func TestManagerStarUpgradesAll(t *testing.T) {
	s := newSystem(t, map[string]string{"rpm": fakeRpm, "dnf": "true"})
	s.keep("installed", "")
	s.check("dnf", "{name: '*', state: latest}", "ok")
	s.called("dnf", "dnf -y upgrade")
}

func TestPackageFindsManager(t *testing.T) {
	s := newApt(t)
	s.cycle("package", "name: hello")
	s.kept("installed", "hello 2.10-3")
	s.fails("package", "{name: hello, use: brew}", 0, "brew")
	s.fails("package", "{name: hello, state: sometimes}", 0, "state")
	s.fails("package", "{name: hello, colour: red}", 0, "colour")

	none := newSystem(t, nil)
	none.alone("printf") // which not every sh has built in
	none.fails("package", "name: hello", 1, "no package manager")
	none.fails("apk", "name: hello", 1, `"apk" is missing`)
}

const fakePip = `touch installed
case $1 in
show) grep "^$2 " installed | sed 's/.* /Version: /' | grep . ;;
install | uninstall) did=
	for a; do n=${a%%=*}; case $a in install | uninstall | -*) continue ;; esac
	if [ "$1" = uninstall ]; then
		if grep -q "^$n " installed; then did=un; grep -v "^$n " installed >i2; mv i2 installed; fi; continue
	fi
	line=$(grep "^$n " known) || { echo "ERROR: No matching distribution found for $n" >&2; exit 1; }
	grep -qxF "$line" installed || { echo "$line" >>installed; did=1; }
	done
	case $did in 1) echo "Successfully installed x" ;; un) echo "  Successfully uninstalled x" ;; esac; exit 0 ;;
esac`

func TestPip(t *testing.T) {
	s := newSystem(t, map[string]string{"pip3": fakePip, "python3": `mkdir -p "$3/bin"; cp "$PIP" "$3/bin/pip"`})
	s.keep("known", "six 1.16\npytest 8.0\n")
	s.keep("installed", "")
	s.cycle("pip", "name: [six, pytest]")
	s.check("pip", "{name: six, version: '1.16'}", "ok")
	s.dry("pip", "{name: six, version: '1.16'}", "ok")
	s.dry("pip", "{name: six, version: '1.17'}", "changed")
	s.cycle("pip", "{name: six, state: absent}")
	s.fails("pip", "name: nonesuch", 1, "No matching distribution")
	s.fails("pip", "{name: [a, b], version: 1}", 0, "version")
	s.fails("pip", "{}", 0, "needs")
	bin, _, _ := strings.Cut(s.task.Env["PATH"], ":")
	s.task.Env["PIP"] = filepath.Join(bin, "pip3")
	s.dry("pip", "{virtualenv: DIR/venv}", "changed")
	s.only("")
	s.check("pip", "{virtualenv: DIR/venv}", "changed")
	s.check("pip", "{virtualenv: DIR/venv}", "ok")
}

func TestPipNamesWithCommas(t *testing.T) {
	got := specifiers([]string{"a>1", "<2", "b", "c"})
	if strings.Join(got, " ") != "a>1,<2 b c" {
		t.Errorf("%q", got)
	}
}

func TestLiveOutputLeavesOutWhatWasSaid(t *testing.T) {
	s := newSystem(t, nil)
	r, err := script{Text: "echo one; say a 'x\ny'; printf 'tw'; say b 2; echo o"}.runShown(t.Context(), s.task)
	if err != nil || r.get("a") != "x\ny" || r.get("b") != "2" || r.stdout() != "one\ntwo" {
		t.Errorf("%+v, %v", r, err)
	}
	if got := s.shown(); got != "one\ntwo" {
		t.Errorf("shown: %q", got)
	}
}
