package callbacks

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"farm/inventory/value"
)

// The rules of callbacks say what their arguments must be, beyond the types; they are
// checked before there is a host.

func (f *fetch) Rules() value.Rules {
	return value.Rules{
		{Path: "dest", Rule: within},
		{Path: "src", Rule: fetchable}, {Path: "url", Rule: fetchable}, {Path: "mirrors[]", Rule: fetchable},
		{Path: "sha256", Rule: digest("sha256")}, {Path: "sha512", Rule: digest("sha512")},
		{Path: "checksum", Rule: listed}, {Path: "checksums", Rule: listed}, {Path: "checksum_url", Rule: listed},
		{Path: "timeout", Rule: value.Time}, {Path: "retries", Rule: value.Whole(0, 1000, "")},
	}
}

func (c *copyFile) Rules() value.Rules {
	return value.Rules{{Path: "src", Rule: within}, {Path: "dest", Rule: within}}
}

func (c *installToLibvirt) Rules() value.Rules {
	return value.Rules{{Path: "src", Rule: within}, {Path: "dest", Rule: withinPool}}
}

func (c *setupCloudinitISO) Rules() value.Rules {
	return value.Rules{{Path: "dest", Rule: within}}
}

func (u *unarchive) Rules() value.Rules {
	return value.Rules{{Path: "src", Rule: within}, {Path: "dest", Rule: within}, {Path: "max_size", Rule: value.Whole(1, math.MaxInt64, "bytes")}}
}

func (c *imgConvert) Rules() value.Rules {
	return value.Rules{{Path: "src", Rule: within}, {Path: "dest", Rule: within}, {Path: "from", Rule: imageFormat}, {Path: "from_format", Rule: imageFormat}, {Path: "to", Rule: imageFormat}, {Path: "to_format", Rule: imageFormat}}
}

func (c *extendAndConvert) Rules() value.Rules {
	own := value.OneOf("qcow2", "raw")
	return value.Rules{
		{Path: "src", Rule: within}, {Path: "dest", Rule: within},
		{Path: "size", Rule: value.Size}, {Path: "partition_number", Rule: value.Whole(0, 128, "")},
		{Path: "from", Rule: imageFormat}, {Path: "from_format", Rule: imageFormat}, {Path: "to", Rule: own}, {Path: "to_format", Rule: own},
	}
}

func (c *setupImage) Rules() value.Rules {
	return value.Rules{{Path: "src", Rule: within}, {Path: "format", Rule: imageFormat}, {Path: "partition_number", Rule: value.Whole(0, 128, "")}}
}

func (b *bootstrap) Rules() value.Rules {
	named := func(re *regexp.Regexp, what string) value.Rule {
		return func(v any) (string, string) {
			if re.MatchString(value.Text(v)) {
				return "", ""
			}
			return fmt.Sprintf("is %q", value.Text(v)), what
		}
	}
	return value.Rules{
		{Path: "suite", Rule: named(nameRE, "a release of Debian such as trixie")}, {Path: "arch", Rule: debianName},
		{Path: "packages[]", Rule: words(named(packageRE, "the name of a Debian package"))},
		{Path: "include[]", Rule: words(named(packageRE, "the name of a Debian package"))},
		{Path: "components[]", Rule: words(named(nameRE, "a component such as main or non-free"))},
		{Path: "mirror", Rule: mirrorURL}, {Path: "size", Rule: diskSize},
		{Path: "dest", Rule: named(fileRE, "the name of a file")}, {Path: "kernel", Rule: named(fileRE, "the name of a file")},
		{Path: "initrd", Rule: named(fileRE, "the name of a file")},
	}
}

// words applies a rule to each word of a text that stands in place of a list.
func words(rule value.Rule) value.Rule {
	return func(v any) (what, hint string) {
		for word := range strings.SplitSeq(value.Text(v), ",") {
			if what, hint = rule(strings.TrimSpace(word)); what != "" {
				break
			}
		}
		return what, hint
	}
}

// within takes names below the work folder, and absolute ones: what tmp_dir is, a rule does not know.
func within(v any) (what, hint string) {
	if text := value.Text(v); climbs(text) {
		return fmt.Sprintf("is %q, outside of the work folder", text), "a path below it"
	}
	return "", ""
}

// withinPool is within, for the pool folder.
func withinPool(v any) (what, hint string) {
	if text := value.Text(v); climbs(text) {
		return fmt.Sprintf("is %q, outside of the pool folder", text), "a path below it"
	}
	return "", ""
}

func fetchable(v any) (what, hint string) {
	text := value.Text(v)
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case ok && !slices.Contains([]string{"http", "https", "ftp", "file"}, scheme):
		return fmt.Sprintf("is %q", redact(text)), "an address of http, https, ftp or file, or a path"
	case ok && strings.Trim(rest, "/") == "":
		return fmt.Sprintf("is %q, an address of nothing", redact(text)), ""
	case !ok:
		return within(v)
	}
	return "", ""
}

func digest(algo string) value.Rule {
	return func(v any) (what, hint string) {
		c, err := parseChecksum(value.Text(v))
		if err == nil && c.algo == algo {
			return "", ""
		}
		return fmt.Sprintf("is %q", value.Text(v)), map[string]string{"sha256": "64 hex digits", "sha512": "128 hex digits"}[algo]
	}
}

// listed takes a checksum or the address of a list of them.
func listed(v any) (what, hint string) {
	text := strings.TrimPrefix(strings.TrimPrefix(value.Text(v), "sha256:"), "sha512:")
	if remoteAddr(text) {
		return "", ""
	}
	if _, err := parseChecksum(value.Text(v)); err != nil {
		return fmt.Sprintf("is %q", value.Text(v)), "sha256: and 64 hex digits, sha512: and 128, or the address of a published list"
	}
	return "", ""
}

func imageFormat(v any) (what, hint string) {
	if _, err := formatOf(value.Text(v)); err != nil {
		return fmt.Sprintf("is %q", value.Text(v)), "qcow2, raw, vmdk, vdi, vhd or vhdx"
	}
	return "", ""
}

func debianName(v any) (what, hint string) {
	if _, err := findArch(value.Text(v), ""); err != nil {
		return fmt.Sprintf("is %q", value.Text(v)), "Debian's name of an architecture such as amd64 or arm64"
	}
	return "", ""
}

func diskSize(v any) (what, hint string) {
	if _, err := sizeMiB(value.Text(v)); err != nil {
		return fmt.Sprintf("is %q", value.Text(v)), "1G to 64T, such as 4G or 6000M"
	}
	return "", ""
}

func mirrorURL(v any) (what, hint string) {
	if err := new(recipe).setMirror(value.Text(v)); err != nil {
		return fmt.Sprintf("is %q", withoutLogin(value.Text(v))), "an address such as " + publicMirror
	}
	return "", ""
}
