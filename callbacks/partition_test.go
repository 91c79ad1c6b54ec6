package callbacks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
)

// memory is a disk in memory.
type memory []byte

func (m memory) ReadAt(p []byte, at int64) (int, error)  { return copy(p, m[at:]), nil }
func (m memory) WriteAt(p []byte, at int64) (int, error) { return copy(m[at:], p), nil }

// gptDisk has the given partitions, each {first, last} in sectors, and room of size sectors behind
// a table made for old sectors.
func gptDisk(old, size int64, parts ...[2]uint64) memory {
	m := make(memory, size*sector)
	le := binary.LittleEndian
	m[510], m[511], m[446+4] = 0x55, 0xaa, 0xee
	le.PutUint32(m[446+8:], 1)
	le.PutUint32(m[446+12:], uint32(old-1))
	entries := make([]byte, 128*128)
	for i, p := range parts {
		entries[i*128] = 1
		le.PutUint64(entries[i*128+32:], p[0])
		le.PutUint64(entries[i*128+40:], p[1])
	}
	h := make([]byte, sector)
	copy(h, "EFI PART\x00\x00\x01\x00")
	le.PutUint32(h[12:], 92)
	le.PutUint64(h[24:], 1)
	le.PutUint64(h[32:], uint64(old-1))
	le.PutUint64(h[40:], 34)
	le.PutUint64(h[48:], uint64(old-34))
	le.PutUint64(h[72:], 2)
	le.PutUint32(h[80:], 128)
	le.PutUint32(h[84:], 128)
	le.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
	le.PutUint32(h[16:], gptSum(h))
	copy(m[sector:], h)
	copy(m[2*sector:], entries)
	return m
}

func TestGrowGPTFillsDiskAndMovesBackup(t *testing.T) {
	const size = 20480
	m := gptDisk(8192, size, [2]uint64{4096, 8000}, [2]uint64{2048, 4095})
	tab, err := readTable(m, int64(len(m)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := tab.grow(m, 1)
	if err != nil {
		t.Fatal(err)
	}
	if end := (p.start + p.size) / sector; p.start != 4096*sector || end != size-40 {
		t.Errorf("the partition is %+v, its end %d", p, end)
	}
	again, err := readTable(m, int64(len(m)))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := again.find(1); got != p {
		t.Errorf("read back: %+v", got)
	}
	if other, _ := again.find(2); other != (partition{2, 2048 * sector, 2048 * sector}) {
		t.Errorf("the other partition: %+v", other)
	}
	backup := m[(size-1)*sector:]
	if string(backup[:8]) != "EFI PART" || gptSum(backup) != binary.LittleEndian.Uint32(backup[16:]) || binary.LittleEndian.Uint64(backup[24:]) != size-1 {
		t.Error("the backup header is not valid at the disk's end")
	}
	if at := binary.LittleEndian.Uint64(backup[72:]); !bytes.Equal(m[at*sector:at*sector+128*128], again.entries) {
		t.Error("the backup's entries differ")
	}
}

func TestGrowMBR(t *testing.T) {
	m := make(memory, 20480*sector)
	m[510], m[511] = 0x55, 0xaa
	m[446], m[446+4] = 0x80, 0x83
	binary.LittleEndian.PutUint32(m[446+8:], 2048)
	binary.LittleEndian.PutUint32(m[446+12:], 100)
	tab, err := readTable(m, int64(len(m)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := tab.grow(m, 1)
	if err != nil || p.size != (20480-2048)*sector {
		t.Fatalf("%+v, %v", p, err)
	}
	again, err := readTable(m, int64(len(m)))
	if err != nil || again.parts[0] != p {
		t.Errorf("read back: %+v, %v", again, err)
	}
}

func TestReadTableRefusesNonsense(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(m memory)
		want   string
	}{
		"header sum":    {func(m memory) { m[sector+40]++ }, "wrong checksum"},
		"entries sum":   {func(m memory) { m[2*sector+50]++ }, "wrong checksum"},
		"header magic":  {func(m memory) { m[sector]++ }, "damaged"},
		"header length": {func(m memory) { m[sector+14] = 0xff }, "damaged"},
		"no table":      {func(m memory) { m[511] = 0 }, "no partition table"},
		"many entries": {func(m memory) {
			binary.LittleEndian.PutUint32(m[sector+80:], 1<<30)
			binary.LittleEndian.PutUint32(m[sector+16:], gptSum(m[sector:2*sector]))
		}, "claims"},
	} {
		t.Run(name, func(t *testing.T) {
			m := gptDisk(8192, 8192, [2]uint64{2048, 8000})
			tt.change(m)
			if _, err := readTable(m, int64(len(m))); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	m := gptDisk(8192, 8192, [2]uint64{2048, 3000}, [2]uint64{4096, 8000})
	tab, err := readTable(m, int64(len(m)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tab.grow(m, 1); err == nil || !strings.Contains(err.Error(), "partition 2 lies behind") {
		t.Errorf("grew over its neighbour: %v", err)
	}
	if _, err := tab.grow(m, 9); err == nil {
		t.Error("grew a partition that is not there")
	}
	if _, err := readTable(make(memory, 100), 100); !errors.Is(err, errNoTable) {
		t.Errorf("a tiny disk: %v", err)
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add([]byte(gptDisk(100, 120, [2]uint64{40, 50})))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := make(memory, 200*sector)
		copy(m, b)
		tab, err := readTable(m, int64(len(m)))
		if err != nil {
			return
		}
		for _, p := range tab.parts {
			if p.start < 0 || p.size <= 0 || p.start+p.size > int64(len(m)) {
				t.Fatalf("a partition outside of the disk: %+v", p)
			}
		}
	})
}
