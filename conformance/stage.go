package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"
)

// Stage is where cases run: both sides use the same paths, one after the other, so that
// no path in a result differs.
type Stage struct {
	Dir string // root of a folder for each case
}

func (s Stage) src(c *Case) string  { return filepath.Join(s.Dir, c.Slug, "src") }
func (s Stage) work(c *Case) string { return filepath.Join(s.Dir, c.Slug, "work") }

// Prepare makes a case's two folders anew: src with its files, work with what it starts from.
func (s Stage) Prepare(c *Case) error {
	if err := os.RemoveAll(filepath.Join(s.Dir, c.Slug)); err != nil {
		return err
	}
	for _, d := range []string{s.src(c), s.work(c)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	play, err := c.playbook()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(s.src(c), "playbook.yaml"), play, 0o644),
		writeFiles(s.src(c), c.Files),
		writeFiles(s.work(c), c.Work),
	)
}

// playbook is the case as a play on the host of its name.
func (c *Case) playbook() ([]byte, error) {
	play := map[string]any{"hosts": c.Slug, "gather_facts": false, "tasks": &c.Tasks}
	if c.Vars.Kind != 0 {
		play["vars"] = &c.Vars
	}
	if c.Handlers.Kind != 0 {
		play["handlers"] = &c.Handlers
	}
	return yaml.Marshal([]any{play})
}

func writeFiles(dir string, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(dir, name)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("the file %q leaves its folder", name)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
