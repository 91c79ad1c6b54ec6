package ssh

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// storage is how a file of known hosts is to be treated.
type storage int

const (
	refused storage = iota // neither read nor written
	keeps                  // a regular file, or none yet
	forgets                // a character device such as /dev/null, which people link known_hosts to
)

// storageOf judges by a file's mode, links resolved. Pinning replaces a file by rename, which
// takes anything's place: only what is surely a user's own file may be replaced.
func storageOf(mode fs.FileMode) storage {
	switch {
	case mode.IsRegular():
		return keeps
	case mode&fs.ModeCharDevice != 0:
		return forgets
	}
	return refused
}

// knownFiles splits cfg's files of known hosts: those to read, which exist, and the one that takes
// new keys, "" where none is named. A file other than a regular one or a character device is an error.
func knownFiles(cfg Config) (read []string, pin string, err error) {
	files := cfg.KnownHosts
	if len(files) == 0 {
		return nil, "", nil
	}
	pin = files[0]
	for i := 0; i < len(files); i++ {
		info, err := os.Stat(files[i])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		switch storageOf(info.Mode()) {
		case keeps:
			read = append(read, files[i])
		case forgets:
			if i == 0 && cfg.Spare != "" {
				pin = cfg.Spare
				files = append(files[:len(files):len(files)], cfg.Spare)
			}
		default:
			return nil, "", notRegular(files[i], info.Mode())
		}
	}
	return read, pin, nil
}

func notRegular(file string, mode fs.FileMode) error {
	kind := "a device"
	switch {
	case mode.IsDir():
		kind = "a folder"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a named pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	}
	return fmt.Errorf("%s is %s, not a file of known hosts", file, kind)
}

// pinning serialises writers of this process; others are kept out by the rename.
var pinning sync.Mutex

// pin adds a line to a known_hosts file, whose readers see the old or the new one whole. Links
// are followed, also to a file that is still to be made; mode and owner stay. What is no regular
// file is left as it is, with an error.
func pin(file, addr string, key ssh.PublicKey) error {
	pinning.Lock()
	defer pinning.Unlock()
	if err := addLine(file, knownhosts.Line([]string{addr}, key)+"\n"); err != nil {
		return fmt.Errorf("remember the key of %s: %w", addr, err)
	}
	return nil
}

func addLine(file, line string) error {
	file, err := resolveLinks(file)
	if err != nil {
		return err
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	text, info, err := readRegular(file)
	if err != nil {
		return err
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	tmp, err := os.CreateTemp(dir, ".known_hosts-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(text, line...))
	if err == nil && info != nil {
		err = like(tmp, info)
	}
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// maxLinks is how many links lead to one file at most, as for the kernel (path_resolution(7)).
const maxLinks = 40

// resolveLinks is where file's links lead, which need not exist.
func resolveLinks(file string) (string, error) {
	for range maxLinks {
		real, err := filepath.EvalSymlinks(file)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return real, err
		}
		to, err := os.Readlink(file)
		if err != nil {
			return file, nil // no link: itself, or its folder, is still to be made
		}
		if !filepath.IsAbs(to) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(file))
			if err != nil {
				return "", err
			}
			to = filepath.Join(dir, to)
		}
		file = to
	}
	return "", fmt.Errorf("%s: %w", file, syscall.ELOOP)
}

// readRegular reads a file that is no link. One that is not there is empty, without info.
func readRegular(file string) ([]byte, fs.FileInfo, error) {
	info, err := os.Lstat(file) // first: to open a device may do something
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, notRegular(file, info.Mode())
	}
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() { // it was changed just now
		return nil, nil, notRegular(file, info.Mode())
	}
	text, err := io.ReadAll(f)
	return text, info, err
}

// like gives a new file the owner and mode of the one that it is to replace.
func like(f *os.File, old fs.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	was, ok := old.Sys().(*syscall.Stat_t)
	now, ok2 := info.Sys().(*syscall.Stat_t)
	if ok && ok2 && (was.Uid != now.Uid || was.Gid != now.Gid) {
		if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return fmt.Errorf("keep its owner: %w", err)
		}
	}
	return f.Chmod(old.Mode().Perm())
}
