package callbacks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"farm/engine"
	"farm/inventory"
)

const testPublicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJJt4Jyd0nbWOzsCLSfFkDGu7YZ0VmXCOCZnGVCIvtdz farm\n"

// buildConn plays a host whose build says what it is told and ends as it is told.
type buildConn struct {
	engine.Conn
	says string
	err  error

	files map[string]string
	modes map[string]fs.FileMode
	runs  []string
	moved map[string]string
}

func (c *buildConn) String() string { return "host" }

func (c *buildConn) Exec(_ context.Context, cmd engine.Cmd) (engine.Output, error) {
	c.runs = append(c.runs, strings.Join(cmd.Argv, " "))
	switch cmd.Argv[0] {
	case "mktemp":
		return engine.Output{Stdout: []byte("/tmp/im/bootstrap-abc\n")}, nil
	case "sh":
		io.WriteString(cmd.Stderr, c.says)
		return engine.Output{}, c.err
	case "mv":
		c.moved[cmd.Argv[2]] = cmd.Argv[3]
	}
	return engine.Output{}, nil
}

func (c *buildConn) Upload(_ context.Context, dst string, perm fs.FileMode, src io.Reader) error {
	b, err := io.ReadAll(src)
	c.files[dst], c.modes[dst] = string(b), perm
	return err
}

func (c *buildConn) Download(_ context.Context, src string, dst io.Writer) error {
	if src != "/keys/id.pub" {
		return fs.ErrNotExist
	}
	_, err := io.WriteString(dst, testPublicKey)
	return err
}

func bootstrapImage() (*engine.Image, *buildConn) {
	c := &buildConn{files: map[string]string{}, modes: map[string]fs.FileMode{}, moved: map[string]string{}}
	im := &engine.Image{Conn: c, Local: c, TmpDir: "/tmp/im", KeyPath: "/keys/id", Emit: func(engine.Event) {}}
	im.VM.Arch = "aarch64"
	im.VM.Def.Metadata = inventory.Metadata{Hostname: "vm.arm64.debian_12", Auth: inventory.Auth{User: "tester", Password: "it's $ecret"}}
	return im, c
}

func TestBootstrapRunsTheBuild(t *testing.T) {
	im, c := bootstrapImage()
	var told []string
	im.Emit = func(e engine.Event) { told = append(told, e.Text) }
	c.says = "farm: making the disk\nI: extracting archives...\nnoise\n"
	if err := newBootstrap().Run(context.Background(), im); err != nil {
		t.Fatal(err)
	}
	if len(im.HostKeys) != 1 {
		t.Fatalf("host keys: %q", im.HostKeys)
	}
	const dir = "/tmp/im/bootstrap-abc/"
	signer, err := ssh.ParsePrivateKey([]byte(c.files[dir+"ssh_host_ed25519_key"]))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))); got != im.HostKeys[0] {
		t.Errorf("the key in the image is %s, the one reported %s", got, im.HostKeys[0])
	}
	for file, mode := range c.modes {
		if mode != 0o600 {
			t.Errorf("%s has mode %o", file, mode)
		}
		if strings.Contains(c.files[file], "$ecret") {
			t.Errorf("%s holds a clear password", file)
		}
	}
	if got := strings.Join(told, "|"); got != "making the disk|extracting the essential packages" {
		t.Errorf("progress: %s", got)
	}
	if c.moved[dir+"disk.qcow2"] != "/tmp/im/disk.qcow2" || c.moved[dir+"vmlinuz"] == "" || c.moved[dir+"initrd.img"] == "" {
		t.Errorf("moved: %v", c.moved)
	}
	if last := c.runs[len(c.runs)-1]; last != "rm -rf /tmp/im/bootstrap-abc" {
		t.Errorf("the last command was %q", last)
	}
}

func TestBootstrapSaysWhyItFailed(t *testing.T) {
	for _, tc := range []struct{ says, want string }{
		{"E: noise\nfarm! packages are missing; install them\nI: more\n", "packages are missing; install them"},
		{"one\nE: no route to mirror\n", "E: no route to mirror"},
	} {
		im, c := bootstrapImage()
		c.says, c.err = tc.says, &engine.ExitError{Status: 1}
		err := newBootstrap().Run(context.Background(), im)
		if err == nil || !strings.HasSuffix(err.Error(), tc.want) {
			t.Errorf("got %v, want ... %s", err, tc.want)
		}
		if engine.FaultOf(err) != engine.FarmFault || len(im.HostKeys) > 0 {
			t.Errorf("fault %q, host keys %q", engine.FaultOf(err), im.HostKeys)
		}
		if last := c.runs[len(c.runs)-1]; !strings.HasPrefix(last, "rm -rf ") {
			t.Errorf("private keys were left behind: the last command was %q", last)
		}
	}
}

func TestBootstrapStaysOffline(t *testing.T) {
	im, c := bootstrapImage()
	im.Offline = true
	if err := newBootstrap().Run(context.Background(), im); err == nil || len(c.runs) > 0 {
		t.Errorf("error %v after %q", err, c.runs)
	}
}

func TestBootstrapGivesUEFIAKernelThatItCanStart(t *testing.T) {
	im, _ := bootstrapImage()
	b := newBootstrap().(*bootstrap)
	var keys [2]string
	for i, loader := range []string{"", "auto"} {
		im.VM.Def.Firmware.Loader = loader
		r, err := b.recipe(t.Context(), im)
		if err != nil {
			t.Fatal(err)
		}
		if want := "\nfirmware='" + []string{"no", "yes"}[i] + "'\n"; !strings.Contains(r.config(), want) {
			t.Errorf("loader %q: no %q in\n%s", loader, want, r.config())
		}
		if keys[i], err = b.Key(t.Context(), im); err != nil {
			t.Fatal(err)
		}
	}
	if keys[0] == keys[1] {
		t.Error("both share an image")
	}
}

func TestBootstrapDefaults(t *testing.T) {
	for _, tc := range []struct{ arch, libvirt, want string }{
		{"", "x86_64", "arch='amd64' suite='bookworm' console='ttyS0' efi='x64'"},
		{"", "aarch64", "arch='arm64' suite='bookworm' console='ttyAMA0' efi='aa64'"},
		{"", "armv7l", "arch='armhf' suite='bookworm' kernel_flavour='armmp-lpae'"},
		{"ppc64el", "x86_64", "arch='ppc64el' efi='' loader_package='grub-ieee1275-bin'"},
		{"riscv64", "", "arch='riscv64' suite='trixie'"},
		{"", "x86_64", "hostname='vm.arm64.debian-12' user='tester' size_mib='4096' format='qcow2' mirror=''"},
	} {
		im, _ := bootstrapImage()
		im.VM.Arch = tc.libvirt
		b := newBootstrap().(*bootstrap)
		b.Arch = tc.arch
		r, err := b.recipe(context.Background(), im)
		if err != nil {
			t.Errorf("%s %s: %v", tc.arch, tc.libvirt, err)
			continue
		}
		for _, line := range strings.Fields(tc.want) {
			if !strings.Contains("\n"+r.config(), "\n"+line+"\n") {
				t.Errorf("%s %s: no %s in\n%s", tc.arch, tc.libvirt, line, r.config())
			}
		}
	}
}

func TestBootstrapRefusesWhatIsNoPlainWord(t *testing.T) {
	for _, tc := range []struct {
		want string
		set  func(b *bootstrap, im *engine.Image)
	}{
		{`arch "mips" is none of amd64, arm64`, func(b *bootstrap, im *engine.Image) { b.Arch = "mips" }},
		{"suite", func(b *bootstrap, im *engine.Image) { b.Suite = "$(reboot)" }},
		{"packages", func(b *bootstrap, im *engine.Image) { b.Packages = []string{"--help"} }},
		{"packages", func(b *bootstrap, im *engine.Image) { b.Packages = []string{"a b"} }},
		{"components", func(b *bootstrap, im *engine.Image) { b.Components = []string{"main;x"} }},
		{"mirror", func(b *bootstrap, im *engine.Image) { b.Mirror = "http://m/' x" }},
		{"dest", func(b *bootstrap, im *engine.Image) { b.Dest = "../disk" }},
		{"three files", func(b *bootstrap, im *engine.Image) { b.Kernel = b.Dest }},
		{"size", func(b *bootstrap, im *engine.Image) { b.Size = "10" }},
		{"size", func(b *bootstrap, im *engine.Image) { b.Size = "9999999T" }},
		{"auth.user", func(b *bootstrap, im *engine.Image) { im.VM.Def.Metadata.Auth.User = "a:b" }},
		{"/keys/none.pub", func(b *bootstrap, im *engine.Image) { im.KeyPath = "/keys/none" }},
	} {
		im, c := bootstrapImage()
		b := newBootstrap().(*bootstrap)
		tc.set(b, im)
		err := b.Run(context.Background(), im)
		if err == nil || !strings.Contains(err.Error(), tc.want) || engine.FaultOf(err) != engine.UserFault || len(c.runs) > 0 {
			t.Errorf("want ... %s ...: got %v (%s) after %q", tc.want, err, engine.FaultOf(err), c.runs)
		}
	}
}

func TestBootstrapKeyFollowsWhatReachesTheGuest(t *testing.T) {
	key := func(set func(b *bootstrap, im *engine.Image)) string {
		im, _ := bootstrapImage()
		b := newBootstrap().(*bootstrap)
		set(b, im)
		k, err := b.Key(context.Background(), im)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	same := key(func(*bootstrap, *engine.Image) {})
	if same != key(func(*bootstrap, *engine.Image) {}) {
		t.Error("the same arguments have two keys")
	}
	for name, set := range map[string]func(b *bootstrap, im *engine.Image){
		"packages": func(b *bootstrap, im *engine.Image) { b.Packages = []string{"gcc"} },
		"password": func(b *bootstrap, im *engine.Image) { im.VM.Def.Metadata.Auth.Password = "other" },
		"arch":     func(b *bootstrap, im *engine.Image) { im.VM.Arch = "x86_64" },
		"hostname": func(b *bootstrap, im *engine.Image) { b.Hostname = "other" },
	} {
		if key(set) == same {
			t.Errorf("another %s has the same key", name)
		}
	}
}

// What the configuration quotes arrives in the scripts as it was.
func TestBootstrapConfigIsReadBySh(t *testing.T) {
	r := &recipe{userHash: `$6$a'b"c$(false)`, hostKey: "ssh-ed25519 AAAA"}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(r.config()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-euc", `. "$1"; printf '%s|%s' "$user_hash" "$host_key"`, "sh", file).CombinedOutput()
	if err != nil || string(out) != r.userHash+"|"+r.hostKey {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestBootstrapScriptsParse(t *testing.T) {
	for _, name := range bootstrapFiles {
		text, err := fs.ReadFile(bootstrapScripts, "bootstrap_scripts/"+name)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-n")
		cmd.Stdin = bytes.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

func TestPasswordHash(t *testing.T) {
	for _, kept := range []string{"", "$6$salt$hash/.", "$y$j9T$salt$hash"} {
		if got, err := passwordHash(kept); err != nil || got != kept {
			t.Errorf("%q became %q, %v", kept, got, err)
		}
	}
	if got, err := passwordHash("secret"); err != nil || !strings.HasPrefix(got, "$6$") || !hashRE.MatchString(got) {
		t.Errorf("secret became %q, %v", got, err)
	}
}

func TestProgressIsBoundedAndRare(t *testing.T) {
	var told []string
	p := newProgress(func(e engine.Event) { told = append(told, e.Text) })
	now := time.Unix(0, 0)
	p.now = func() time.Time { return now }
	p.last = now
	for range 10 {
		now = now.Add(time.Second)
		io.WriteString(p, "Unpacking x ...\n")
	}
	if got := strings.Join(told, "|"); got != "unpacked 3 packages|unpacked 6 packages|unpacked 9 packages" {
		t.Errorf("told %s", got)
	}
	io.WriteString(p, strings.Repeat("x", 1<<20)+"\x1b[2J\n")
	if err := p.explain(errors.New("cause")); len(err.Error()) > 2*maxLine || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%d bytes: %.80q", len(err.Error()), err.Error())
	}
}
