package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farm/docs"
	"farm/docs/reference"
	"farm/engine"
)

// runHere runs farm in a fresh folder with the files of a page, and returns its status and output.
func runHere(t *testing.T, page string, args ...string) (int, string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	t.Setenv("FARM_HOME", t.TempDir())
	for _, b := range docs.Blocks(string(text)) {
		if err := b.WriteFile("."); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: t.Output(), getenv: os.Getenv}
	return a.main(context.Background(), args), out.String()
}

func TestPlayOfThePageRuns(t *testing.T) {
	status, out := runHere(t, "plays.md", "play", "site.yaml", "-i", "hosts.yaml", "--json")
	var p played
	if err := json.Unmarshal([]byte(out), &p); err != nil || status != 0 {
		t.Fatalf("exit status %d, %v\n%s", status, err, out)
	}
	if p.Status != engine.OK || len(p.Hosts) != 2 || p.Hosts["web2"].OK != 2 {
		t.Errorf("got %s", out)
	}
}

func TestOnHostReadsAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"local":                  `localhost {"ansible_connection":"local"}`,
		"ssh://10.0.0.3":         `10.0.0.3 {"ansible_host":"10.0.0.3"}`,
		"ssh://me@h.example:222": `h.example {"ansible_host":"h.example","ansible_user":"me","ansible_port":"222"}`,
		"ssh://[::1]:22":         `::1 {"ansible_host":"::1","ansible_port":"22"}`,
	} {
		name, vars, err := onHost(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, _ := json.Marshal(vars); name+" "+string(got) != want {
			t.Errorf("%s: %s %s, not %s", text, name, got, want)
		}
	}
	for _, text := range []string{"host", "http://host", "ssh://", "ssh://h/path", "ssh://me:secret@h", "ssh://h:x"} {
		if _, _, err := onHost(text); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

func TestHostKeysAreKeys(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	file := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(file, []byte("# it\n[h]:22 "+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{key, key + " comment", file} {
		keys, err := hostKeys(text)
		if err != nil || len(keys) != 1 || keys[0] != key {
			t.Errorf("%s: %q, %v", text, keys, err)
		}
	}
	for _, text := range []string{"ssh-ed25519 x", file + ".none"} {
		if _, err := hostKeys(text); exitStatus(err) != exitUsage {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestManualHasOneEntryForEachName(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range reference.All() {
		for _, name := range append([]string{e.Name}, e.Aliases...) {
			if seen[e.Kind+" "+name] {
				t.Errorf("%s %q is there twice", e.Kind, name)
			}
			seen[e.Kind+" "+name] = true
		}
		if e.About == "" {
			t.Errorf("nothing is said of %s %q", e.Kind, e.Name)
		}
	}
}
