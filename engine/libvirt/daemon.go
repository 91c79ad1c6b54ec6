package libvirt

import (
	"context"
	"fmt"
	"strings"
	"time"

	"farm/engine"
)

// daemonScript starts root's daemons. One that runs already keeps its PID file locked,
// so that the second start fails and changes nothing; hence the look at the socket
// comes last and decides. They end by themselves when nothing uses them.
//
// With HIDE set they see no /dev/kvm: a daemon that may open it, but on which KVM does not
// work, asks the emulator anew what it can do before every start, which was seen to take 80 s.
// They get a /dev without it in a mount namespace of their own.
const daemonScript = `PATH=$PATH:/usr/sbin:/sbin
start() { "$@" -d --timeout=120; }
if [ -n "$HIDE" ] && unshare -m true 2>/dev/null; then
	start() {
		unshare -m sh -c 'mount --make-rprivate / && dev=$(mktemp -d) && mount -t tmpfs -o mode=755,size=1m dev "$dev" || exit
		for f in /dev/*; do
			to=$dev/${f#/dev/}
			case $f in
			/dev/kvm) ;;
			*) if [ -d "$f" ] && [ ! -L "$f" ] && mountpoint -q "$f"; then mkdir "$to" && mount --rbind "$f" "$to"
			   else cp -a "$f" "$to"; fi || exit ;;
			esac
		done
		umount -R -l /dev 2>/dev/null || awk "\$2 ~ \"^/dev/\" { print \$2 }" /proc/self/mounts | sort -r | xargs -r umount -l
		mount --move "$dev" /dev && rmdir "$dev"; exec "$@"' sh "$@" -d --timeout=120
	}
fi
for d in "$@"; do
	said=$(start "$d" </dev/null 2>&1) || case $said in
	*pid*file*) ;;
	*) echo "$d: $said" >&2 ;;
	esac
done
for wait in 1 2 3 4 5 6 7 8 9 10; do
	for s in /run/libvirt/virtqemud-sock /run/libvirt/libvirt-sock; do
		[ ! -S $s ] || exit 0
	done
	sleep 1
done
echo 'no socket in /run/libvirt' >&2
exit 1
`

// startDaemon starts the daemons that answer root's session, unless systemd does so.
func (h *Host) startDaemon(ctx context.Context) error {
	if h.basic.managed {
		return fmt.Errorf("systemd runs the daemons there: systemctl enable --now libvirtd.socket")
	}
	if h.basic.daemon == "" {
		return fmt.Errorf("neither libvirtd nor virtqemud is installed")
	}
	return h.runDaemons(ctx, h.brokenKVM(ctx), h.basic.daemon, h.basic.logs)
}

// brokenKVM reports whether /dev/kvm can be opened and yet no guest runs on it.
func (h *Host) brokenKVM(ctx context.Context) bool {
	if h.basic.kvm != "ok" {
		return false
	}
	usable, _, err := h.probeKVM(ctx, h.basic.arch, "qemu-system-"+h.basic.arch, true)
	return err == nil && !usable
}

// keepLogDaemon sees to it that virtlogd runs before a start: it takes the console log,
// an ordinary user's daemon starts it on demand, and root's does not. It ends some
// time after the last guest, while the daemon lives on as long as we are connected.
func (h *Host) keepLogDaemon(ctx context.Context) error {
	if !h.rootSession || h.basic.managed || h.basic.logs == "" {
		return nil
	}
	return h.runDaemons(ctx, false, h.basic.logs)
}

func (h *Host) runDaemons(ctx context.Context, hideKVM bool, daemons ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	argv := []string{"/bin/sh", "-c", daemonScript, "sh"}
	env := map[string]string{"HIDE": ""}
	if hideKVM {
		env["HIDE"] = "1"
	}
	for _, d := range daemons {
		if d != "" {
			argv = append(argv, d)
		}
	}
	out, err := h.cfg.Conn.Exec(ctx, engine.Cmd{Argv: argv, Keep: 16 << 10, Env: env})
	if err != nil {
		return fmt.Errorf("start %s: %w: %s", strings.Join(daemons, " "), err, clean(string(out.Stderr)))
	}
	return nil
}
