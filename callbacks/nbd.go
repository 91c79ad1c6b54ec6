package callbacks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"time"

	"farm/engine"
)

// blocks is a disk image on the host, opened for its bytes whatever its format: a qemu-nbd
// on a socket of its own, and the few parts of the protocol that it takes
// (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md). One caller at a time.
type blocks struct {
	conn net.Conn
	size int64
	stop func() error
}

// nbdScript serves an image on the socket nbd in a folder, which goes with it, also where farm is
// killed and what its callbacks run is ended.
const nbdScript = `trap : HUP INT TERM
qemu-nbd -k "$1/nbd" -f "$2" -- "$3"; status=$?
rm -rf -- "$1"; exit $status`

// openBlocks opens an image whose header was checked. It needs no root.
func openBlocks(ctx context.Context, im *engine.Image, file, format string) (*blocks, error) {
	out, err := sh(ctx, im, shortly, `mktemp -d /tmp/farm-nbd.XXXXXX`) // a socket's path is short
	if err != nil {
		return nil, err
	}
	dir := strings.TrimSpace(out)
	socket := path.Join(dir, "nbd")
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		out, err := im.Conn.Exec(ctx, engine.Cmd{Argv: []string{"/bin/sh", "-c", nbdScript, "farm", dir, format, file}, Dir: "/"})
		if err != nil {
			err = out.Because(err)
		}
		done <- err
	}()
	b := &blocks{stop: func() error {
		// qemu-nbd ends, with everything written, when its only client has left.
		var err error
		select {
		case err = <-done:
		case <-time.After(shortly):
			err = errors.New("qemu-nbd does not end")
		case <-ctx.Done():
			err = ctx.Err()
		}
		cancel()
		_, gone := sh(context.WithoutCancel(ctx), im, shortly, `rm -rf -- "$1"`, dir)
		return errors.Join(err, gone)
	}}
	if b.conn, err = b.connect(ctx, im, socket, done); err == nil {
		err = b.handshake()
	}
	if err != nil {
		if b.conn != nil {
			b.conn.Close()
		}
		cancel()
		return nil, errors.Join(fmt.Errorf("open %q with qemu-nbd: %w", path.Base(file), err), ignoreCancelled(b.stop()))
	}
	return b, nil
}

func ignoreCancelled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// connect tries until qemu-nbd listens, it ends, or half a minute has passed.
func (b *blocks) connect(ctx context.Context, im *engine.Image, socket string, done chan error) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, headLimit)
	defer cancel()
	for {
		conn, err := im.Conn.Dial(ctx, "unix", socket)
		if err == nil {
			return conn, nil
		}
		select {
		case ended := <-done:
			done <- nil
			return nil, errors.Join(ended, err)
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

const (
	nbdHello, nbdOption  = 0x4e42444d41474943, 0x49484156454F5054
	nbdRequest, nbdReply = 0x25609513, 0x67446698
	nbdExportName        = 1
	nbdFixed, nbdNoZeros = 1, 2
	nbdRead, nbdWrite    = 0, 1
	nbdClose, nbdFlush   = 2, 3
)

func (b *blocks) handshake() error {
	b.conn.SetDeadline(time.Now().Add(headLimit))
	var hello [18]byte
	if _, err := io.ReadFull(b.conn, hello[:]); err != nil {
		return err
	}
	flags := binary.BigEndian.Uint16(hello[16:])
	if binary.BigEndian.Uint64(hello[:]) != nbdHello || binary.BigEndian.Uint64(hello[8:]) != nbdOption || flags&(nbdFixed|nbdNoZeros) != nbdFixed|nbdNoZeros {
		return errors.New("it does not speak the protocol that is expected")
	}
	var ask [20]byte
	binary.BigEndian.PutUint32(ask[:], nbdFixed|nbdNoZeros)
	binary.BigEndian.PutUint64(ask[4:], nbdOption)
	binary.BigEndian.PutUint32(ask[12:], nbdExportName)
	if _, err := b.conn.Write(ask[:]); err != nil {
		return err
	}
	var export [10]byte
	if _, err := io.ReadFull(b.conn, export[:]); err != nil {
		return err
	}
	b.size = int64(binary.BigEndian.Uint64(export[:]))
	if b.size < 0 {
		return errors.New("its size is no size")
	}
	return nil
}

// call sends one request and waits for its reply; into takes what is read.
func (b *blocks) call(kind uint16, at int64, length int, send, into []byte) error {
	b.conn.SetDeadline(time.Now().Add(stallLimit))
	req := make([]byte, 28, 28+len(send))
	binary.BigEndian.PutUint32(req, nbdRequest)
	binary.BigEndian.PutUint16(req[6:], kind)
	binary.BigEndian.PutUint64(req[16:], uint64(at))
	binary.BigEndian.PutUint32(req[24:], uint32(length))
	if _, err := b.conn.Write(append(req, send...)); err != nil || kind == nbdClose {
		return err
	}
	var reply [16]byte
	if _, err := io.ReadFull(b.conn, reply[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(reply[:]) != nbdReply {
		return errors.New("qemu-nbd: its answer is no reply")
	}
	if code := binary.BigEndian.Uint32(reply[4:]); code != 0 {
		return fmt.Errorf("qemu-nbd: error %d at byte %d", code, at)
	}
	_, err := io.ReadFull(b.conn, into)
	return err
}

// ReadAt reads at most 1 MiB.
func (b *blocks) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > b.size || len(p) > 1<<20 {
		return 0, fmt.Errorf("read of %d bytes at %d of a disk of %d", len(p), at, b.size)
	}
	return len(p), b.call(nbdRead, at, len(p), nil, p)
}

// WriteAt writes at most 1 MiB.
func (b *blocks) WriteAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > b.size || len(p) > 1<<20 {
		return 0, fmt.Errorf("write of %d bytes at %d of a disk of %d", len(p), at, b.size)
	}
	return len(p), b.call(nbdWrite, at, len(p), p, nil)
}

// Close flushes and waits until the image is closed.
func (b *blocks) Close() error {
	err := b.call(nbdFlush, 0, 0, nil, nil)
	return errors.Join(err, b.call(nbdClose, 0, 0, nil, nil), b.conn.Close(), b.stop())
}
