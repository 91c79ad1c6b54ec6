package callbacks

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/GehirnInc/crypt/sha512_crypt"
	"golang.org/x/crypto/ssh"

	"farm/engine"
	"farm/inventory"
)

// debianArch is what differs between architectures.
type debianArch struct {
	name     string // Debian's
	libvirt  string
	flavour  string // of linux-image
	efi      string // suffix of UEFI's default boot file; "" = no UEFI
	loader   string // package that holds the boot loader
	console  string
	qemuUser string // name of the user-mode emulator
}

var debianArchs = []debianArch{
	{"amd64", "x86_64", "amd64", "x64", "systemd-boot-efi", "ttyS0", "x86_64"},
	{"arm64", "aarch64", "arm64", "aa64", "systemd-boot-efi", "ttyAMA0", "aarch64"},
	{"armhf", "armv7l", "armmp-lpae", "arm", "systemd-boot-efi", "ttyAMA0", "arm"},
	{"ppc64el", "ppc64le", "powerpc64le", "", "grub-ieee1275-bin", "hvc0", "ppc64le"},
	{"riscv64", "riscv64", "riscv64", "riscv64", "systemd-boot-efi", "ttyS0", "riscv64"},
}

// guestPackages make a guest that farm can use; everything else is the inventory's choice.
var guestPackages = []string{"systemd-sysv", "udev", "kmod", "e2fsprogs", "fdisk", "dbus", "openssh-server", "sudo",
	"iproute2", "qemu-guest-agent"}

// recipe is a bootstrap with every default filled in and every value checked.
type recipe struct {
	arch                                  debianArch
	suite, components, hostname           string
	mirror, mirrorLogin                   string // "" = the hypervisor's own; in apt_auth.conf(5)'s form
	packages                              []string
	sizeMiB                               int64
	format, dest, kernel, initrd          string
	user, publicKey                       string
	installMissing                        bool
	firmware                              bool // the machine has UEFI
	userHash, rootHash, hostKey, hostPriv string
}

// The scripts put these values into shell words, file names and configuration files.
var (
	nameRE    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)
	userRE    = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	packageRE = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?$`)
	hostRE    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9-]{1,63})*$`)
	fileRE    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

func (b *bootstrap) recipe(ctx context.Context, im *engine.Image) (*recipe, error) {
	arch, err := findArch(b.Arch, im.VM.Arch)
	if err != nil {
		return nil, err
	}
	meta := im.VM.Def.Metadata
	// names of platforms have underscores, names of hosts must not (RFC 1123)
	r := &recipe{
		arch:           arch,
		suite:          first(b.Suite, map[bool]string{true: "trixie", false: "bookworm"}[arch.name == "riscv64"]),
		components:     first(strings.Join(b.Components, ","), "main"),
		hostname:       strings.ReplaceAll(first(b.Hostname, meta.Hostname, "guest"), "_", "-"),
		packages:       append(slices.Clone(guestPackages), b.Packages...),
		format:         "qcow2",
		dest:           b.Dest,
		kernel:         b.Kernel,
		initrd:         b.Initrd,
		user:           first(meta.Auth.User, "debian"),
		installMissing: b.InstallMissing,
		firmware:       im.VM.Def.Firmware.Loader != "",
	}
	if strings.HasSuffix(b.Dest, ".raw") || strings.HasSuffix(b.Dest, ".img") {
		r.format = "raw"
	}
	if r.sizeMiB, err = sizeMiB(b.Size); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if mirror := first(b.Mirror, im.Mirror); mirror != "" {
		if err := r.setMirror(mirror); err != nil {
			return nil, err
		}
	}
	var key bytes.Buffer
	if err := im.Local.Download(ctx, im.KeyPath+".pub", &key); err != nil {
		return nil, fmt.Errorf("read the public key %q: %w", im.KeyPath+".pub", err)
	}
	if _, _, _, _, err := ssh.ParseAuthorizedKey(key.Bytes()); err != nil {
		return nil, fmt.Errorf("public key %q: %w", im.KeyPath+".pub", err)
	}
	r.publicKey = strings.TrimSpace(key.String()) + "\n"
	return r, nil
}

func findArch(name, libvirt string) (debianArch, error) {
	var known []string
	for _, a := range debianArchs {
		if name == a.name || name == "" && libvirt == a.libvirt || name == a.libvirt {
			return a, nil
		}
		known = append(known, a.name)
	}
	if name == "" && libvirt == "armv6l" {
		return findArch("armhf", "")
	}
	return debianArch{}, fmt.Errorf("arch %q is none of %s", first(name, libvirt), strings.Join(known, ", "))
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// check refuses what the scripts could not hold as one plain word.
func (r *recipe) check() error {
	for _, c := range []struct {
		what, value string
		re          *regexp.Regexp
	}{
		{"suite", r.suite, nameRE}, {"hostname", r.hostname, hostRE}, {"metadata.auth.user", r.user, userRE},
		{"dest", r.dest, fileRE}, {"kernel", r.kernel, fileRE}, {"initrd", r.initrd, fileRE},
	} {
		if !c.re.MatchString(c.value) {
			return fmt.Errorf("%s %q: want a plain name, as in %s", c.what, c.value, c.re)
		}
	}
	for _, p := range r.packages {
		if !packageRE.MatchString(p) {
			return fmt.Errorf("packages: %q is no name of a Debian package", p)
		}
	}
	for _, c := range strings.Split(r.components, ",") {
		if !nameRE.MatchString(c) {
			return fmt.Errorf("components: %q is no name of a component such as main or non-free", c)
		}
	}
	if names := []string{r.dest, r.kernel, r.initrd}; len(slices.Compact(slices.Sorted(slices.Values(names)))) < 3 {
		return fmt.Errorf("dest, kernel and initrd must be three files, not %q", names)
	}
	return nil
}

var sizeRE = regexp.MustCompile(`(?i)^([0-9]{1,7})([MGT])(iB|B)?$`)

// sizeMiB reads a size such as 4G; the units are powers of 1024.
func sizeMiB(s string) (int64, error) {
	var n int64
	if m := sizeRE.FindStringSubmatch(strings.TrimSpace(s)); m != nil {
		n, _ = strconv.ParseInt(m[1], 10, 64) // seven digits at most
		n <<= map[string]uint{"M": 0, "G": 10, "T": 20}[strings.ToUpper(m[2])]
	}
	if n < 1024 || n > 64<<20 {
		return 0, fmt.Errorf("size %q: want 1G to 64T, such as 4G or 6000M", s)
	}
	return n, nil
}

// addSecrets makes the guest's host key and hashes its passwords; no clear password leaves the controller.
func (r *recipe) addSecrets(auth inventory.Auth) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return err
	}
	pub, err := ssh.NewPublicKey(public)
	if err != nil {
		return err
	}
	r.hostPriv = string(pem.EncodeToMemory(block))
	r.hostKey = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))
	if r.userHash, err = passwordHash(auth.Password); err != nil {
		return err
	}
	if auth.BecomeUser == "" || auth.BecomeUser == "root" {
		r.rootHash, err = passwordHash(auth.BecomePassword)
	}
	return err
}

// passwordHash returns crypt(5)'s form; a value that has it already is kept.
func passwordHash(password string) (string, error) {
	if hashRE.MatchString(password) || password == "" {
		return password, nil
	}
	return sha512_crypt.New().Generate([]byte(password), nil)
}

var hashRE = regexp.MustCompile(`^\$(5|6|y|2b|gy|7)\$[A-Za-z0-9./$=,]+$`)

// config is the file of assignments that the scripts read, in a stable order. Values were
// checked to be plain words, or are quoted.
func (r *recipe) config() string {
	yes := map[bool]string{true: "yes", false: "no"}
	var s strings.Builder
	for _, v := range [][2]string{
		{"arch", r.arch.name}, {"suite", r.suite}, {"mirror", r.mirror}, {"components", r.components},
		{"packages", strings.Join(r.packages, ",")}, {"kernel_flavour", r.arch.flavour}, {"efi", r.arch.efi},
		{"loader_package", r.arch.loader}, {"console", r.arch.console}, {"qemu_user", r.arch.qemuUser},
		{"hostname", r.hostname}, {"user", r.user}, {"size_mib", fmt.Sprint(r.sizeMiB)}, {"format", r.format},
		{"dest", r.dest}, {"kernel_name", r.kernel}, {"initrd_name", r.initrd},
		{"outputs", r.dest + " " + r.kernel + " " + r.initrd}, {"install_missing", yes[r.installMissing]},
		{"firmware", yes[r.firmware]}, {"host_key", r.hostKey}, {"user_hash", r.userHash}, {"root_hash", r.rootHash},
	} {
		fmt.Fprintf(&s, "%s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	return s.String()
}

// files is everything that the build needs in its folder, by name.
func (r *recipe) files() map[string]string {
	files := map[string]string{"config": r.config(), "key.pub": r.publicKey, "ssh_host_ed25519_key": r.hostPriv}
	if r.mirrorLogin != "" {
		files["auth"] = r.mirrorLogin
	}
	for _, name := range bootstrapFiles {
		text, err := fs.ReadFile(bootstrapScripts, "bootstrap_scripts/"+name)
		if err != nil {
			panic(err) // embedded: the name is wrong in this file
		}
		files[name] = string(text)
	}
	return files
}

// outputs maps names in the build's folder to where they belong.
func (r *recipe) outputs(dir string) map[string]string {
	outputs := map[string]string{}
	for _, name := range []string{r.dest, r.kernel, r.initrd} {
		outputs[name] = path.Join(dir, name)
	}
	return outputs
}
