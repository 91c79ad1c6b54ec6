package modules

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"farm/engine/enginetest"
	"farm/inventory/value"
)

func (b *bench) sh(line string) {
	b.Helper()
	cmd := exec.Command("sh", "-ec", line)
	cmd.Dir = b.source
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v: %s", line, err, out)
	}
}

func TestUnarchive(t *testing.T) {
	for name, pack := range map[string]string{
		"a.tar": "tar -cf files/a.tar d", "a.tgz": "tar -czf files/a.tgz d", "a.txz": "tar -cf - d | xz >files/a.txz",
		"a.zip": "zip -qr files/a.zip d", "misnamed": "tar -czf files/misnamed d",
	} {
		t.Run(name, func(t *testing.T) { tryUnarchive(t, name, pack) })
	}
}

func tryUnarchive(t *testing.T, name, pack string) {
	if name == "a.zip" {
		enginetest.Need(t, "zip", "unzip")
	}
	b := newBench(t)
	b.write(b.source+"/files/.keep", "")
	b.write(b.source+"/d/one", "1")
	b.write(b.source+"/d/sub/two words", "2")
	b.sh("chmod 751 d/one; ln -s one d/link; " + pack)
	b.twice("unarchive", "{src: "+name+", dest: DIR}")
	b.holds("d/one", "1", 0o751)
	b.holds("d/sub/two words", "2", 0o644)
	if to, err := os.Readlink(b.dir + "/d/link"); err != nil && name != "a.zip" {
		t.Error(to, err)
	}
	b.write("d/one", "spoilt")
	b.write("d/mine", "kept")
	b.twice("unarchive", "{src: "+b.source+"/files/"+name+", dest: DIR, remote_src: true}")
	b.holds("d/one", "1", 0o751)
	b.holds("d/mine", "kept", 0)
	b.only("", "d")
	b.check("unarchive", "{src: "+name+", dest: DIR, creates: DIR/d/one}", "skipped")
	b.twice("unarchive", "{src: "+name+", dest: DIR, mode: 'u=rwX,go='}")
	b.holds("d/one", "1", 0o700)
}

func TestUnarchiveRefuses(t *testing.T) {
	b := newBench(t)
	b.write(b.source+"/files/x", "no archive at all")
	b.write(b.source+"/d/one", strings.Repeat("1", 10000))
	b.sh("tar -czf files/a.tgz d; head -c 40 files/a.tgz >files/cut.tgz")
	b.check("unarchive", "{src: x, dest: DIR}", "failed")
	b.check("unarchive", "{src: cut.tgz, dest: DIR}", "failed")
	b.check("unarchive", "{src: a.tgz, dest: DIR/none}", "failed")
	b.check("unarchive", "{src: none.tgz, dest: DIR}", "failed")
	b.only("")
	b.task.Env = map[string]string{"PATH": "/nonexistent"}
	if bin := os.Getenv(busyboxBin); bin != "" && exec.Command(bin+"/sh", "-c", "PATH=/nonexistent; tar --help").Run() == nil {
		b.check("unarchive", "{src: a.tgz, dest: DIR}", "changed") // this shell has its programs in it
		b.holds("d/one", strings.Repeat("1", 10000), 0)
		return
	}
	if r := b.check("unarchive", "{src: a.tgz, dest: DIR}", "failed"); r.Msg == "" {
		t.Error("no message")
	}
	b.only("")
}

func TestFetchRefusesAsAnsibleDoes(t *testing.T) {
	b := newBench(t)
	b.write("f", "x")
	for args, part := range map[string]string{
		"{src: [1], dest: DIR/to}": "Invalid type supplied for source", "{src: DIR/no, dest: DIR/to}": "remote file does not exist",
		"{src: DIR, dest: DIR/to}": "is a directory", "{src: DIR/f, dest: DIR, flat: true}": "dest is an existing directory",
	} {
		if r := b.check("fetch", args, "failed"); !strings.Contains(r.Msg, part) {
			t.Errorf("%s: %q", args, r.Msg)
		}
	}
	if r := b.check("fetch", "{src: DIR, dest: DIR/to, fail_on_missing: false}", "ok"); !strings.HasSuffix(r.Msg, ", ignored") {
		t.Errorf("%q", r.Msg)
	}
}

func TestKnownHosts(t *testing.T) {
	b := newBench(t)
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO73SDtHVEvTDYoYp0uuuEB6ENJ1ogQPPwll6xIO9dRq"
	args := func(more string) string { return "{path: DIR/.ssh/known_hosts, name: host, " + more + "}" }
	b.twice("known_hosts", args("key: host "+key))
	b.holds(".ssh/known_hosts", "host "+key+"\n", 0)
	b.twice("known_hosts", args("key: ssh-ed25519 AAAAother"))
	b.holds(".ssh/known_hosts", "host ssh-ed25519 AAAAother\n", 0)
	b.twice("known_hosts", args("key: ssh-rsa AAAArsa"))
	b.twice("known_hosts", args("state: absent"))
	b.holds(".ssh/known_hosts", "", 0)
	b.twice("known_hosts", args("hash_host: true, key: "+key))
	if text, _ := os.ReadFile(b.dir + "/.ssh/known_hosts"); strings.Contains(string(text), "host") || !strings.HasPrefix(string(text), "|1|") {
		t.Errorf("%s", text)
	}
	b.twice("known_hosts", args("state: absent"))
	b.check("known_hosts", args("state: present"), "failed")
	b.check("known_hosts", args("key: other "+key), "failed")
	b.check("known_hosts", args("key: host "+key), "changed")
	b.twice("known_hosts", args("hash_host: true, key: "+key))
	b.twice("known_hosts", args("key: "+key))
	diff, _ := b.check("known_hosts", args("state: absent"), "changed").Diff.(*value.Dict)
	if before, _ := diff.Get("before"); before != "host "+key+"\n" {
		t.Errorf("before: %q", before)
	}
}

func TestOpensshKeypair(t *testing.T) {
	enginetest.Need(t, "ssh-keygen")
	b := newBench(t)
	args := "{path: DIR/key, type: ed25519, comment: 'me @ here'}"
	b.dry("openssh_keypair", args, "changed")
	b.only("")
	r := b.check("openssh_keypair", args, "changed")
	b.values(r, "type", "ed25519", "size", 256, "comment", "me @ here", "filename", b.dir+"/key")
	public, _ := r.Values.Get("public_key")
	b.holds("key.pub", public.(string)+" me @ here\n", 0o644)
	b.values(b.check("openssh_keypair", args, "ok"), "public_key", public)
	os.Remove(b.dir + "/key.pub")
	b.twice("openssh_keypair", args)
	b.holds("key.pub", public.(string)+" me @ here\n", 0o644)
	b.check("openssh_keypair", "{path: DIR/key, type: ecdsa, regenerate: fail}", "failed")
	b.check("openssh_keypair", "{path: DIR/key, type: ecdsa, regenerate: never}", "ok")
	b.values(b.check("openssh_keypair", "{path: DIR/key, type: ecdsa, size: 384}", "changed"), "type", "ecdsa", "size", 384)
	b.check("openssh_keypair", "{path: DIR/none/key}", "failed")
	b.twice("openssh_keypair", "{path: DIR/key, state: absent}")
	b.only("")
}

func TestSynchronize(t *testing.T) {
	b := newBench(t)
	for _, f := range []string{"d/a", "d/sub/b", "d/.git/config", "d/x.o"} {
		b.write(b.source+"/files/"+f, f)
	}
	os.Chmod(b.source+"/files/d/a", 0o755)
	b.write("to/old/file", "")
	b.write("to/keep.o", "")
	args := "{src: d/, dest: DIR/to, delete: true, rsync_opts: ['--exclude=.git', '--exclude=*.o']}"
	b.twice("synchronize", args)
	b.only("to", "a", "keep.o", "sub")
	b.holds("to/a", "d/a", 0o755)
	b.check("synchronize", "{src: d, dest: DIR/to}", "changed")
	b.only("to/d", ".git", "a", "sub", "x.o")
	b.check("synchronize", "{src: d, dest: DIR/to, mode: pull}", "failed")
	b.check("synchronize", "{src: d, dest: DIR/to, rsync_opts: '--inplace'}", "failed")
}
