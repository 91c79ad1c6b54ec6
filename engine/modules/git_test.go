package modules

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine/enginetest"
)

// repos is a system with a repository "up" in the guest's folder: commits a, b and c on
// main, tag v1 at a (annotated), branch side off b, tag light at c.
type repos struct {
	*system
	a, b, c, side string
}

func newRepos(t *testing.T) *repos {
	enginetest.Need(t, "git")
	r := &repos{system: newSystem(t, nil)}
	for k, v := range map[string]string{
		"HOME": t.TempDir(), "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
		"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always",
		"GIT_CONFIG_KEY_1": "advice.detachedHead", "GIT_CONFIG_VALUE_1": "false",
	} {
		r.task.Env[k] = v
	}
	r.git("init", "-q", "-b", "main", "up")
	r.a = r.commit("up", "one", "a")
	r.git("-C", "up", "tag", "-a", "-m", "v1", "v1")
	r.b = r.commit("up", "one", "b")
	r.git("-C", "up", "checkout", "-q", "-b", "side")
	r.side = r.commit("up", "one", "side")
	r.git("-C", "up", "checkout", "-q", "main")
	r.c = r.commit("up", "one", "c")
	r.git("-C", "up", "tag", "light")
	return r
}

func (r *repos) git(args ...string) string {
	r.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = os.Environ()
	for k, v := range r.task.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes text to a file of a repository and returns the new commit.
func (r *repos) commit(repo, file, text string) string {
	r.Helper()
	r.write(repo+"/"+file, text)
	r.git("-C", repo, "add", "-A")
	r.git("-C", repo, "commit", "-q", "-m", text)
	return r.git("-C", repo, "rev-parse", "HEAD")
}

// at checks what a work tree has checked out; branch "HEAD" is none.
func (r *repos) at(repo, branch, text string) {
	r.Helper()
	r.holds(repo+"/one", text, 0)
	if got := r.git("-C", repo, "rev-parse", "--abbrev-ref", "HEAD"); got != branch {
		r.Errorf("on %q, want %q", got, branch)
	}
	if got := r.git("-C", repo, "status", "--porcelain", "-uno"); got != "" {
		r.Errorf("local changes: %s", got)
	}
}

func TestGitArchives(t *testing.T) {
	r := newRepos(t)
	for _, name := range []string{"a.tar", "b.tar.gz", "c.tgz"} {
		args := "{repo: DIR/up, dest: DIR/w, archive: DIR/" + name + ", archive_prefix: up/}"
		r.check("git", args, "changed")
		r.check("git", args, "ok")
		if out, err := exec.Command("tar", "-tf", filepath.Join(r.dir, name)).Output(); err != nil || string(out) != "up/\nup/one\n" {
			t.Errorf("%s: %q (%v)", name, out, err)
		}
	}
	args := "{repo: DIR/up, dest: DIR/w, version: v1, update: false, archive: DIR/a.tar}"
	r.dry("git", "{repo: DIR/up, dest: DIR/w, archive: DIR/d.tar}", "changed")
	r.check("git", args, "changed") // without the prefix
	r.check("git", args, "ok")
	r.fails("git", "{repo: DIR/up, dest: DIR/w, archive: DIR/a.rar}", 0, "a.rar")
	r.fails("git", "{repo: DIR/up, dest: DIR/w, archive_prefix: a}", 0, "archive")
}

func TestGitDirMayBeElsewhere(t *testing.T) {
	r := newRepos(t)
	args := "{repo: DIR/up, dest: DIR/w, separate_git_dir: DIR/sep}"
	r.check("git", args, "changed")
	r.check("git", args, "ok")
	r.holds("w/.git", "gitdir: "+r.dir+"/sep\n", 0)
	r.check("git", "{repo: DIR/up, dest: DIR/v}", "changed")
	r.dry("git", "{repo: DIR/up, dest: DIR/v, separate_git_dir: DIR/other}", "changed")
	res := r.check("git", "{repo: DIR/up, dest: DIR/v, separate_git_dir: DIR/other}", "changed")
	r.values(res, "git_dir_before", r.dir+"/v/.git", "git_dir_now", r.dir+"/other")
	r.at("v", "main", "c")
	r.fails("git", "{repo: DIR/up, dest: DIR/u, separate_git_dir: DIR/other}", 1, "there already")
	r.fails("git", "{repo: DIR/up, dest: DIR/u, separate_git_dir: DIR/x, bare: true}", 0, "bare")
	r.values(r.check("git", "{repo: DIR/up, clone: false, version: side}", "changed"), "after", r.side)
	r.fails("git", "{repo: DIR/up}", 0, "clone=no")
}

func TestGitVerifiesSignatures(t *testing.T) {
	enginetest.Need(t, "gpg")
	r := newRepos(t)
	home := t.TempDir()
	os.Chmod(home, 0o700)
	r.task.Env["GNUPGHOME"] = home
	r.fails("git", "{repo: DIR/up, dest: DIR/w, verify_commit: true}", 1, "Failed to verify GPG signature of commit/tag")
	if _, err := os.Stat(r.dir + "/w/one"); err == nil {
		t.Error("files of a commit without a signature are there")
	}
	key := exec.Command("gpg", "--homedir", home, "--batch", "--passphrase", "", "--quick-gen-key", "A <a@example.org>", "ed25519")
	if out, err := key.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	r.git("-C", "up", "commit", "-q", "--allow-empty", "-S", "-m", "signed")
	r.git("-C", "up", "tag", "-s", "-m", "good", "v2")
	r.git("-C", "up", "tag", "-a", "-m", "bad", "v3")
	for _, version := range []string{"main", "v2"} {
		r.check("git", "{repo: DIR/up, dest: DIR/"+version+", verify_commit: true, version: "+version+"}", "changed")
	}
	r.fails("git", "{repo: DIR/up, dest: DIR/x, verify_commit: true, version: v3}", 1, "v3")
	print := strings.Fields(r.git("-C", "up", "log", "-1", "--format=%GF %GP"))[0]
	r.check("git", "{repo: DIR/up, dest: DIR/y, verify_commit: true, gpg_whitelist: [AAAA, "+print+"]}", "changed")
	r.fails("git", "{repo: DIR/up, dest: DIR/z, verify_commit: true, gpg_whitelist: [AAAA]}", 1, "gpg_whitelist")
}

func TestGitClonesVersions(t *testing.T) {
	r := newRepos(t)
	for _, test := range []struct{ version, commit, branch, text string }{
		{"HEAD", r.c, "main", "c"}, {"main", r.c, "main", "c"}, {"side", r.side, "side", "side"},
		{"v1", r.a, "HEAD", "a"}, {"light", r.c, "HEAD", "c"}, {r.b, r.b, "HEAD", "b"}, {r.b[:9], r.b, "HEAD", "b"},
		{"refs/heads/side", r.side, "HEAD", "side"},
	} {
		t.Run(test.version, func(t *testing.T) {
			for i, repo := range []string{"DIR/up", "file://DIR/up"} {
				dest := fmt.Sprintf("to/%s%d", strings.ReplaceAll(test.version, "/", "-"), i)
				args := "{repo: '" + repo + "', dest: DIR/" + dest + ", version: " + test.version + "}"
				r.T = t
				res := r.cycle("git", args)
				r.values(res, "before", nil, "after", test.commit)
				r.at(dest, test.branch, test.text)
			}
		})
	}
}

func TestGitDepth(t *testing.T) {
	r := newRepos(t)
	for _, test := range []struct{ version, branch, text string }{
		{"HEAD", "main", "c"}, {"side", "side", "side"}, {"v1", "HEAD", "a"},
	} {
		t.Run(test.version, func(t *testing.T) {
			r.T = t
			dest := "deep/" + test.version
			args := "{repo: 'file://DIR/up', dest: DIR/" + dest + ", depth: 1, version: " + test.version + "}"
			r.check("git", args, "changed")
			r.check("git", args, "ok")
			r.at(dest, test.branch, test.text)
			if n := r.git("-C", dest, "rev-list", "--count", "HEAD"); n != "1" {
				t.Errorf("%s commits", n)
			}
		})
	}
	r.T = t
	r.commit("up", "one", "d")
	r.cycle("git", "{repo: 'file://DIR/up', dest: DIR/deep/HEAD, depth: 1}")
	r.at("deep/HEAD", "main", "d")
	// A commit that the short history does not have.
	r.check("git", "{repo: 'file://DIR/up', dest: DIR/deep/HEAD, depth: 1, version: "+r.a+"}", "changed")
	r.at("deep/HEAD", "HEAD", "a")
	r.check("git", "{repo: 'file://DIR/up', dest: DIR/deep/HEAD, depth: 1, version: side}", "changed")
	r.at("deep/HEAD", "side", "side")
	r.check("git", "{repo: 'file://DIR/up', dest: DIR/deep/HEAD, version: v1}", "changed")
	r.at("deep/HEAD", "HEAD", "a")
}

func TestGitSingleBranch(t *testing.T) {
	r := newRepos(t)
	r.cycle("git", "{repo: 'file://DIR/up', dest: DIR/one, version: side, single_branch: yes}")
	r.at("one", "side", "side")
	if got := r.git("-C", "one", "branch", "-r"); strings.Contains(got, "main") {
		t.Errorf("branches %s", got)
	}
	r.cycle("git", "{repo: 'file://DIR/up', dest: DIR/one, version: main, single_branch: yes}")
	r.at("one", "main", "c")
}

func TestGitUpdates(t *testing.T) {
	r := newRepos(t)
	const args = "{repo: DIR/up, dest: DIR/to}"
	r.check("git", args, "changed")
	d := r.commit("up", "one", "d")
	r.check("git", "{repo: DIR/up, dest: DIR/to, update: no}", "ok")
	r.values(r.cycle("git", args), "before", r.c, "after", d)
	r.at("to", "main", "d")
	r.cycle("git", "{repo: DIR/up, dest: DIR/to, version: side}")
	r.at("to", "side", "side")
	r.cycle("git", args)
	r.at("to", "main", "d")
	// History that was written anew, and a tag that was moved.
	r.git("-C", "up", "reset", "-q", "--hard", r.a)
	e := r.commit("up", "one", "e")
	r.git("-C", "up", "tag", "-f", "light")
	r.values(r.cycle("git", args), "after", e)
	r.check("git", "{repo: DIR/up, dest: DIR/to, version: light}", "ok")
	// Another URL.
	r.git("clone", "-q", "--bare", "up", "copy.git")
	r.values(r.cycle("git", "{repo: DIR/copy.git, dest: DIR/to}"), "remote_url_changed", true)
}

func TestGitKeepsLocalChanges(t *testing.T) {
	r := newRepos(t)
	const args = "{repo: DIR/up, dest: DIR/to}"
	r.check("git", args, "changed")
	r.write("to/one", "mine")
	r.write("to/new", "mine")
	r.fails("git", args, 1, "local changes")
	r.holds("to/one", "mine", 0)
	r.dry("git", args, "failed")
	r.cycle("git", "{repo: DIR/up, dest: DIR/to, force: yes}")
	r.holds("to/one", "c", 0)
	r.holds("to/new", "mine", 0)
}

func TestGitSubmodules(t *testing.T) {
	r := newRepos(t)
	r.git("init", "-q", "-b", "main", "lib")
	r.commit("lib", "one", "lib a")
	r.git("-C", "up", "submodule", "--quiet", "add", r.dir+"/lib", "sub")
	r.commit("up", "one", "with sub")
	const args = "{repo: DIR/up, dest: DIR/to}"
	r.cycle("git", args)
	r.holds("to/sub/one", "lib a", 0)
	r.commit("lib", "one", "lib b")
	r.check("git", args, "ok")
	r.git("-C", "up/sub", "pull", "-q", "origin", "main")
	r.commit("up", "one", "newer sub")
	r.cycle("git", args)
	r.holds("to/sub/one", "lib b", 0)
	r.check("git", "{repo: DIR/up, dest: DIR/flat, recursive: no}", "changed")
	r.only("flat/sub")
	r.commit("lib", "one", "lib c")
	r.check("git", "{repo: DIR/up, dest: DIR/to, track_submodules: yes}", "changed")
	r.holds("to/sub/one", "lib c", 0)
}

func TestGitBare(t *testing.T) {
	r := newRepos(t)
	r.values(r.cycle("git", "{repo: DIR/up, dest: DIR/to.git, bare: yes}"), "after", r.c)
	d := r.commit("up", "one", "d")
	r.values(r.cycle("git", "{repo: DIR/up, dest: DIR/to.git, bare: yes}"), "after", d)
}

func TestGitFailures(t *testing.T) {
	r := newRepos(t)
	r.fails("git", "{repo: DIR/up, dest: DIR/to, version: nonesuch}", 1, `no version "nonesuch"`)
	r.fails("git", "{repo: DIR/up, dest: DIR/to1, depth: 1, version: nonesuch}", 1, `no version "nonesuch"`)
	r.fails("git", "{repo: DIR/none, dest: DIR/to2}", 128, "none")
	r.dry("git", "{repo: DIR/none, dest: DIR/to2}", "failed")
	r.write("full/file", "")
	r.fails("git", "{repo: DIR/up, dest: DIR/full}", 1, "no repository")
	r.fails("git", "{repo: DIR/up, dest: DIR/to3, version: --upload-pack=x}", 0, "dash")
	r.fails("git", "{repo: DIR/up, dest: DIR/to3, executable: no-such-git}", 1, `"no-such-git" is missing`)
	r.check("git", "{repo: DIR/up, dest: DIR/to4, clone: no}", "changed")
	if _, err := os.Stat(filepath.Join(r.dir, "to4")); !os.IsNotExist(err) {
		t.Errorf("to4 was made: %v", err)
	}
}
