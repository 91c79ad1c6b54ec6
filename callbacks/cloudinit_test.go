package callbacks

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"farm/engine"
	"farm/inventory/value"
)

// withKey gives an image a key pair on the controller and a login.
func withKey(t *testing.T, im *engine.Image) string {
	t.Helper()
	private, public, err := newHostKey()
	if err != nil {
		t.Fatal(err)
	}
	im.KeyPath = filepath.Join(t.TempDir(), "id")
	write(t, im.KeyPath, private)
	write(t, im.KeyPath+".pub", public+" farm\n")
	im.VM.Def.Metadata.Hostname = "vm.amd64.debian-12"
	im.VM.Def.Metadata.Auth.User, im.VM.Def.Metadata.Auth.Password = "user", "pass word"
	im.VM.Def.Metadata.Auth.BecomePassword = "rootpass"
	return public
}

func isoFiles(t *testing.T, name string) (volume string, files map[string]string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	fs, err := iso9660.Read(file.New(f, true), st.Size(), 0, 2048)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := fs.ReadDir("/")
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, e := range entries {
		in, err := fs.OpenFile("/"+e.Name(), os.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, e.Size())
		if _, err := in.Read(b); err != nil && len(b) > 0 && err.Error() != "EOF" {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return strings.TrimSpace(fs.Label()), files
}

func TestCloudinitSeed(t *testing.T) {
	im, _ := newImage(t)
	public := withKey(t, im)
	cb := callback(t, "setup_cloudinit_iso", "dest", "seed.iso", "packages", []any{"haveged"},
		"network_config", value.NewDict("version", int64(2)), "user_data", value.NewDict("timezone", "UTC"))
	if err := cb.Run(t.Context(), im); err != nil {
		t.Fatal(err)
	}
	volume, files := isoFiles(t, filepath.Join(im.TmpDir, "seed.iso"))
	if volume != "cidata" {
		t.Errorf("the volume is %q", volume)
	}
	text, ok := strings.CutPrefix(files["user-data"], "#cloud-config\n")
	if !ok {
		t.Fatalf("files: %v", files)
	}
	var user struct {
		Hostname string
		Timezone string
		Users    []struct {
			Name          string
			HashedPasswd  string   `json:"hashed_passwd"`
			SSHAuthorized []string `json:"ssh_authorized_keys"`
			Sudo          string
		}
		SSHKeys  map[string]string `json:"ssh_keys"`
		Packages []string
	}
	if err := json.Unmarshal([]byte(text), &user); err != nil {
		t.Fatal(err)
	}
	if user.Hostname != "vm.amd64.debian-12" || user.Timezone != "UTC" || len(user.Users) != 2 || user.Packages[0] != "haveged" {
		t.Errorf("user-data: %s", text)
	}
	u := user.Users[1]
	if u.Name != "user" || !strings.HasPrefix(u.HashedPasswd, "$6$") || u.SSHAuthorized[0] != public+" farm" || u.Sudo == "" {
		t.Errorf("user: %+v", u)
	}
	if strings.Contains(text, "pass word") || strings.Contains(text, "rootpass") {
		t.Error("a password stands in the seed as it is")
	}
	if len(im.HostKeys) != 1 || user.SSHKeys["ed25519_public"] != im.HostKeys[0] {
		t.Errorf("host keys: %v", im.HostKeys)
	}
	if !strings.Contains(files["meta-data"], "local-hostname") || !strings.Contains(files["network-config"], "version") {
		t.Errorf("files: %v", files)
	}
}

func TestCloudinitKeyFollowsLogin(t *testing.T) {
	im, _ := newImage(t)
	withKey(t, im)
	key := func() string {
		k, err := callback(t, "setup_cloudinit_iso").(engine.Keyed).Key(t.Context(), im)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := key()
	if key() != first {
		t.Error("the key is not stable")
	}
	im.VM.Def.Metadata.Hostname = "other"
	second := key()
	im.VM.Def.Metadata.Auth.Password = "other"
	if third := key(); first == second || second == third {
		t.Error("the key does not follow hostname and password")
	}
}
