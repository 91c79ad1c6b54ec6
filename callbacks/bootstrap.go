package callbacks

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"farm/engine"
)

// bootstrapScripts are the files that run on the hypervisor and in the guest: build,
// accelerate and customize make the image, init is the initrd's, grow the guest's.
//
//go:embed bootstrap_scripts
var bootstrapScripts embed.FS

// bootstrap makes a Debian disk image from a package mirror, and beside it a kernel and
// an initrd to boot directly, which is the quickest; firmware boots the disk too (UEFI; on ppc64el SLOF).
//
// The guest has systemd, openssh-server, sudo, apt, DHCP on its first cards, the QEMU guest
// agent, the user of metadata.auth (default: debian) who may use sudo and accepts farm's
// key, and a root file system that grows to its disk. The kernel is unpacked, not installed:
// upgrades inside the guest leave it alone. Only the main suite is used, because mirrors of the
// security suite are often out of step; a task file may add it to /etc/apt/sources.list.
//
// On the hypervisor it needs Debian or Ubuntu with mmdebstrap and a few tools; the error
// names those that are missing. It runs as root, or as a user with subordinate ids.
type bootstrap struct {
	// Suite is Debian's release; default bookworm, or trixie for riscv64, which came with it.
	Suite string `yaml:"suite"`
	// Arch is Debian's name of the architecture: amd64, arm64, armhf, ppc64el, riscv64. Default: that of the VM.
	Arch string `yaml:"arch"`
	// Packages are installed besides the guest's own, without recommended ones.
	Packages []string `yaml:"packages|include"`
	// Mirror is the URL packages come from; default: the hypervisor's own, else http://deb.debian.org/debian.
	// A login in it goes to apt in files that only root can read, also in the guest, which installs from there.
	Mirror string `yaml:"mirror"`
	// Components of the mirror; default main.
	Components []string `yaml:"components"`
	// Size of the disk as the guest sees it, such as 4G (the default) or 6000M. Unused space takes no room.
	Size string `yaml:"size"`
	// Dest is the disk's file name; default disk.qcow2. One that ends in .raw or .img is a raw image.
	Dest string `yaml:"dest"`
	// Kernel is the file name for the kernel to boot directly; default vmlinuz. On amd64 it is the unpacked
	// ELF file, which starts by PVH, seconds sooner when emulated.
	Kernel string `yaml:"kernel"`
	// Initrd is the file name for its initrd; default initrd.img. It mounts LABEL=root unless root= says otherwise.
	Initrd string `yaml:"initrd"`
	// Hostname of the guest; default metadata.hostname, else guest.
	Hostname string `yaml:"hostname"`
	// InstallMissing lets root install the packages that the hypervisor lacks.
	InstallMissing bool `yaml:"install_missing"`
}

func newBootstrap() engine.Callback {
	return &bootstrap{Size: "4G", Dest: "disk.qcow2", Kernel: "vmlinuz", Initrd: "initrd.img"}
}

// Key covers the scripts and everything of the VM that ends up in the image. The mirror's
// content is left out: an image is not made anew because a package was updated.
func (b *bootstrap) Key(ctx context.Context, im *engine.Image) (string, error) {
	r, err := b.recipe(ctx, im)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range bootstrapFiles {
		text, err := fs.ReadFile(bootstrapScripts, "bootstrap_scripts/"+name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	// hashes of passwords are salted, so the passwords themselves are what is compared
	auth := im.VM.Def.Metadata.Auth
	fmt.Fprintf(h, "%q %q %q %q\n%s", auth.Password, auth.BecomePassword, r.mirrorLogin, r.publicKey, r.config())
	return hex.EncodeToString(h.Sum(nil)), nil
}

var bootstrapFiles = []string{"build", "accelerate", "customize", "init", "grow"}

// Run makes the image in im.TmpDir and appends the guest's host key to im.HostKeys.
func (b *bootstrap) Run(ctx context.Context, im *engine.Image) error {
	r, err := b.recipe(ctx, im)
	if err != nil {
		return engine.Blame(engine.UserFault, fmt.Errorf("bootstrap: %w", err))
	}
	if im.Offline {
		return engine.Blamef(engine.FarmFault, "bootstrap %s %s: needs the mirror, but farm was told to stay offline", r.suite, r.arch.name)
	}
	if err := b.build(ctx, im, r); err != nil {
		return engine.Blame(engine.FarmFault, fmt.Errorf("bootstrap Debian %s for %s on %s: %w", r.suite, r.arch.name, im.Conn, err))
	}
	im.HostKeys = append(im.HostKeys, r.hostKey)
	return nil
}

func (b *bootstrap) build(ctx context.Context, im *engine.Image, r *recipe) (err error) {
	if err := r.addSecrets(im.VM.Def.Metadata.Auth); err != nil {
		return err
	}
	if r.mirror == "" {
		mirror, err := ownMirror(ctx, im)
		if err == nil {
			err = r.setMirror(mirror)
		}
		if err != nil {
			return err
		}
	}
	out, err := im.Conn.Exec(ctx, engine.Cmd{Dir: im.TmpDir, Argv: []string{"mktemp", "-d", path.Join(im.TmpDir, "bootstrap-XXXXXX")}})
	if err != nil {
		return fmt.Errorf("make a work folder: %w", err)
	}
	dir := strings.TrimSpace(string(out.Stdout))
	defer func() {
		// the work folder holds private keys; it must go even when ctx has ended
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
		defer cancel()
		if _, e := im.Conn.Exec(clean, engine.Cmd{Argv: []string{"rm", "-rf", dir}}); e != nil && err == nil {
			err = fmt.Errorf("remove %q: %w", dir, e)
		}
	}()
	for name, text := range r.files() {
		if err := im.Conn.Upload(ctx, path.Join(dir, name), 0o600, strings.NewReader(text)); err != nil {
			return fmt.Errorf("upload %q: %w", name, err)
		}
	}
	p := newProgress(im.Emit)
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	if _, err := im.Conn.Exec(ctx, engine.Cmd{Dir: dir, Argv: []string{"sh", "./build"}, Stdout: p, Stderr: p, Keep: 4096}); err != nil {
		return p.explain(err)
	}
	for from, to := range r.outputs(im.TmpDir) {
		if _, err := im.Conn.Exec(ctx, engine.Cmd{Argv: []string{"mv", "-f", path.Join(dir, from), to}}); err != nil {
			return fmt.Errorf("move %q into place: %w", to, err)
		}
	}
	return nil
}
