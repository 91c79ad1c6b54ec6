package callbacks

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"farm/inventory/source"
)

// checksum is a file's expected digest; the zero value is none.
type checksum struct {
	algo string // sha256, sha512
	hex  string // lower case
}

func (c checksum) String() string { return c.algo + ":" + c.hex }

// parseChecksum reads "sha256:HEX", "sha512:HEX" or a bare digest.
func parseChecksum(text string) (checksum, error) {
	algo, digest, ok := strings.Cut(strings.TrimSpace(text), ":")
	if !ok {
		algo, digest = "", algo
	}
	c := checksumOf(strings.TrimSpace(digest))
	if c.algo == "" || algo != "" && !strings.EqualFold(algo, c.algo) {
		return c, fmt.Errorf("%q is no checksum; write sha256: and 64 hex digits or sha512: and 128", text)
	}
	return c, nil
}

// checksumOf takes a digest in hex for what its length tells; the zero value if it is none.
func checksumOf(digest string) checksum {
	digest = strings.ToLower(digest)
	if _, err := hex.DecodeString(digest); err != nil {
		return checksum{}
	}
	switch len(digest) {
	case 64:
		return checksum{"sha256", digest}
	case 128:
		return checksum{"sha512", digest}
	}
	return checksum{}
}

// bsdLine is one line as `sha256sum --tag` and the BSD tools write it.
var bsdLine = regexp.MustCompile(`^SHA(256|512)\s*\((.+)\)\s*=\s*([0-9A-Fa-f]+)$`)

// findChecksum looks a file up in a published list of checksums: coreutils' lines, BSD's,
// both also inside of a signed message, or a digest alone. The longest digest wins.
func findChecksum(list, file string) (checksum, error) {
	var best, alone checksum
	var names []string
	singles := 0
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "-----") {
			continue
		}
		name, c := listLine(line)
		if c.algo == "" {
			continue
		}
		if name == "" {
			alone, singles = c, singles+1
			continue
		}
		name = name[strings.LastIndexByte(name, '/')+1:]
		names = append(names, name)
		if name == file && len(c.hex) > len(best.hex) {
			best = c
		}
	}
	switch {
	case best.algo != "":
		return best, nil
	case singles == 1 && len(names) == 0:
		return alone, nil
	case len(names) == 0:
		return checksum{}, fmt.Errorf("the list holds no SHA-256 or SHA-512 checksum")
	}
	err := &source.Error{What: fmt.Sprintf("the list has no checksum for %q", file), Hint: source.DidYouMean(file, names)}
	return checksum{}, err
}

func listLine(line string) (name string, c checksum) {
	if m := bsdLine.FindStringSubmatch(line); m != nil {
		c = checksumOf(m[3])
		if c.algo != "sha"+m[1] {
			return "", checksum{}
		}
		return m[2], c
	}
	digest, rest, _ := strings.Cut(line, " ")
	if strings.Contains(digest, "\t") {
		digest, rest, _ = strings.Cut(line, "\t")
	}
	rest = strings.TrimLeft(rest, " \t")
	return strings.TrimPrefix(rest, "*"), checksumOf(digest)
}
