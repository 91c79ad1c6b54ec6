package images

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseSize reads a size as qemu-img does: bytes, or with K, M, G or T (times 1024;
// KiB, KB and lower case are the same). The result is over 0 and at most 64 TiB.
func ParseSize(text string) (int64, error) {
	num := strings.ToUpper(strings.TrimSpace(text))
	num = strings.TrimSuffix(strings.TrimSuffix(num, "B"), "I")
	shift := 0
	if i := strings.IndexAny(num, "KMGT"); i >= 0 && i == len(num)-1 {
		shift = 10 * (1 + strings.IndexByte("KMGT", num[i]))
		num = num[:i]
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
	if err != nil || math.IsNaN(f) {
		return 0, fmt.Errorf("%q is no size such as 10G or 512M", text)
	}
	if f = f * float64(int64(1)<<shift); f < 1 || f > maxVirtual {
		return 0, fmt.Errorf("the size %q is not between 1 byte and 64 TiB", text)
	}
	return int64(f), nil
}
