// Package images keeps disk states on one host: base images prepared once from a
// definition's sources, and layers frozen on top of them. A state that is in the store is
// never written again; machines run on overlays.
//
// In the store's folder: downloads (kept by content), layers/KEY (layer.json and disk
// files), tmp (work under way), locks. A layer gets its place by one rename, so there is
// a whole layer or none, whatever is killed when. The host needs sh, qemu-img,
// flock (util-linux) and the tools of coreutils.
package images

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"farm/engine"
)

// Store is the layers on one host. Safe for concurrent use, also by several processes.
type Store struct {
	conn engine.Conn
	dir  string // absolute, on the host
	home string // of the user that conn logs in as

	// A held lock is a command that runs for minutes, and a connection carries only a few at
	// once: these leave room for the commands that do the work.
	preparing, freezing, reserving chan struct{}

	mu     sync.Mutex
	flight map[string]*flight // preparations under way in this process, by key
	making map[string]bool    // layers that are reserved in this process
}

// Open makes the folders of a store on conn's machine, if they are missing. dir may
// start with ~/, the home of the user that conn logs in as.
func Open(ctx context.Context, conn engine.Conn, dir string) (*Store, error) {
	s := &Store{conn: conn, flight: map[string]*flight{}, making: map[string]bool{}, preparing: make(chan struct{}, 2), freezing: make(chan struct{}, 1), reserving: make(chan struct{}, 2)}
	out, err := s.sh(ctx, `
dir=$1
case $dir in "~") dir=$HOME ;; "~/"*) dir=$HOME/${dir#??} ;; esac
mkdir -p -m 0711 "$dir" && cd "$dir" && mkdir -p downloads layers tmp locks && chmod 0711 layers && pwd -P && printf %s "$HOME"`, dir)
	if err != nil {
		return nil, engine.Blame(engine.FarmFault, fmt.Errorf("open the image store %q on %s: %w", dir, conn, err))
	}
	s.dir, s.home, _ = strings.Cut(out, "\n")
	if !path.IsAbs(s.dir) || strings.Contains(s.home, "\n") {
		return nil, engine.Blamef(engine.UserFault, "open the image store %q on %s: the folder is %q, which is no usable path", dir, conn, s.dir)
	}
	return s, nil
}

// Dir is the store's folder on the host, absolute.
func (s *Store) Dir() string { return s.dir }

// Downloads is the folder of fetched files, kept by content.
func (s *Store) Downloads() string { return path.Join(s.dir, "downloads") }

func (s *Store) layerDir(key string) string { return path.Join(s.dir, "layers", key) }

// shortly bounds commands that only touch names and headers.
const shortly = 2 * time.Minute

// atLast bounds commands that move whole disks.
const atLast = 2 * time.Hour

// sh runs a script of ours; args are its positional parameters and are never parsed as text.
func (s *Store) sh(ctx context.Context, script string, args ...string) (string, error) {
	return s.shWithin(ctx, shortly, script, args...)
}

func (s *Store) shWithin(ctx context.Context, limit time.Duration, script string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	argv := append([]string{"/bin/sh", "-c", script, "farm"}, args...)
	out, err := s.conn.Exec(ctx, engine.Cmd{Argv: argv, Dir: "/", Keep: 64 << 20, Env: map[string]string{"LC_ALL": "C"}})
	if err != nil {
		return "", out.Because(err)
	}
	if out.Dropped > 0 {
		return "", fmt.Errorf("the answer is longer than 64 MiB")
	}
	return string(out.Stdout), nil
}

// remove deletes folders of ours on the host, also after ctx has ended.
func (s *Store) remove(ctx context.Context, dirs ...string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortly)
	defer cancel()
	_, err := s.sh(ctx, `chmod -R u+rwX -- "$@" 2>/dev/null; rm -rf -- "$@"`, dirs...)
	return err
}

// me names this process in locks, for people.
func me() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}
