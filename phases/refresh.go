package phases

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"farm/engine"
)

// entropy is how many random bytes a guest gets after it resumed.
const entropy = 64

// clockScript reads the time, random bytes in hex and a boot id from its standard input, and sets the clock. Like
// renewScript, which may follow, it prints a line for each thing that cannot be done.
const clockScript = `
read -r now seed boot
if ! said=$(date -u -s "@$now" 2>&1 >/dev/null) && ! said=$(date -u -s "@$(printf %.0f "$now")" 2>&1 >/dev/null); then echo "warning its clock was not set: $said"; fi
`

// renewScript makes a guest that resumed another than those that resume from the same memory. Writing random bytes into /dev/urandom
// does not change what it gives next; the ioctls RNDADDENTROPY and RNDRESEEDCRNG do (random(4)), which
// a shell cannot call, but Perl can, and it is in every Debian. Their numbers depend on the
// architecture. The kernel's boot_id cannot be changed, so another one is mounted over it.
const renewScript = `
if ! command -v perl >/dev/null; then
	echo "warning its random numbers are those of all that resume from this memory, until the kernel renews them within minutes: it has no perl to renew them with"
elif ! said=$(printf '%s\n' "$seed" | perl -e '
	my $bytes = pack "H*", scalar <STDIN>;
	my ($add, $reseed) = $ARGV[0] =~ /^(ppc|mips|sparc|alpha)/ ? (0x80085203, 0x20005207) : (0x40085203, 0x5207);
	open my $random, "+<", "/dev/urandom" or die "/dev/urandom: $!\n";
	ioctl $random, $add, pack("i i a*", 8 * length $bytes, length $bytes, $bytes) or die "RNDADDENTROPY: $!\n";
	ioctl $random, $reseed, 0 or die "RNDRESEEDCRNG: $!\n";
' "$(uname -m)" 2>&1); then echo "warning its random numbers were not renewed: $said"; fi
id=/proc/sys/kernel/random/boot_id
if [ -e $id ]; then
	if ! said=$(umask 022; rm -f /run/farm-boot-id; printf '%s\n' "$boot" 2>&1 >/run/farm-boot-id && chmod 444 /run/farm-boot-id && mount --bind /run/farm-boot-id $id 2>&1); then
		echo "warning its boot_id is that of all that resume from this memory: $said"
	fi
fi
`

// tellScript prints the guest's time.
const tellScript = `echo "clock $(date -u +%s)"`

// asRootScript runs its argument as root, by sudo where the login user is another.
const asRootScript = `if [ "$(id -u)" = 0 ]; then exec sh -c "$1"; fi; exec sudo -n sh -c "$1"`

// renew sets the clock of a guest that has just resumed, and renews its random numbers and its
// boot id, before anything else runs in it. What cannot be done is a warning.
func renew(ctx context.Context, r *engine.Run) { correct(ctx, r, clockScript+renewScript+tellScript) }

// setClock sets the clock of a guest that has stood still for a while.
func setClock(ctx context.Context, r *engine.Run) { correct(ctx, r, clockScript+tellScript) }

func correct(ctx context.Context, r *engine.Run, script string) {
	warn := func(format string, args ...any) {
		r.Emit(engine.Event{Kind: engine.Warning, Text: "the guest resumed, but " + fmt.Sprintf(format, args...)})
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(min(r.Scale, 3)*float64(20*time.Second)))
	defer cancel()
	seed := make([]byte, entropy)
	_, _ = rand.Read(seed) // never fails, see crypto/rand
	begun := time.Now()
	told := fmt.Sprintf("%.3f %s %s\n", float64(begun.UnixMilli())/1000, hex.EncodeToString(seed), newID())
	out, err := r.Conn.Exec(ctx, engine.Cmd{Argv: []string{"/bin/sh", "-c", asRootScript, "sh", script}, Stdin: strings.NewReader(told), Keep: 8 << 10})
	if err != nil {
		warn("what stood still in it, such as its clock, is not corrected: %v", out.Because(err))
		return
	}
	clock := ""
	for line := range strings.Lines(engine.Printable(string(out.Stdout))) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "warning":
			warn("%s", rest)
		case "clock":
			clock = rest
		}
	}
	if off, err := behind(clock, begun, time.Now()); err != nil {
		warn("its clock is not known: %v", err)
	} else if off > 1 {
		warn("its clock is %.0f s off", off)
	}
}

// behind is how many seconds at least a guest's clock is off that showed a time, in whole seconds,
// between two moments.
func behind(clock string, begun, ended time.Time) (float64, error) {
	n, err := strconv.ParseInt(clock, 10, 64)
	if err != nil {
		return 0, err
	}
	from, to := float64(begun.UnixMilli())/1000, float64(ended.UnixMilli())/1000
	return math.Max(0, math.Max(from-float64(n+1), float64(n)-to)), nil
}

// newID is a random UUID, version 4 (RFC 9562).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
