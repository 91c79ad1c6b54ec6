package callbacks

import (
	"strings"
	"testing"
)

func TestFindChecksum(t *testing.T) {
	a, b, b512 := sum256("a"), sum256("b"), sum512("b")
	for name, tt := range map[string]struct{ list, file, want, err string }{
		"coreutils":        {a + "  a.img\n" + b + "  b.img\n", "b.img", "sha256:" + b, ""},
		"coreutils binary": {b + " *./dir/b.img\n", "b.img", "sha256:" + b, ""},
		"sha512":           {b512 + "  b.img\n", "b.img", "sha512:" + b512, ""},
		"bsd":              {"SHA256 (a.img) = " + a + "\nSHA256 (b.img) = " + strings.ToUpper(b) + "\n", "b.img", "sha256:" + b, ""},
		"fedora": {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# b.img: 3 bytes\nSHA256 (b.img) = " + b +
			"\n-----BEGIN PGP SIGNATURE-----\n\niQIzBAEB\n-----END PGP SIGNATURE-----\n", "b.img", "sha256:" + b, ""},
		"longest wins":     {b + "  b.img\n" + b512 + "  b.img\n", "b.img", "sha512:" + b512, ""},
		"alone":            {b + "\n", "b.img", "sha256:" + b, ""},
		"tab":              {b + "\tb.img\n", "b.img", "sha256:" + b, ""},
		"crlf":             {b + "  b.img\r\n", "b.img", "sha256:" + b, ""},
		"another file":     {a + "  b.imgs\n", "b.img", "", `did you mean "b.imgs"?`},
		"two alone":        {a + "\n" + b + "\n", "b.img", "", "no SHA-256"},
		"md5":              {"d41d8cd98f00b204e9800998ecf8427e  b.img\n", "b.img", "", "no SHA-256"},
		"bsd wrong length": {"SHA512 (b.img) = " + b + "\n", "b.img", "", "no SHA-256"},
		"a page":           {"<html>", "b.img", "", "no SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := findChecksum(tt.list, tt.file)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
