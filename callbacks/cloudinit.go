package callbacks

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
	"golang.org/x/crypto/ssh"

	"farm/engine"
	"farm/inventory/value"
)

// setupCloudinitISO makes a NoCloud seed, a small ISO image with the volume id cidata that
// cloud-init reads at the first boot: host name, the users of metadata.auth with farm's
// key, and the guest's SSH host key, so that farm knows whom it talks to.
type setupCloudinitISO struct {
	// Dest is the image, in the work folder; use it as a read-only raw disk.
	Dest string `yaml:"dest"`
	// KeysPath is a private key on the controller, whose .pub guests accept beside farm's own; one
	// in tmp_dir stands for that of the same name in ~/.ssh.
	KeysPath string `yaml:"keys_path"`
	// Hostname is the guest's; default metadata.hostname.
	Hostname string `yaml:"hostname"`
	// Packages are installed in the first boot.
	Packages []string `yaml:"packages"`
	// Runcmd are commands, as text or lists of words, for the end of the first boot.
	Runcmd []any `yaml:"runcmd"`
	// UserData is laid over the user-data that farm makes: mappings merge, lists replace.
	UserData *value.Dict `yaml:"user_data"`
	// MetaData is laid over the meta-data that farm makes, likewise.
	MetaData *value.Dict `yaml:"meta_data"`
	// NetworkConfig is the network-config, of version 1 or 2; default none: DHCP.
	NetworkConfig *value.Dict `yaml:"network_config"`
}

func newCloudinit() engine.Callback { return &setupCloudinitISO{Dest: "cidata.iso"} }

// login is what guests are told of who may log in.
type login struct {
	hostname string
	user     string   // "" = root only
	password string   // crypt(5)'s form; "" = none
	root     string   // root's password in the same form
	keys     []string // public keys that log in as the user and as root
	sudo     bool
}

// loginOf collects a definition's logins; hashing costs time and is left out where only
// the key of the work is wanted.
func loginOf(im *engine.Image, keys string) (l login, err error) {
	auth := im.VM.Def.Metadata.Auth
	// names of platforms have underscores, names of hosts must not (RFC 1123)
	l = login{hostname: strings.ReplaceAll(im.VM.Def.Metadata.Hostname, "_", "-"), user: auth.User}
	if l.user == "root" {
		l.user = ""
	}
	if l.user != "" && !plainName.MatchString(l.user) {
		return l, engine.Blamef(engine.UserFault, "metadata.auth.user %q is no user name", l.user)
	}
	l.sudo = l.user != "" && (auth.BecomeMethod == "" || auth.BecomeMethod == "sudo")
	files, err := keyFiles(im, keys)
	if err != nil {
		return l, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file + ".pub")
		if err != nil {
			return l, fmt.Errorf("the public key for guests: %w", err)
		}
		if _, _, _, _, err := ssh.ParseAuthorizedKey(text); err != nil {
			return l, engine.Blamef(engine.UserFault, "%s.pub is no public SSH key: %w", file, err)
		}
		if line := strings.TrimSpace(string(text)); !slices.Contains(l.keys, line) {
			l.keys = append(l.keys, line)
		}
	}
	return l, nil
}

// keyFiles are the private keys that a guest has to accept: farm's own, or else farm could not
// log in, and the one that keys_path names. A path below the definition's tmp_dir stands for
// the key of that name in ~/.ssh; where there is none, farm's own is all there is.
func keyFiles(im *engine.Image, keys string) ([]string, error) {
	var files []string
	if im.KeyPath != "" {
		files = append(files, im.KeyPath)
	}
	if keys == "" {
		return files, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	file := keys
	if rest, ok := strings.CutPrefix(keys, "~/"); ok {
		file = filepath.Join(home, rest)
	}
	rel, inTmp := under(im.VM.Def.Metadata.TmpDir, file)
	if _, err := os.Stat(file + ".pub"); !inTmp || err == nil {
		return append(files, file), nil
	}
	file = filepath.Join(home, ".ssh", filepath.Base(rel))
	switch _, err := os.Stat(file + ".pub"); {
	case err == nil:
		files = append(files, file)
	case len(files) == 0:
		return nil, engine.Blamef(engine.UserFault, "the public key for guests is neither %s.pub nor %s.pub", keys, file)
	}
	return files, nil
}

// hash fills in the passwords of a definition.
func (l *login) hash(im *engine.Image) (err error) {
	auth := im.VM.Def.Metadata.Auth
	if l.user != "" {
		l.password, err = passwordHash(auth.Password)
	}
	root := auth.BecomePassword
	if l.user == "" && root == "" {
		root = auth.Password
	}
	if err == nil && (auth.BecomeUser == "" || auth.BecomeUser == "root") {
		l.root, err = passwordHash(root)
	}
	return err
}

// key is a digest of everything of the login that reaches a guest.
func (l login) key(im *engine.Image) string {
	auth := im.VM.Def.Metadata.Auth
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %q %v", l.hostname, l.user, auth.Password, auth.BecomeUser, auth.BecomePassword, strings.Join(l.keys, "\n"), l.sudo))
	return hex.EncodeToString(sum[:])
}

// newHostKey makes an SSH host key: its private half as OpenSSH keeps it and its public line.
func newHostKey() (private, public string, err error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		return "", "", err
	}
	line, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))), nil
}

// Key is a digest of the logins.
func (c *setupCloudinitISO) Key(_ context.Context, im *engine.Image) (string, error) {
	l, err := loginOf(im, c.KeysPath)
	if err != nil {
		return "", err
	}
	return l.key(im), nil
}

// Run makes the image here and uploads it.
func (c *setupCloudinitISO) Run(ctx context.Context, im *engine.Image) error {
	dest, err := place(im, c.Dest)
	if err != nil {
		return err
	}
	l, err := loginOf(im, c.KeysPath)
	if err != nil {
		return err
	}
	if c.Hostname != "" {
		l.hostname = c.Hostname
	}
	if err := l.hash(im); err != nil {
		return err
	}
	private, public, err := newHostKey()
	if err != nil {
		return err
	}
	seed, err := c.seed(l, private, public)
	if err != nil {
		return err
	}
	iso, err := makeISO("cidata", seed)
	if err != nil {
		return fmt.Errorf("make the cloud-init seed: %w", err)
	}
	defer os.Remove(iso.Name())
	defer iso.Close()
	if err := errors.Join(mkdirFor(ctx, im, dest), im.Conn.Upload(ctx, dest, 0o600, iso)); err != nil {
		return err
	}
	im.HostKeys = append(im.HostKeys, public)
	return nil
}

// seed is the files of a NoCloud source (cloud-init's manual, "NoCloud"). JSON is YAML.
func (c *setupCloudinitISO) seed(l login, private, public string) (map[string]string, error) {
	user, err := json.MarshalIndent(value.Merge(c.userData(l, private, public), c.UserData), "", " ")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(user)
	meta := value.NewDict("instance-id", "farm-"+hex.EncodeToString(sum[:8]))
	if l.hostname != "" {
		meta.Set("local-hostname", l.hostname)
	}
	metaText, err := json.MarshalIndent(value.Merge(meta, c.MetaData), "", " ")
	if err != nil {
		return nil, err
	}
	seed := map[string]string{"user-data": "#cloud-config\n" + string(user) + "\n", "meta-data": string(metaText) + "\n"}
	if c.NetworkConfig.Len() > 0 {
		text, err := json.MarshalIndent(c.NetworkConfig, "", " ")
		if err != nil {
			return nil, err
		}
		seed["network-config"] = string(text) + "\n"
	}
	return seed, nil
}

func (c *setupCloudinitISO) userData(l login, private, public string) *value.Dict {
	d := value.NewDict()
	if l.hostname != "" {
		d.Set("hostname", l.hostname)
		d.Set("preserve_hostname", false)
		d.Set("manage_etc_hosts", true)
	}
	keys := []any{}
	for _, key := range l.keys {
		keys = append(keys, key)
	}
	root := value.NewDict("name", "root", "ssh_authorized_keys", keys)
	users := []any{root}
	if l.user != "" {
		u := value.NewDict("name", l.user, "shell", "/bin/sh", "lock_passwd", l.password == "", "ssh_authorized_keys", keys)
		if l.password != "" {
			u.Set("hashed_passwd", l.password)
		}
		if l.sudo {
			u.Set("sudo", "ALL=(ALL) NOPASSWD:ALL")
		}
		users = append(users, u)
	}
	d.Set("users", users)
	d.Set("disable_root", false)
	d.Set("ssh_pwauth", l.password != "" || l.root != "")
	d.Set("ssh_deletekeys", true)
	d.Set("ssh_keys", value.NewDict("ed25519_private", private, "ed25519_public", public))
	run := []any{}
	if l.root != "" {
		// Root exists, so its hashed_passwd would be ignored, and chpasswd's lists have changed
		// their form between versions. A file keeps the hash off command lines.
		const secret = "/root/.farm-login"
		d.Set("write_files", []any{value.NewDict("path", secret, "permissions", "0600", "content", "root:"+l.root+"\n")})
		run = append(run, []any{"sh", "-c", "chpasswd -e <" + secret + "; rm -f " + secret})
	}
	if run = append(run, c.Runcmd...); len(run) > 0 {
		d.Set("runcmd", run)
	}
	if len(c.Packages) > 0 {
		d.Set("packages", value.From(c.Packages))
	}
	return d
}

// makeISO writes an ISO 9660 image with Rock Ridge names into a temporary file, which the
// caller closes and removes.
func makeISO(volume string, files map[string]string) (_ *os.File, err error) {
	dir, err := os.MkdirTemp("", "farm-iso-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out, err := os.CreateTemp("", "farm-iso-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && out != nil {
			out.Close()
			os.Remove(out.Name())
		}
	}()
	size := int64(1 << 20)
	for _, text := range files {
		size += int64(len(text)) + 4096
	}
	fs, err := iso9660.Create(file.New(out, false), size, 0, 2048, dir)
	if err != nil {
		return nil, err
	}
	for name, text := range files {
		f, err := fs.OpenFile("/"+name, os.O_CREATE|os.O_RDWR)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write([]byte(text)); err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	if err := fs.Finalize(iso9660.FinalizeOptions{RockRidge: true, VolumeIdentifier: volume}); err != nil {
		return nil, err
	}
	// The standard pads the volume id with spaces (ECMA-119, 8.4.8), the library with zeros; the
	// library may also have closed the file.
	name := out.Name()
	out.Close()
	if out, err = os.OpenFile(name, os.O_RDWR, 0); err != nil {
		return nil, errors.Join(err, os.Remove(name))
	}
	_, err = out.WriteAt(fmt.Appendf(nil, "%-32s", volume), 16*2048+40)
	return out, err
}
