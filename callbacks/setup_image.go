package callbacks

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"farm/engine"
)

// setupImage writes host name, users, keys and sshd's settings into an image, without root
// and without starting it: its root partition is taken out, changed with debugfs and put
// back. It works on ext2, ext3 and ext4; images with other file systems take
// setup_cloudinit_iso. The host needs qemu-utils and e2fsprogs.
type setupImage struct {
	// Src is the image, in the work folder; it is changed in place.
	Src string `yaml:"src,required"`
	// KeysPath is a private key on the controller, whose .pub guests accept beside farm's own; one
	// in tmp_dir stands for that of the same name in ~/.ssh.
	KeysPath string `yaml:"keys_path"`
	// Format is that of Src; default qcow2 or raw, as the header says.
	Format string `yaml:"format"`
	// PartitionNumber is the one with /etc; default the largest with an ext file system.
	PartitionNumber int `yaml:"partition_number"`
}

func newSetupImage() engine.Callback { return &setupImage{} }

// plainName is a user name that may stand in passwd files and scripts.
var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)

// plainHost is a host name with or without dots.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// Key is a digest of the logins.
func (c *setupImage) Key(_ context.Context, im *engine.Image) (string, error) {
	l, err := loginOf(im, c.KeysPath)
	if err != nil {
		return "", err
	}
	return l.key(im), nil
}

// Run changes the image.
func (c *setupImage) Run(ctx context.Context, im *engine.Image) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("set up %q: %w", c.Src, err)
		}
	}()
	file, err := place(im, c.Src)
	if err != nil {
		return err
	}
	if _, err := firstFile(ctx, im, []string{file}); err != nil {
		return err
	}
	l, err := loginOf(im, c.KeysPath)
	if err == nil {
		err = l.hash(im)
	}
	if err != nil {
		return err
	}
	if l.hostname != "" && !plainHost.MatchString(l.hostname) {
		return engine.Blamef(engine.UserFault, "metadata.hostname %q is no host name", l.hostname)
	}
	if missing, err := missingTools(ctx, im, "qemu-nbd", "qemu-img", "debugfs", "e2fsck"); err != nil || missing != "" {
		return errors.Join(err, notEmpty(missing, im))
	}
	info, err := im.Check(ctx, file, c.Format)
	if err != nil {
		return err
	}
	p, err := c.root(ctx, im, file, info.Format)
	if err != nil {
		return err
	}
	return editPartition(ctx, im, file, info.Format, p, func(part string) error {
		fs := &extFS{ctx: ctx, im: im, part: part}
		public, err := l.install(fs)
		if err == nil {
			err = fs.apply()
		}
		if err == nil {
			im.HostKeys = append(im.HostKeys, public)
		}
		return err
	})
}

func notEmpty(missing string, im *engine.Image) error {
	if missing == "" {
		return nil
	}
	return fmt.Errorf("%s has no %s; install qemu-utils and e2fsprogs there, or use setup_cloudinit_iso", im.Conn, missing)
}

// root finds the partition to change.
func (c *setupImage) root(ctx context.Context, im *engine.Image, file, format string) (best partition, err error) {
	b, err := openBlocks(ctx, im, file, format)
	if err != nil {
		return best, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	t, err := readTable(b, b.size)
	if errors.Is(err, errNoTable) {
		t, err = &table{parts: []partition{{number: 0, size: b.size}}}, nil
	}
	if err != nil {
		return best, err
	}
	for _, p := range t.parts {
		if c.PartitionNumber != 0 && p.number != c.PartitionNumber {
			continue
		}
		ext, err := isExt(b, p)
		if err != nil {
			return best, err
		}
		if ext && p.size > best.size {
			best = p
		}
	}
	if best.size == 0 {
		return best, errors.New("it has no ext2, ext3 or ext4 file system to write to; use setup_cloudinit_iso for images with cloud-init")
	}
	return best, nil
}

// install says what of the login goes where. It returns the public host key.
func (l login) install(fs *extFS) (public string, err error) {
	passwd, err := fs.read("/etc/passwd")
	if err != nil {
		return "", err
	}
	shadow, err := fs.read("/etc/shadow")
	if err != nil {
		return "", err
	}
	group, err := fs.read("/etc/group")
	if err != nil {
		return "", err
	}
	if passwd == "" || group == "" {
		return "", errors.New("its partition holds no /etc/passwd; name the right one with `partition_number`")
	}
	if l.root != "" {
		shadow = setPassword(shadow, "root", l.root)
	}
	owner := 0
	if l.user != "" {
		var home string
		passwd, group, owner, home = addUser(passwd, group, l.user)
		shadow = setPassword(shadow, l.user, orLocked(l.password))
		fs.mkdir(home, 0o755, owner)
		l.authorize(fs, home, owner)
		if l.sudo && fs.has("/etc/sudoers.d") {
			fs.write("/etc/sudoers.d/farm", l.user+" ALL=(ALL) NOPASSWD:ALL\n", 0o440, 0)
		}
	}
	fs.write("/etc/passwd", passwd, 0o644, 0)
	fs.write("/etc/group", group, 0o644, 0)
	fs.write("/etc/shadow", shadow, 0o640, 0)
	fs.mkdir("/root", 0o700, 0)
	l.authorize(fs, "/root", 0)
	if l.hostname != "" {
		hosts, err := fs.read("/etc/hosts")
		if err != nil {
			return "", err
		}
		fs.write("/etc/hostname", l.hostname+"\n", 0o644, 0)
		fs.write("/etc/hosts", withHost(hosts, l.hostname), 0o644, 0)
	}
	if id, err := fs.read("/etc/machine-id"); err != nil {
		return "", err
	} else if id != "" {
		fs.write("/etc/machine-id", "", 0o444, 0) // each guest makes its own
	}
	private, public, err := newHostKey()
	if err != nil {
		return "", err
	}
	return public, l.sshd(fs, private, public)
}

func (l login) authorize(fs *extFS, home string, owner int) {
	if len(l.keys) > 0 {
		fs.mkdir(path.Join(home, ".ssh"), 0o700, owner)
		fs.write(path.Join(home, ".ssh/authorized_keys"), strings.Join(l.keys, "\n")+"\n", 0o600, owner)
	}
}

// sshd puts farm's settings before all others: sshd takes the first value of each.
func (l login) sshd(fs *extFS, private, public string) error {
	if !fs.has("/etc/ssh") {
		return errors.New("it has no /etc/ssh: farm reaches guests by sshd only")
	}
	old, err := fs.read("/etc/ssh/sshd_config")
	if err != nil {
		return err
	}
	const mark, end = "# farm: begin\n", "# farm: end\n"
	if _, rest, ok := strings.Cut(old, end); ok && strings.HasPrefix(old, mark) {
		old = rest
	}
	yes := map[bool]string{true: "yes", false: "no"}
	set := "PermitRootLogin " + map[bool]string{true: "yes", false: "prohibit-password"}[l.root != ""] + "\n" +
		"PasswordAuthentication " + yes[l.root != "" || l.password != ""] + "\nPubkeyAuthentication yes\n"
	fs.write("/etc/ssh/sshd_config", mark+set+end+old, 0o644, 0)
	fs.write("/etc/ssh/ssh_host_ed25519_key", private, 0o600, 0)
	fs.write("/etc/ssh/ssh_host_ed25519_key.pub", public+"\n", 0o644, 0)
	return nil
}

func orLocked(hash string) string {
	if hash == "" {
		return "*" // no password fits, keys do
	}
	return hash
}

// setPassword changes or adds a user's line of /etc/shadow (shadow(5)).
func setPassword(shadow, user, hash string) string {
	lines := strings.Split(strings.TrimSuffix(shadow, "\n"), "\n")
	for i, line := range lines {
		if f := strings.Split(line, ":"); f[0] == user && len(f) > 1 {
			f[1] = hash
			lines[i] = strings.Join(f, ":")
			return strings.Join(lines, "\n") + "\n"
		}
	}
	return strings.TrimPrefix(shadow+user+":"+hash+":19000:0:99999:7:::\n", "\n")
}

// addUser adds a user to passwd(5) and group(5) unless there is one of the name.
func addUser(passwd, group, user string) (string, string, int, string) {
	taken := map[int]bool{}
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 6 {
			continue
		}
		id, err := strconv.Atoi(f[2])
		if f[0] == user && err == nil {
			return passwd, group, id, f[5]
		}
		taken[id] = true
	}
	for line := range strings.Lines(group) {
		if f := strings.Split(line, ":"); len(f) > 2 {
			if id, err := strconv.Atoi(f[2]); err == nil {
				taken[id] = true
			}
		}
	}
	id := 1000
	for taken[id] {
		id++
	}
	home := "/home/" + user
	return fmt.Sprintf("%s%s:x:%d:%d::%s:/bin/sh\n", passwd, user, id, id, home), fmt.Sprintf("%s%s:x:%d:\n", group, user, id), id, home
}

// withHost gives a host name an address of its own in hosts(5), as Debian does.
func withHost(hosts, name string) string {
	var kept strings.Builder
	for line := range strings.Lines(hosts) {
		if !strings.HasPrefix(line, "127.0.1.1") {
			kept.WriteString(line)
		}
	}
	short, _, _ := strings.Cut(name, ".")
	names := name
	if short != name {
		names += " " + short
	}
	return strings.TrimSuffix(kept.String(), "\n") + "\n127.0.1.1 " + names + "\n"
}
