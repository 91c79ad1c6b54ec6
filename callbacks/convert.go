package callbacks

import (
	"context"
	"fmt"

	"farm/engine"
)

// imgConvert converts an image from one format to another.
type imgConvert struct {
	// Src is the image, in the work folder or on the host.
	Src string `yaml:"src,required"`
	// Dest is the new image, in the work folder. One that is there already stays.
	Dest string `yaml:"dest,required"`
	// From is the format of Src; default qcow2 or raw, as the header says. Any other must be named.
	From string `yaml:"from|from_format"`
	// To is the format of Dest; default qcow2.
	To string `yaml:"to|to_format"`
	// Compress makes a smaller qcow2 that takes longer to write.
	Compress bool `yaml:"compress"`
}

func newConvert() engine.Callback { return &imgConvert{To: "qcow2"} }

// Run converts.
func (c *imgConvert) Run(ctx context.Context, im *engine.Image) error {
	src, err := existing(ctx, im, c.Src)
	if err != nil {
		return err
	}
	dest, err := place(im, c.Dest)
	if err != nil {
		return err
	}
	if there, err := exists(ctx, im, dest); err != nil || there {
		return err
	}
	if _, err = convert(ctx, im, src, c.From, dest, c.To, c.Compress); err != nil {
		return fmt.Errorf("convert %q to %s: %w", c.Src, c.To, err)
	}
	return nil
}

// Key is the state of a source outside of the work folder.
func (c *imgConvert) Key(ctx context.Context, im *engine.Image) (string, error) {
	return outside(ctx, im, c.Src)
}

// formats are those that people name, by qemu-img's names.
var formats = map[string]string{
	"qcow2": "qcow2", "raw": "raw", "img": "raw", "vmdk": "vmdk", "vdi": "vdi", "vpc": "vpc", "vhd": "vpc", "vhdx": "vhdx",
}

func formatOf(name string) (string, error) {
	if f := formats[name]; f != "" {
		return f, nil
	}
	return "", engine.Blamef(engine.UserFault, "the image format %q is not qcow2, raw, vmdk, vdi, vhd or vhdx", name)
}

// convert checks src and makes dest from it; from "" is what the header says. It
// returns the format that src has.
func convert(ctx context.Context, im *engine.Image, src, from, dest, to string, compress bool) (string, error) {
	var err error
	if from != "" {
		if from, err = formatOf(from); err != nil {
			return "", err
		}
	}
	if to, err = formatOf(to); err != nil {
		return "", err
	}
	info, err := im.Check(ctx, src, from)
	if err != nil {
		return "", err
	}
	flag := ""
	if compress {
		flag = "-c"
	}
	_, err = sh(ctx, im, atLast, plainScript+`
plain "$6" "${4%/*}" && mkdir -p -- "${4%/*}" && rm -f -- "$4.new" && qemu-img convert $5 -f "$1" -O "$2" -- "$3" "$4.new" >&2 && mv -f -T -- "$4.new" "$4"`,
		info.Format, to, src, dest, flag, rootOf(im, dest))
	return info.Format, err
}
