package callbacks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"farm/engine"
)

// extendAndConvert makes a disk larger: the image, its last partition, and an ext2, ext3
// or ext4 file system in it (others grow in the guest, where cloud-init does it). A qcow2
// image stays one all the way.
type extendAndConvert struct {
	// Src is the image, in the work folder or on the host.
	Src string `yaml:"src,required"`
	// Dest is the new image, in the work folder.
	Dest string `yaml:"dest,required"`
	// Size is the new virtual size, such as 10G; a larger disk stays as it is.
	Size string `yaml:"size,required"`
	// FromFormat is the format of Src; default qcow2 or raw, as the header says.
	FromFormat string `yaml:"from_format|from"`
	// ToFormat is qcow2 (default) or raw.
	ToFormat string `yaml:"to_format|to"`
	// PartitionNumber is the partition that grows, which must be the last on the disk; 0 = none.
	PartitionNumber int `yaml:"partition_number"`
	// Filesystem also grows the file system, where the host has e2fsprogs.
	Filesystem bool `yaml:"filesystem"`
}

func newExtend() engine.Callback {
	return &extendAndConvert{ToFormat: "qcow2", PartitionNumber: 1, Filesystem: true}
}

// Key is the state of a source outside of the work folder.
func (c *extendAndConvert) Key(ctx context.Context, im *engine.Image) (string, error) {
	return outside(ctx, im, c.Src)
}

// Run converts, grows the image, then what is in it.
func (c *extendAndConvert) Run(ctx context.Context, im *engine.Image) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("extend %q to %s: %w", c.Src, c.Size, err)
		}
	}()
	if c.ToFormat != "qcow2" && c.ToFormat != "raw" {
		return engine.Blamef(engine.UserFault, "`to_format` is qcow2 or raw, not %q", c.ToFormat)
	}
	want, err := sizeBytes(c.Size)
	if err != nil {
		return engine.Blame(engine.UserFault, err)
	}
	src, err := existing(ctx, im, c.Src)
	if err != nil {
		return err
	}
	dest, err := place(im, c.Dest)
	if err != nil {
		return err
	}
	if err := c.copyTo(ctx, im, src, dest); err != nil {
		return err
	}
	info, err := im.Check(ctx, dest, c.ToFormat)
	if err != nil {
		return err
	}
	if want > info.VirtualBytes {
		if _, err := sh(ctx, im, atLast, `qemu-img resize -q -f "$1" -- "$2" "$3" >&2`, c.ToFormat, dest, fmt.Sprint(want)); err != nil {
			return err
		}
	}
	if c.PartitionNumber == 0 {
		return nil
	}
	p, ext, err := c.growPartition(ctx, im, dest)
	if errors.Is(err, errNoTable) {
		return nil // a file system on the whole disk is the guest's to grow
	}
	if err != nil || !ext || !c.Filesystem {
		return err
	}
	if missing, err := missingTools(ctx, im, "e2fsck", "resize2fs"); err != nil || missing != "" {
		if err == nil {
			emit(im, engine.Warning, "%s has no %s (e2fsprogs); the guest has to grow its own file system", im.Conn, missing)
		}
		return err
	}
	return editPartition(ctx, im, dest, c.ToFormat, p, func(file string) error {
		_, err := sh(ctx, im, atLast, withSbin+`
e2fsck -fp -- "$1" >&2; [ $? -le 1 ] || exit 1
resize2fs "$1" >&2`, file)
		return err
	})
}

// copyTo makes dest from src, by conversion where the formats differ.
func (c *extendAndConvert) copyTo(ctx context.Context, im *engine.Image, src, dest string) error {
	from := c.FromFormat
	if from != "" {
		var err error
		if from, err = formatOf(from); err != nil {
			return err
		}
	}
	info, err := im.Check(ctx, src, from)
	if err != nil || src == dest && info.Format == c.ToFormat {
		return err
	}
	if info.Format == c.ToFormat {
		return fill(ctx, im, src, dest)
	}
	_, err = convert(ctx, im, src, info.Format, dest, c.ToFormat, false)
	return err
}

func (c *extendAndConvert) growPartition(ctx context.Context, im *engine.Image, file string) (p partition, ext bool, err error) {
	b, err := openBlocks(ctx, im, file, c.ToFormat)
	if err != nil {
		return p, false, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	t, err := readTable(b, b.size)
	if err != nil {
		return p, false, err
	}
	if p, err = t.grow(b, c.PartitionNumber); err != nil {
		return p, false, err
	}
	ext, err = isExt(b, p)
	return p, ext, err
}

// isExt looks for the magic number of ext2, 3 and 4.
func isExt(d disk, p partition) (bool, error) {
	if p.size < 4096 {
		return false, nil
	}
	super := make([]byte, 1024)
	_, err := d.ReadAt(super, p.start+1024)
	return err == nil && binary.LittleEndian.Uint16(super[56:]) == 0xef53, err
}

// withSbin finds the tools that Debian keeps out of an ordinary user's path.
const withSbin = `PATH=$PATH:/usr/sbin:/sbin; `

// missingTools names those of tools that the host does not have; "" = it has all.
func missingTools(ctx context.Context, im *engine.Image, tools ...string) (string, error) {
	out, err := sh(ctx, im, shortly, withSbin+`for t; do command -v "$t" >/dev/null || echo "$t"; done`, tools...)
	return strings.Join(strings.Fields(out), ", "), err
}

// editPartition lets edit work on a partition as a plain file on the host and puts it
// back: no root, no mount, no loop device. The file is sparse, so it takes the room of what
// is in the partition.
func editPartition(ctx context.Context, im *engine.Image, image, format string, p partition, edit func(file string) error) error {
	file := image + ".part"
	window := fmt.Sprintf("driver=raw,offset=%d,size=%d,file.driver=%s,file.file.driver=file,file.file.filename=%s",
		p.start, p.size, format, strings.ReplaceAll(image, ",", ",,"))
	if format == "raw" {
		window = fmt.Sprintf("driver=raw,offset=%d,size=%d,file.driver=file,file.filename=%s", p.start, p.size, strings.ReplaceAll(image, ",", ",,"))
	}
	_, err := sh(ctx, im, atLast, `rm -f -- "$2" && qemu-img convert --image-opts -O raw "$1" "$2" >&2`, window, file)
	if err == nil {
		err = edit(file)
	}
	if err == nil {
		_, err = sh(ctx, im, atLast, `
[ "$(stat -c %s -- "$2")" -eq "$3" ] || { echo "the partition changed its size" >&2; exit 1; }
qemu-img convert -n -f raw --target-image-opts "$2" "$1" >&2`, window, file, fmt.Sprint(p.size))
	}
	_, gone := sh(context.WithoutCancel(ctx), im, shortly, `rm -f -- "$1"`, file)
	return errors.Join(err, gone)
}

// sizeBytes reads a size as qemu-img does: bytes, or with K, M, G or T (times 1024).
func sizeBytes(text string) (int64, error) {
	num := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(text)), "B"), "I")
	unit := int64(1)
	if i := strings.IndexAny(num, "KMGT"); i >= 0 && i == len(num)-1 {
		unit = 1 << (10 * (1 + strings.IndexByte("KMGT", num[i])))
		num = num[:i]
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || n < 1 || n > 64<<40/unit {
		return 0, fmt.Errorf("`size` %q: want bytes or a number with K, M, G or T, at most 64T", text)
	}
	return n * unit, nil
}
