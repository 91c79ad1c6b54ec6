package images

import (
	"encoding/binary"
	"strings"
	"testing"
)

// b32 and b64 set a big-endian field of a header.
func b32(at int, v uint32) func([]byte) []byte {
	return func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], v); return b }
}

func b64(at int, v uint64) func([]byte) []byte {
	return func(b []byte) []byte { binary.BigEndian.PutUint64(b[at:], v); return b }
}

func all(changes ...func([]byte) []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		for _, c := range changes {
			b = c(b)
		}
		return b
	}
}

// ext writes a header extension where the first one goes.
func ext(kind uint32, content string) func([]byte) []byte {
	return func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[104:], kind)
		binary.BigEndian.PutUint32(b[108:], uint32(len(content)))
		copy(b[112:], content)
		return b
	}
}

// backing names a backing file at an offset.
func backing(at int, name string) func([]byte) []byte {
	return func(b []byte) []byte {
		binary.BigEndian.PutUint64(b[8:], uint64(at))
		binary.BigEndian.PutUint32(b[16:], uint32(len(name)))
		copy(b[at:], name)
		return b
	}
}

// v2 makes version 2 of it: the header ends after 72 bytes, the extensions start there.
func v2(b []byte) []byte { clear(b[72:112]); return b32(4, 2)(b) }

func first(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }

func TestCheckQcow2(t *testing.T) {
	const cluster = 64 << 10
	for name, tt := range map[string]struct {
		change func([]byte) []byte
		want   string // part of the refusal; "" = accepted
	}{
		"plain v3":                    {all(), ""},
		"plain v2":                    {v2, ""},
		"zstd compression":            {b64(72, featureCompression), ""},
		"extended L2":                 {all(b64(72, featureExtendedL2), b32(36, 8)), ""},
		"lazy refcounts":              {b64(80, 1), ""},
		"autoclear bits":              {b64(88, 3), ""},
		"refcounts of 64 bits":        {b32(96, 6), ""},
		"feature names":               {ext(0x6803f857, "\x00\x00dirty bit"), ""},
		"unknown extension":           {ext(0x12345678, "whatever"), ""},
		"backing format alone":        {ext(extBackingFormat, "raw"), ""},
		"longer header":               {b32(100, 112), ""},
		"cut off v3":                  {first(100), "cut off"},
		"cut off v2":                  {first(71), "cut off"},
		"magic only":                  {first(4), "cut off"},
		"version 0":                   {b32(4, 0), "version"},
		"version 1":                   {b32(4, 1), "version"},
		"version 4":                   {b32(4, 4), "version"},
		"backing file":                {backing(512, "/etc/passwd"), `"/etc/passwd"`},
		"backing file v2":             {all(v2, backing(512, "/etc/passwd")), `"/etc/passwd"`},
		"backing json":                {backing(512, `json:{"driver":"file","filename":"/etc/shadow"}`), "backing file"},
		"backing nbd":                 {backing(512, "nbd://127.0.0.1/x"), "backing file"},
		"backing relative":            {backing(512, "a"), "backing file"},
		"backing without name":        {b64(8, 512), "without a name"},
		"backing too long":            {all(b64(8, 512), b32(16, 1024)), "outside of the header"},
		"backing past cluster":        {all(b64(8, cluster-4), b32(16, 100)), "outside of the header"},
		"backing beyond":              {all(b64(8, 1<<40), b32(16, 10)), "outside of the header"},
		"backing in header":           {all(b64(8, 8), b32(16, 10)), "outside of the header"},
		"backing wraps":               {all(b64(8, ^uint64(0)), b32(16, 10)), "outside of the header"},
		"data file bit":               {b64(72, featureDataFile), "external data file"},
		"data file name":              {ext(extDataFile, "/etc/shadow"), `"/etc/shadow"`},
		"data file bit and name":      {all(b64(72, featureDataFile), ext(extDataFile, "/etc/shadow")), "data file"},
		"data file behind another":    {all(ext(0x6803f857, "12345678"), b32(120, extDataFile), b32(124, 4)), "data file"},
		"dirty":                       {b64(72, featureDirty), "not closed cleanly"},
		"corrupt":                     {b64(72, featureCorrupt), "corrupt"},
		"unknown feature":             {b64(72, 1<<5), "unknown qcow2 features"},
		"unknown high feature":        {b64(72, 1<<63), "unknown qcow2 features"},
		"AES":                         {b32(32, 1), "encrypted"},
		"LUKS":                        {b32(32, 2), "encrypted"},
		"crypto extension":            {ext(extCrypto, "1234567890123456"), "encrypted"},
		"internal snapshots":          {b32(60, 1), "internal snapshots"},
		"clusters too small":          {b32(20, 8), "clusters"},
		"clusters too large":          {b32(20, 22), "clusters"},
		"clusters absurd":             {b32(20, 1<<31), "clusters"},
		"no size":                     {b64(24, 0), "virtual size"},
		"65 TiB":                      {b64(24, 65<<40), "virtual size"},
		"negative size":               {b64(24, 1<<63), "virtual size"},
		"L1 too short":                {b32(36, 1), "first-level"},
		"L1 absurd":                   {b32(36, 1<<30), "first-level"},
		"L1 missing":                  {b64(40, 0), "outside of the file"},
		"L1 between clusters":         {b64(40, 3*cluster+8), "outside of the file"},
		"L1 past the end":             {b64(40, 5*cluster), "outside of the file"},
		"L1 wraps":                    {b64(40, ^uint64(cluster-1)), "outside of the file"},
		"no refcount table":           {b32(56, 0), "refcount table"},
		"refcount table absurd":       {b32(56, 1<<20), "refcount table"},
		"refcount table past the end": {b64(48, 9*cluster), "outside of the file"},
		"refcount table at 0":         {b64(48, 0), "outside of the file"},
		"refcounts too wide":          {b32(96, 7), "refcounts"},
		"header length 0":             {b32(100, 0), "length"},
		"header length odd":           {b32(100, 105), "length"},
		"header length absurd":        {b32(100, 1<<30), "length"},
		"extension past the header":   {all(b32(104, 0x12345678), b32(108, 1<<20)), "past the header's end"},
		"extension length absurd":     {all(b32(104, 0x12345678), b32(108, 1<<32-1)), "past the header's end"},
	} {
		t.Run(name, func(t *testing.T) {
			b := tt.change(qcow2(1<<30, "", ""))
			h, err := Check(b[:min(len(b), HeaderBytes)], int64(len(b)), "qcow2")
			if tt.want == "" {
				if err != nil || h.Format != "qcow2" || h.VirtualBytes != 1<<30 {
					t.Errorf("refused: %+v, %v", h, err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "image refused: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a refusal with %q", err, tt.want)
			}
		})
	}
}

// vmdk is a sparse VMDK with an embedded descriptor.
func vmdk(descriptor string) string {
	b := make([]byte, 4096)
	copy(b, "KDMV")
	binary.LittleEndian.PutUint64(b[28:], 1)
	binary.LittleEndian.PutUint64(b[36:], 4)
	copy(b[512:], descriptor)
	return string(b)
}

func TestCheckFormats(t *testing.T) {
	const alone = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\nRW 2 SPARSE \"x.vmdk\"\n"
	vhd := func(kind byte) string {
		return "conectix" + strings.Repeat("\x00", 55) + string(kind) + strings.Repeat("\x00", 512)
	}
	for name, tt := range map[string]struct{ content, format, got, want string }{
		"raw":                  {strings.Repeat("\x00", 1024), "raw", "raw", ""},
		"raw unnamed":          {strings.Repeat("\x00", 1024), "", "raw", ""},
		"qcow2 unnamed":        {string(qcow2(1<<30, "", "")), "", "qcow2", ""},
		"qcow2 as raw":         {string(qcow2(1<<30, "", "")), "raw", "", "it is a qcow2 file, not a raw file"},
		"raw as qcow2":         {strings.Repeat("\x00", 1024), "qcow2", "", "it is a raw file, not a qcow2 file"},
		"vmdk unnamed":         {vmdk(alone), "", "", "convert it with img_convert"},
		"vmdk named":           {vmdk(alone), "vmdk", "vmdk", ""},
		"vmdk with parent":     {vmdk(strings.Replace(alone, "parentCID=ffffffff", "parentCID=12345678\nparentFileNameHint=\"/etc/passwd\"", 1)), "vmdk", "", "parent"},
		"vmdk of flat extents": {vmdk(strings.Replace(alone, "monolithicSparse", "monolithicFlat", 1)), "vmdk", "", "other files"},
		"vmdk descriptor":      {alone, "vmdk", "", "refers to other files"},
		"vmdk descriptor raw":  {"version=1\ncreateType=\"monolithicFlat\"\n", "raw", "", "vmdk file, not a raw"},
		"commented descriptor": {"# x\n\n version=1\n", "raw", "", "vmdk file, not a raw"},
		"a script":             {"#!/bin/sh\necho\n", "raw", "raw", ""},
		"vmdk 3":               {"COWD" + strings.Repeat("\x00", 512), "vmdk", "", "refers to other files"},
		"vdi":                  {strings.Repeat(" ", 64) + "\x7f\x10\xda\xbe" + strings.Repeat("\x00", 512), "vdi", "vdi", ""},
		"vhd":                  {vhd(3), "vpc", "vpc", ""},
		"vhd with parent":      {vhd(4), "vpc", "", "parent"},
		"vhdx":                 {"vhdxfile" + strings.Repeat("\x00", 512), "", "", "img_convert"},
		"qed":                  {"QED\x00" + strings.Repeat("\x00", 512), "raw", "", "qed file"},
		"luks":                 {"LUKS\xba\xbe" + strings.Repeat("\x00", 512), "raw", "", "luks file"},
		"gzip":                 {"\x1f\x8b\x08" + strings.Repeat("\x00", 512), "qcow2", "", "unpack it with unarchive first"},
		"xz unnamed":           {"\xfd7zXZ\x00" + strings.Repeat("\x00", 512), "", "", "unpack it with unarchive first"},
		"a web page":           {"<!DOCTYPE html>", "", "", "it is a web page"},
		"empty":                {"", "", "", "an empty file"},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Check([]byte(tt.content)[:min(len(tt.content), HeaderBytes)], int64(len(tt.content)), tt.format)
			if tt.want == "" && (err != nil || h.Format != tt.got) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %+v, %v, want %q", h, err, tt.want)
			}
		})
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"10G": 10 << 30, "1.5g": 3 << 29, "512MiB": 512 << 20, "4096": 4096, " 2 T ": 2 << 40, "1KB": 1024,
		"": 0, "G": 0, "-1G": 0, "65T": 0, "10 apples": 0, "NaN": 0, "0": 0, "1e400": 0, "G10": 0,
	} {
		got, err := ParseSize(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

// FuzzCheck: no header may crash the reader, and none that is accepted names a file or
// claims an absurd size.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(qcow2(1<<30, "", ""))[:256], int64(4*64<<10))
	f.Add([]byte(qcow2(1<<30, "/etc/passwd", "raw"))[:256], int64(4*64<<10))
	f.Add(v2(qcow2(1<<30, "", ""))[:256], int64(4*64<<10))
	f.Add([]byte(vmdk("version=1\n")), int64(4096))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		size = max(size, int64(len(b)))
		for _, format := range []string{"", "qcow2", "raw", "vmdk", "vpc"} {
			h, err := Check(b, size, format)
			if err != nil {
				continue
			}
			if h.Backing != "" || format != "" && h.Format != format {
				t.Fatalf("accepted %+v as %q", h, format)
			}
			if h.Format == "qcow2" && (h.VirtualBytes <= 0 || h.VirtualBytes > maxVirtual) {
				t.Fatalf("accepted a size of %d", h.VirtualBytes)
			}
			if h.Format == "raw" && len(b) > 3 && string(b[:4]) == "QFI\xfb" {
				t.Fatal("a qcow2 header passed as raw")
			}
		}
	})
}
