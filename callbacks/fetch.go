package callbacks

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"time"

	"farm/engine"
)

// fetch gets a file into the work folder. Downloads are kept by content in farm's cache on
// the host, checked there, and used again as long as the server, a checksum or its
// absence does not say that they are old. The controller downloads and passes the bytes on to
// the host, so a host needs neither a download tool nor a way to the network.
type fetch struct {
	// Src is an address (http, https, ftp, file) or a path, on the host or else on
	// the controller.
	Src string `yaml:"src|url,required"`
	// Dest is the file's name in the work folder; default the last part of Src.
	Dest string `yaml:"dest"`
	// Mirrors are further addresses of the same file, tried in order.
	Mirrors []string `yaml:"mirrors"`
	// SHA256 is the file's digest, in hex.
	SHA256 string `yaml:"sha256"`
	// SHA512 is the file's digest, in hex.
	SHA512 string `yaml:"sha512"`
	// Checksum is "sha256:HEX", "sha512:HEX", or the address of a published list that
	// has the file's name (coreutils' and BSD's forms, also signed inline).
	Checksum string `yaml:"checksum|checksum_url|checksums"`
	// ChecksumName is the file's name in that list; default the last part of Src.
	ChecksumName string `yaml:"checksum_name"`
	// Timeout bounds the whole download, all tries and mirrors together, from the first question to
	// the server on; default two hours.
	Timeout time.Duration `yaml:"timeout"`
	// Retries is how often a failed download is taken up again; default 5. Each of the mirrors is
	// tried once at least.
	Retries int `yaml:"retries"`

	pause time.Duration // between attempts, doubled each time
	clock clock
}

func newFetch() engine.Callback { return &fetch{Timeout: atLast, Retries: 5, pause: time.Second} }

// remoteAddr reports whether text is an address to download from, not a path.
func remoteAddr(text string) bool {
	scheme, _, ok := strings.Cut(text, "://")
	return ok && (scheme == "http" || scheme == "https" || scheme == "ftp")
}

// Key is the published checksum or the server's word on the file's version; the
// arguments say the rest.
func (f *fetch) Key(ctx context.Context, im *engine.Image) (string, error) {
	f.start()
	if !remoteAddr(f.Src) {
		if scheme, _, ok := strings.Cut(f.Src, "://"); ok && scheme != "file" {
			return "", engine.Blamef(engine.UserFault, "`src` %q: the scheme %q is not http, https, ftp or file", redact(f.Src), scheme)
		}
		return f.localKey(ctx, im)
	}
	want, err := f.want(ctx, im)
	if err != nil || want.algo != "" {
		return want.String(), err
	}
	v, _, err := f.version(ctx, im)
	if err != nil || v.known() {
		return v.String(), err
	}
	// Equal lengths say nothing: disks are mostly of one length.
	emit(im, engine.Warning, "nothing tells whether %s has changed (the server sends neither ETag nor Last-Modified): it is fetched anew in every run; give a checksum to keep it", redact(f.Src))
	return "unknown, in the run " + thisRun, nil
}

// thisRun is in the keys of files of which nobody can say whether they have changed: the VMs of
// one run share them, the next run gets them anew.
var thisRun = rand.Text()

// Run puts the file into the work folder.
func (f *fetch) Run(ctx context.Context, im *engine.Image) error {
	f.start()
	name := f.Dest
	if name == "" || strings.HasSuffix(name, "/") {
		name += f.base()
	}
	dest, err := place(im, name)
	if err != nil {
		return err
	}
	object, err := f.object(ctx, im, dest)
	if err != nil {
		return fmt.Errorf("fetch %q: %w", redact(f.Src), err)
	}
	if object == dest {
		return nil
	}
	return fill(ctx, im, object, dest)
}

// object is the file in the cache; dest itself where it came from a path.
func (f *fetch) object(ctx context.Context, im *engine.Image, dest string) (string, error) {
	if !remoteAddr(f.Src) {
		ctx, cancel := f.bounded(ctx)
		defer cancel()
		return dest, f.late(ctx, f.Src, "copied", "", f.local(ctx, im, dest))
	}
	want, err := f.want(ctx, im)
	if err != nil {
		return "", err
	}
	asked := time.Now()
	release, err := im.Lock(ctx, "download "+f.base())
	if err != nil {
		return "", err
	}
	defer release()
	f.clock.end = f.clock.end.Add(time.Since(asked)) // another VM's download has a timeout of its own
	c := cache{im}
	if want.algo != "" {
		if file, err := c.object(ctx, want); err != nil || file != "" {
			return file, err
		}
	} else {
		now, old, err := f.version(ctx, im)
		if err != nil {
			return "", err
		}
		if rec, err := c.record(ctx, f.Src); err != nil {
			return "", err
		} else if old || now.known() && rec.Version == now {
			if file, err := c.object(ctx, checksumOf(rec.SHA256)); err != nil || file != "" {
				return file, err
			}
		}
	}
	if im.Offline {
		return "", errors.New("it is not in the cache, and --offline forbids to download it")
	}
	return f.download(ctx, im, c, want)
}

// base is the last part of the address.
func (f *fetch) base() string {
	p := f.Src
	if u, err := url.Parse(p); err == nil && u.Scheme != "" {
		p = u.Path
	}
	return path.Base(path.Join("/", p))
}

// want is the checksum that the arguments or the published list give; the zero value if
// they give none. A list that cannot be had is taken from the cache, with a warning.
func (f *fetch) want(ctx context.Context, im *engine.Image) (checksum, error) {
	for _, given := range []string{f.SHA512, f.SHA256} {
		if given != "" {
			c, err := parseChecksum(given)
			return c, engine.Blame(engine.UserFault, err)
		}
	}
	addr := f.Checksum
	for _, algo := range []string{"sha256:", "sha512:"} {
		if rest, ok := strings.CutPrefix(addr, algo); ok && remoteAddr(rest) {
			addr = rest
		}
	}
	if addr == "" {
		return checksum{}, nil
	}
	if !remoteAddr(addr) {
		c, err := parseChecksum(addr)
		return c, engine.Blame(engine.UserFault, err)
	}
	name := f.ChecksumName
	if name == "" {
		name = f.base()
	}
	list, err := f.list(ctx, im, addr)
	if err != nil {
		if strings.HasPrefix(err.Error(), redact(addr)) {
			return checksum{}, fmt.Errorf("checksums %w", err)
		}
		return checksum{}, fmt.Errorf("checksums %s: %w", redact(addr), err)
	}
	c, err := findChecksum(list, name)
	if err != nil {
		return c, fmt.Errorf("checksums %s: %w", redact(addr), err)
	}
	return c, nil
}

// list gets a list of checksums, at most 4 MiB.
func (f *fetch) list(ctx context.Context, im *engine.Image, addr string) (string, error) {
	const most = 4 << 20
	c := cache{im}
	old, err := c.text(ctx, addr)
	if err != nil || im.Offline {
		if err == nil && old == "" {
			err = errors.New("it is not in the cache, and --offline forbids to download it")
		}
		return old, err
	}
	var text string
	var got int64
	limited, stop := f.bounded(ctx)
	defer stop()
	err = f.again(limited, min(f.Retries, 2), func(int) error {
		ctx, cancel := context.WithTimeout(limited, stallLimit)
		defer cancel()
		s, err := openRemote(ctx, addr, 0, version{})
		if err != nil {
			return err
		}
		defer s.Close()
		b, err := io.ReadAll(io.LimitReader(s, most+1))
		got = int64(len(b))
		if len(b) > most {
			return permanent{fmt.Errorf("the list is longer than %d bytes", most)}
		}
		text = string(b)
		return err
	})
	err = f.late(limited, addr, "downloaded", come(got, -1), err)
	if err != nil {
		if old == "" || ctx.Err() != nil {
			return "", err
		}
		emit(im, engine.Warning, "%s cannot be had (%v); uses the list of the last time", redact(addr), err)
		return old, nil
	}
	if text != old {
		err = c.keepText(ctx, addr, text)
	}
	return text, err
}

// version is what the server says of the file now; where it cannot be asked, what it
// said when the cached copy was made, and old is true.
func (f *fetch) version(ctx context.Context, im *engine.Image) (now version, old bool, err error) {
	rec, err := cache{im}.record(ctx, f.Src)
	if err != nil {
		return now, false, err
	}
	if im.Offline {
		if rec.SHA256 == "" {
			return now, false, errors.New("it is not in the cache, and --offline forbids to download it")
		}
		return rec.Version, true, nil
	}
	addrs := append([]string{f.Src}, f.Mirrors...)
	addr := f.Src
	limited, stop := f.bounded(ctx)
	defer stop()
	err = f.again(limited, min(f.Retries, 2), func(try int) error {
		var err error
		addr = addrs[try%len(addrs)]
		now, err = probe(limited, addr)
		return err
	})
	err = f.late(limited, addr, "answered", f.clock.come(), err)
	if err == nil || rec.SHA256 == "" || ctx.Err() != nil {
		return now, false, err
	}
	emit(im, engine.Warning, "%s cannot be reached (%v); uses the copy of %s", redact(f.Src), err, rec.Fetched.Format(time.DateOnly))
	return rec.Version, true, nil
}

// again calls do until it succeeds, its error is permanent at every address, or it was
// called retries times and once more.
func (f *fetch) again(ctx context.Context, retries int, do func(try int) error) error {
	pause := f.pause
	lost := 0
	for try := 0; ; try++ {
		err := do(try)
		var p permanent
		if errors.As(err, &p) {
			lost++
		}
		if err == nil || try >= retries && try >= len(f.Mirrors) || lost > len(f.Mirrors) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		pause = min(2*pause, 30*time.Second)
	}
}
