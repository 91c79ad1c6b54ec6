package callbacks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// sector is the size that partition tables count in; images with others are refused.
const sector = 512

// disk is what partition tables are read from and written to.
type disk interface {
	io.ReaderAt
	io.WriterAt
}

// partition is one entry of a table, in bytes.
type partition struct {
	number      int // from 1
	start, size int64
}

// table is a disk's partition table: GPT (UEFI specification, chapter 5) or MBR.
type table struct {
	mbr     []byte // sector 0
	header  []byte // GPT's primary header; nil = MBR only
	entries []byte // GPT's entries
	parts   []partition
	size    int64 // of the disk
}

// errNoTable is a disk without partitions.
var errNoTable = errors.New("it has no partition table")

func readTable(d disk, size int64) (*table, error) {
	t := &table{mbr: make([]byte, sector), size: size}
	if size < 2*sector {
		return nil, errNoTable
	}
	if _, err := d.ReadAt(t.mbr, 0); err != nil {
		return nil, err
	}
	if t.mbr[510] != 0x55 || t.mbr[511] != 0xaa {
		return nil, errNoTable
	}
	for i := range 4 {
		if t.mbr[446+16*i+4] == 0xee {
			return t, t.readGPT(d)
		}
	}
	for i := range 4 {
		e := t.mbr[446+16*i:]
		start, sectors := int64(binary.LittleEndian.Uint32(e[8:])), int64(binary.LittleEndian.Uint32(e[12:]))
		if e[4] == 0 || sectors == 0 {
			continue
		}
		if e[0]&0x7f != 0 {
			return nil, errNoTable // the boot sector of a file system
		}
		t.parts = append(t.parts, partition{i + 1, start * sector, sectors * sector})
	}
	if len(t.parts) == 0 {
		return nil, errNoTable
	}
	return t, t.check()
}

func (t *table) readGPT(d disk) error {
	t.header = make([]byte, sector)
	if _, err := d.ReadAt(t.header, sector); err != nil {
		return err
	}
	h := t.header
	length := binary.LittleEndian.Uint32(h[12:])
	if string(h[:8]) != "EFI PART" || length < 92 || length > sector {
		return errors.New("its GPT header is damaged, or its sectors are not of 512 bytes")
	}
	if gptSum(h) != binary.LittleEndian.Uint32(h[16:]) {
		return errors.New("its GPT header has a wrong checksum")
	}
	n, each, at := binary.LittleEndian.Uint32(h[80:]), binary.LittleEndian.Uint32(h[84:]), binary.LittleEndian.Uint64(h[72:])
	if n == 0 || n > 1024 || each < 128 || each > 512 || each%8 != 0 || at < 2 || at > uint64(t.size/sector) {
		return fmt.Errorf("its GPT claims %d entries of %d bytes", n, each)
	}
	t.entries = make([]byte, n*each)
	if _, err := d.ReadAt(t.entries, int64(at)*sector); err != nil {
		return err
	}
	if crc32.ChecksumIEEE(t.entries) != binary.LittleEndian.Uint32(h[88:]) {
		return errors.New("its GPT entries have a wrong checksum")
	}
	for i := range int(n) {
		e := t.entry(i + 1)
		if bytes.Equal(e[:16], make([]byte, 16)) {
			continue
		}
		first, last := binary.LittleEndian.Uint64(e[32:]), binary.LittleEndian.Uint64(e[40:])
		if first > last || last >= uint64(t.size)/sector {
			return fmt.Errorf("its partition %d lies outside of the disk", i+1)
		}
		t.parts = append(t.parts, partition{i + 1, int64(first) * sector, int64(last-first+1) * sector})
	}
	return nil
}

func (t *table) check() error {
	for _, p := range t.parts {
		if p.start < sector || p.start+p.size > t.size {
			return fmt.Errorf("its partition %d lies outside of the disk", p.number)
		}
	}
	return nil
}

func (t *table) entry(number int) []byte {
	each := int(binary.LittleEndian.Uint32(t.header[84:]))
	return t.entries[(number-1)*each : number*each]
}

func gptSum(header []byte) uint32 {
	h := append([]byte(nil), header[:binary.LittleEndian.Uint32(header[12:])]...)
	clear(h[16:20])
	return crc32.ChecksumIEEE(h)
}

// find returns a partition by its number.
func (t *table) find(number int) (partition, error) {
	for _, p := range t.parts {
		if p.number == number {
			return p, nil
		}
	}
	return partition{}, fmt.Errorf("it has no partition %d", number)
}

// grow extends a partition, the last on the disk, to the disk's end, and moves GPT's
// backup there. It returns the partition as it is now.
func (t *table) grow(d disk, number int) (partition, error) {
	p, err := t.find(number)
	if err != nil {
		return p, err
	}
	for _, other := range t.parts {
		if other.start > p.start {
			return p, fmt.Errorf("partition %d lies behind partition %d, which cannot grow", other.number, number)
		}
	}
	if t.header == nil {
		return t.growMBR(d, p)
	}
	return t.growGPT(d, p)
}

func (t *table) growMBR(d disk, p partition) (partition, error) {
	const most = 1<<32 - 1
	p.size = (t.size - p.start) / sector * sector
	p.size = min(p.size, most*sector)
	binary.LittleEndian.PutUint32(t.mbr[446+16*(p.number-1)+12:], uint32(p.size/sector))
	_, err := d.WriteAt(t.mbr, 0)
	return p, err
}

func (t *table) growGPT(d disk, p partition) (partition, error) {
	last := uint64(t.size)/sector - 1
	tableSectors := uint64(len(t.entries)+sector-1) / sector
	usable := last - tableSectors - 1
	end := (usable + 1) / 8 * 8 // 4 KiB, what file systems count in
	if first := uint64(p.start) / sector; end <= first || int64(end-first)*sector < p.size {
		end = first + uint64(p.size)/sector
		if end-1 > usable {
			return p, errors.New("the disk is too small for its own table")
		}
	}
	le := binary.LittleEndian
	le.PutUint64(t.entry(p.number)[40:], end-1)
	p.size = int64(end)*sector - p.start
	h := t.header
	le.PutUint64(h[32:], last) // where the backup is
	le.PutUint64(h[48:], usable)
	le.PutUint32(h[88:], crc32.ChecksumIEEE(t.entries))
	le.PutUint32(h[16:], gptSum(h))
	backup := append([]byte(nil), h...)
	le.PutUint64(backup[24:], last)
	le.PutUint64(backup[32:], 1)
	le.PutUint64(backup[72:], last-tableSectors)
	le.PutUint32(backup[16:], gptSum(backup))
	for i := range 4 { // the protective MBR covers the disk, or as much as it can
		if e := t.mbr[446+16*i:]; e[4] == 0xee {
			le.PutUint32(e[12:], uint32(min(last, 1<<32-1)))
		}
	}
	// The backup first: whoever finds one valid table has a whole one.
	for _, w := range []struct {
		at   uint64
		what []byte
	}{{last - tableSectors, t.entries}, {last, backup}, {le.Uint64(h[72:]), t.entries}, {1, h}, {0, t.mbr}} {
		if _, err := d.WriteAt(w.what, int64(w.at)*sector); err != nil {
			return p, err
		}
	}
	return p, nil
}
