package images

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// HeaderBytes is how much of a file's start ReadHeader wants to see.
const HeaderBytes = 64 << 10

// Header is what an image file says of itself in its first bytes. It is read without
// any tool, so that no tool ever follows a name that a stranger wrote into an image.
type Header struct {
	Format        string // qcow2, raw, vmdk, vdi, vpc, vhdx, or what else the magic tells
	Version       int    // of qcow2
	VirtualBytes  int64  // size of the disk inside; 0 where the format's header was not read so far
	Backing       string // name of the backing file, "" = none
	BackingFormat string
	Snapshots     int64 // internal ones, of qcow2
}

// ReadHeader reads start, the first HeaderBytes of a file of size bytes or all of a
// shorter one. It refuses everything that would make QEMU open another file, allocate
// without measure or misread the disk: external data files, encryption, unknown features,
// tables outside the file. A backing file and internal snapshots are reported, not refused.
func ReadHeader(start []byte, size int64) (Header, error) {
	format := magic(start)
	switch format {
	case "qcow2":
		return readQcow2(start, size)
	case "raw":
		return Header{Format: "raw", VirtualBytes: (size + 511) / 512 * 512}, nil
	}
	return Header{Format: format}, nil
}

// Check is ReadHeader for a file from outside: it must stand alone and be of the format
// want; "" = qcow2 or raw. Formats other than these two are only taken when they are named.
func Check(start []byte, size int64, want string) (Header, error) {
	h, err := ReadHeader(start, size)
	if err != nil {
		return h, err
	}
	switch {
	case h.Backing != "":
		return h, refuse("it refers to another file (%q, its backing file); images must be self-contained", h.Backing)
	case h.Snapshots != 0:
		return h, refuse("it holds %d internal snapshots; images must be a single state", h.Snapshots)
	case want == "" && (h.Format == "qcow2" || h.Format == "raw"), want == h.Format:
	case want == "" && disk[h.Format]:
		return h, refuse("it is in the format %s; convert it with img_convert, naming that format as `from`", h.Format)
	case want == "":
		return h, refuse("it is %s, not a disk image%s", article(h.Format), hintFor(h.Format))
	default:
		return h, refuse("it is %s, not %s%s", article(h.Format), article(want), hintFor(h.Format))
	}
	switch h.Format {
	case "vmdk":
		err = checkVMDK(start)
	case "vpc":
		err = checkVPC(start)
	}
	return h, err
}

var disk = map[string]bool{"vmdk": true, "vdi": true, "vpc": true, "vhdx": true}

func article(format string) string {
	switch format {
	case "gzip", "xz", "bzip2", "zstd", "zip":
		return format + "-compressed"
	case "html":
		return "a web page"
	case "empty":
		return "an empty file"
	}
	return "a " + format + " file"
}

func hintFor(format string) string {
	switch format {
	case "gzip", "xz", "bzip2", "zstd", "zip":
		return "; unpack it with unarchive first"
	case "html":
		return "; look at the address it was fetched from"
	}
	return ""
}

func refuse(format string, args ...any) error { return fmt.Errorf("image refused: "+format, args...) }

// signatures are the starts of files that are no raw disk: those that QEMU's format
// probing knows (block/*.c of QEMU) and those that people mistake for one.
var signatures = []struct {
	at     int
	text   string
	format string
}{
	{0, "QFI\xfb", "qcow2"},
	{0, "KDMV", "vmdk"},
	{0, "COWD", "vmdk"},
	{0, "# Disk DescriptorFile", "vmdk"},
	{0x40, "\x7f\x10\xda\xbe", "vdi"},
	{0, "conectix", "vpc"},
	{0, "vhdxfile", "vhdx"},
	{0, "QED\x00", "qed"},
	{0, "LUKS\xba\xbe", "luks"},
	{0, "Bochs Virtual HD Image", "bochs"},
	{0, "WithoutFreeSpace", "parallels"},
	{0, "WithouFreSpacExt", "parallels"},
	{0, "#!/bin/sh\n#V2.0 Format\n", "cloop"},
	{0, "\x1f\x8b\x08", "gzip"},
	{0, "\xfd7zXZ\x00", "xz"},
	{0, "BZh", "bzip2"},
	{0, "\x28\xb5\x2f\xfd", "zstd"},
	{0, "PK\x03\x04", "zip"},
	{0, "<!DOCTYPE", "html"},
	{0, "<!doctype", "html"},
	{0, "<html", "html"},
	{0, "<HTML", "html"},
}

func magic(start []byte) string {
	for _, s := range signatures {
		if len(start) >= s.at+len(s.text) && string(start[s.at:s.at+len(s.text)]) == s.text {
			return s.format
		}
	}
	if len(start) == 0 {
		return "empty"
	}
	// A VMDK descriptor may have comment lines and blanks before its version line.
	if head := string(start[:min(len(start), 2048)]); strings.HasPrefix(head, "#") || strings.HasPrefix(head, "version=") {
		for line := range strings.Lines(head) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "version=") {
				return "vmdk"
			} else if line != "" && !strings.HasPrefix(line, "#") {
				break
			}
		}
	}
	return "raw"
}

// The bounds of qcow2 (docs/interop/qcow2.txt of QEMU, and the limits of its block/qcow2.h).
const (
	maxVirtual     = 64 << 40
	maxL1Bytes     = 32 << 20
	maxRefTable    = 8 << 20
	maxBackingName = 1023

	extEnd           = 0
	extBackingFormat = 0xE2792ACA
	extCrypto        = 0x0537BE77
	extDataFile      = 0x44415441
)

// The incompatible features of version 3.
const (
	featureDirty = 1 << iota
	featureCorrupt
	featureDataFile
	featureCompression
	featureExtendedL2
)

// readQcow2 reads versions 2 and 3 by docs/interop/qcow2.txt.
func readQcow2(b []byte, size int64) (Header, error) {
	h := Header{Format: "qcow2"}
	if len(b) < 72 {
		return h, refuse("its qcow2 header is cut off")
	}
	be32 := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	be64 := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	h.Version = int(be32(4))
	headerLen := 72
	switch h.Version {
	case 2:
	case 3:
		if len(b) < 104 {
			return h, refuse("its qcow2 header is cut off")
		}
		headerLen = int(be32(100))
		if err := checkFeatures(be64(72)); err != nil {
			return h, err
		}
		if be32(96) > 6 {
			return h, refuse("its qcow2 refcounts are 2^%d bits wide, more than 64", be32(96))
		}
	default:
		return h, refuse("its qcow2 version is %d, not 2 or 3", be32(4))
	}
	bits := be32(20)
	if bits < 9 || bits > 21 {
		return h, refuse("its qcow2 clusters are 2^%d bytes, not 2^9 to 2^21", bits)
	}
	cluster := int64(1) << bits
	if headerLen < 72 || h.Version == 3 && headerLen < 104 || headerLen%8 != 0 || int64(headerLen) > cluster {
		return h, refuse("its qcow2 header claims a length of %d bytes", headerLen)
	}
	if be32(32) != 0 {
		return h, refuse("it is encrypted")
	}
	h.Snapshots = int64(be32(60))
	virtual := be64(24)
	if virtual == 0 || virtual > maxVirtual {
		return h, refuse("its virtual size is %d bytes, not 1 to 64 TiB", virtual)
	}
	h.VirtualBytes = int64(virtual)
	if err := checkTables(be32(36), be64(40), be64(48), be32(56), virtual, cluster, h.Version == 3 && be64(72)&featureExtendedL2 != 0, size); err != nil {
		return h, err
	}
	if err := readExtensions(&h, b, headerLen, cluster, be64(8)); err != nil {
		return h, err
	}
	return h, readBacking(&h, b, be64(8), be32(16), cluster)
}

func checkFeatures(incompatible uint64) error {
	switch {
	case incompatible&featureDataFile != 0:
		return refuse("it refers to another file (an external data file); images must be self-contained")
	case incompatible&featureCorrupt != 0:
		return refuse("it is marked corrupt")
	case incompatible&featureDirty != 0:
		return refuse("it was not closed cleanly")
	case incompatible&^(featureCompression|featureExtendedL2) != 0:
		return refuse("it has unknown qcow2 features (bits %#x)", incompatible&^(featureCompression|featureExtendedL2))
	}
	return nil
}

// checkTables bounds the first-level and the refcount table. A file may be shorter than
// the tables' end claims only for tables that are empty.
func checkTables(l1 uint32, l1At, refAt uint64, refClusters uint32, virtual uint64, cluster int64, extended bool, size int64) error {
	entry := uint64(8)
	if extended {
		entry = 16
	}
	covers := uint64(cluster) * (uint64(cluster) / entry) // bytes of disk under one L1 entry
	need := (virtual + covers - 1) / covers
	switch {
	case uint64(l1)*8 > maxL1Bytes:
		return refuse("its qcow2 first-level table has %d entries, more than 32 MiB", l1)
	case uint64(l1) < need:
		return refuse("its qcow2 first-level table has %d entries, too few for its virtual size", l1)
	case !inside(l1At, uint64(l1)*8, cluster, size):
		return refuse("its qcow2 first-level table lies outside of the file")
	case refClusters == 0 || uint64(refClusters)*uint64(cluster) > maxRefTable:
		return refuse("its qcow2 refcount table has %d clusters", refClusters)
	case !inside(refAt, uint64(refClusters)*uint64(cluster), cluster, size):
		return refuse("its qcow2 refcount table lies outside of the file")
	}
	return nil
}

// inside reports whether a table starts on a cluster and after the header, and ends within the file;
// the last cluster of a file may be cut short.
func inside(at, length uint64, cluster, size int64) bool {
	if at == 0 || at%uint64(cluster) != 0 || at > math.MaxInt64/2 || size < 0 {
		return false
	}
	end := (uint64(size) + uint64(cluster) - 1) / uint64(cluster) * uint64(cluster)
	return at < end && length <= end-at
}

func readExtensions(h *Header, b []byte, at int, cluster int64, backingAt uint64) error {
	end := cluster
	if backingAt != 0 && backingAt < uint64(end) {
		end = int64(backingAt)
	}
	for int64(at) < end {
		if end-int64(at) < 8 {
			return nil // too short for another extension; QEMU stops here too
		}
		if len(b) < at+8 {
			return refuse("its qcow2 header extensions are longer than %d bytes", len(b))
		}
		kind, length := binary.BigEndian.Uint32(b[at:]), int64(binary.BigEndian.Uint32(b[at+4:]))
		at += 8
		if kind == extEnd {
			return nil
		}
		if length > end-int64(at) {
			return refuse("a qcow2 header extension is %d bytes long, past the header's end", length)
		}
		if int64(len(b)) < int64(at)+length {
			return refuse("its qcow2 header extensions are longer than %d bytes", len(b))
		}
		content := b[at : int64(at)+length]
		switch kind {
		case extDataFile:
			return refuse("it refers to another file (%q, an external data file); images must be self-contained", cut(content))
		case extCrypto:
			return refuse("it is encrypted")
		case extBackingFormat:
			h.BackingFormat = cut(content)
		}
		at += int(length+7) &^ 7
	}
	return nil
}

func readBacking(h *Header, b []byte, at uint64, length uint32, cluster int64) error {
	if at == 0 {
		return nil
	}
	if length == 0 {
		// QEMU takes an empty name for none; an image of honest origin has no offset then.
		return refuse("it has a backing file without a name")
	}
	if length > maxBackingName || at < 72 || at > uint64(cluster) || uint64(length) > uint64(cluster)-at {
		return refuse("its backing file's name lies outside of the header")
	}
	if uint64(len(b)) < at+uint64(length) {
		return refuse("it refers to another file (its backing file); images must be self-contained")
	}
	h.Backing = string(b[at : at+uint64(length)])
	return nil
}

// checkVMDK accepts the self-contained kinds only: one sparse file whose embedded
// descriptor names no parent. The layout is VMware's Virtual Disk Format 5.0, chapter 4.
func checkVMDK(b []byte) error {
	if !bytes.HasPrefix(b, []byte("KDMV")) {
		return refuse("it is a VMDK descriptor that refers to other files; images must be self-contained")
	}
	if len(b) < 512 {
		return refuse("its VMDK header is cut off")
	}
	at, sectors := binary.LittleEndian.Uint64(b[28:]), binary.LittleEndian.Uint64(b[36:])
	if at == 0 {
		return nil
	}
	if at > uint64(len(b))/512 || sectors > uint64(len(b))/512-at {
		return refuse("its VMDK descriptor is not at the start of the file")
	}
	for line := range strings.Lines(strings.TrimRight(string(b[at*512:(at+sectors)*512]), "\x00")) {
		key, val, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key, val = strings.ToLower(strings.TrimSpace(key)), strings.ToLower(strings.TrimSpace(val)); {
		case key == "parentfilenamehint", key == "parentcid" && val != "ffffffff":
			return refuse("it is a VMDK with a parent; images must be self-contained")
		case key == "createtype" && val != `"monolithicsparse"` && val != `"streamoptimized"`:
			return refuse("it is a VMDK of the type %s that refers to other files; images must be self-contained", cut([]byte(val)))
		}
	}
	return nil
}

// checkVPC refuses differencing disks (type 4 in the footer's copy, Microsoft's VHD specification).
func checkVPC(b []byte) error {
	if len(b) < 512 {
		return refuse("its VHD header is cut off")
	}
	if binary.BigEndian.Uint32(b[60:]) == 4 {
		return refuse("it is a VHD with a parent; images must be self-contained")
	}
	return nil
}

// cut makes a name from an image fit for a message.
func cut(b []byte) string {
	const most = 200
	if len(b) > most {
		b = b[:most]
	}
	return strings.ToValidUTF8(string(b), "?")
}
