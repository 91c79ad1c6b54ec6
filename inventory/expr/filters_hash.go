package expr

import (
	"crypto/md5"
	crand "crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/GehirnInc/crypt"
	_ "github.com/GehirnInc/crypt/md5_crypt"
	_ "github.com/GehirnInc/crypt/sha256_crypt"
	_ "github.com/GehirnInc/crypt/sha512_crypt"
)

func hashFilters() map[string]function {
	return map[string]function{
		"hash":          func(c *call) any { return digest(c.str(0, "hashtype", "sha1"), c.text()) },
		"checksum":      func(c *call) any { return digest("sha1", c.text()) },
		"sha1":          func(c *call) any { return digest("sha1", c.text()) },
		"md5":           func(c *call) any { return digest("md5", c.text()) },
		"password_hash": passwordHash,
		"to_uuid":       toUUID,
	}
}

func digest(kind, s string) any {
	b := []byte(s)
	switch kind {
	case "md5":
		sum := md5.Sum(b)
		return hex.EncodeToString(sum[:])
	case "sha1":
		sum := sha1.Sum(b)
		return hex.EncodeToString(sum[:])
	case "sha224":
		sum := sha256.Sum224(b)
		return hex.EncodeToString(sum[:])
	case "sha256":
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	case "sha384":
		sum := sha512.Sum384(b)
		return hex.EncodeToString(sum[:])
	case "sha512":
		sum := sha512.Sum512(b)
		return hex.EncodeToString(sum[:])
	}
	throwHint("md5, sha1, sha224, sha256, sha384 or sha512", "unsupported hash type: %s", kind)
	return nil
}

// passwordHash makes a crypt(5) hash. Rounds that are not asked for are those of
// Ansible: 656000 for sha512, 535000 for sha256.
func passwordHash(c *call) any {
	kind, salt := c.str(0, "hashtype", "sha512"), c.str(1, "salt", "")
	rounds := c.value(3, "rounds", nil)
	size := c.int(2, "salt_size", 0)
	c.value(4, "ident", nil) // of bcrypt
	var kinds = map[string]struct {
		scheme crypt.Crypt
		prefix string
		salt   int
		rounds int64
	}{
		"md5": {crypt.MD5, "$1$", 8, 0}, "sha256": {crypt.SHA256, "$5$", 16, 535000}, "sha512": {crypt.SHA512, "$6$", 16, 656000},
	}
	k, ok := kinds[strings.TrimSuffix(kind, "_crypt")]
	if !ok {
		throwHint("sha512, sha256 or md5", "password_hash does not support the kind %q", kind)
	}
	if salt == "" && size > 0 {
		salt = randomSalt(int(min(size, 64)))
	} else if salt == "" {
		salt = randomSalt(k.salt)
	}
	if len(salt) > k.salt || strings.Trim(salt, saltLetters) != "" {
		throw("the salt must have at most %d characters of A-Z a-z 0-9 . and /", k.salt)
	}
	n := k.rounds
	if rounds != nil {
		n = intArg(rounds, "rounds")
	}
	if n > 0 {
		// 5000 is what the scheme means without a number; passlib leaves it out.
		if n < 1000 || n > 10_000_000 {
			throw("rounds must be from 1000 to 10000000")
		}
		if n != 5000 {
			k.prefix += fmt.Sprintf("rounds=%d$", n)
		}
	}
	hash, err := k.scheme.New().Generate([]byte(c.text()), []byte(k.prefix+salt))
	if err != nil {
		throw("password_hash: %s", err)
	}
	return hash
}

const saltLetters = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func randomSalt(n int) string {
	b := make([]byte, n)
	crand.Read(b) // never fails
	for i := range b {
		b[i] = saltLetters[b[i]&63]
	}
	return string(b)
}

// toUUID is a UUID of version 5 in Ansible's namespace (RFC 9562, 5.5).
func toUUID(c *call) any {
	ns, err := hex.DecodeString(strings.ReplaceAll(c.str(0, "namespace", "361E6D51-FAEC-444A-9079-341386DA8E2E"), "-", ""))
	if err != nil || len(ns) != 16 {
		throw("Invalid value for namespace: it is no UUID")
	}
	sum := sha1.Sum(append(ns, c.text()...))
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
