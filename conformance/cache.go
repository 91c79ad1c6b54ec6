package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Cache keeps ansible's answers, so that a second `make conformance` runs only farm.
type Cache struct {
	Dir  string
	salt string // what all answers depend on
}

// OpenCache makes a cache in dir whose answers hold for this ansible, this machine and this stage.
func OpenCache(dir string, stage Stage) (*Cache, error) {
	version, err := exec.Command("ansible-playbook", "--version").Output()
	if err != nil {
		return nil, err
	}
	kernel, err := exec.Command("uname", "-a").Output()
	if err != nil {
		return nil, err
	}
	return &Cache{Dir: dir, salt: strings.Join([]string{string(version), string(kernel), stage.Dir, string(recorder), "2"}, "\x00")}, os.MkdirAll(dir, 0o700)
}

func (k *Cache) path(c *Case) string {
	asked := differsLine.ReplaceAll(c.Text, nil) // what farm does otherwise is nothing to ansible
	sum := sha256.Sum256([]byte(k.salt + "\x00" + c.Name + "\x00" + string(asked)))
	return filepath.Join(k.Dir, hex.EncodeToString(sum[:16])+".json")
}

var differsLine = regexp.MustCompile(`(?m)^# differs:.*\n`)

// Get returns ansible's runs of a case; nil where they are not known.
func (k *Cache) Get(c *Case) ([]*Run, error) {
	text, err := os.ReadFile(k.path(c))
	if errors.Is(err, fs.ErrNotExist) || c.Volatile {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var runs []*Run
	return runs, decode(text, &runs)
}

// Put keeps them.
func (k *Cache) Put(c *Case, runs []*Run) error {
	text, err := json.Marshal(runs)
	if err != nil {
		return err
	}
	return os.WriteFile(k.path(c), text, 0o600)
}

// known are the cases whose runs are kept.
func (k *Cache) known(cases []*Case) (out []*Case, err error) {
	for _, c := range cases {
		runs, err := k.Get(c)
		if err != nil {
			return nil, err
		}
		if len(runs) == rounds {
			out = append(out, c)
		}
	}
	return out, nil
}
