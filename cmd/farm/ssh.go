package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"farm/engine"
	"farm/engine/ssh"
	"farm/engine/store"
)

func newSSHCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ssh ID [COMMAND...]",
		Short:   "Open a shell in a machine that was kept, or run a command there",
		Example: "  farm ssh debian_12/arm64\n  farm ssh debian_12/arm64 make -C project check",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ssh(cmd.Context(), args[0], commandOf(args))
		},
	}
	cmd.Flags().SetInterspersed(false) // options behind ID belong to the command
	return cmd
}

// commandOf is the command behind ID, which `--` may part from it.
func commandOf(args []string) []string {
	if len(args) > 1 && args[1] == "--" {
		return args[2:]
	}
	return args[1:]
}

func (a *app) ssh(ctx context.Context, id string, command []string) error {
	s, err := a.openStore()
	if err != nil {
		return err
	}
	defer s.Close()
	kept, err := keptMachines(ctx, s)
	if err != nil {
		return err
	}
	m, err := find(kept, id)
	if err != nil {
		return err
	}
	h, err := a.hostOf(ctx, s, m)
	if err != nil {
		return engine.Blame(engine.FarmFault, again(fmt.Errorf("enter %s on %q: %w", m.VM, m.Host, err), m, "ssh"))
	}
	defer h.close()
	machine, err := h.host.Machine(ctx, m.Name)
	if errors.Is(err, engine.ErrNotExist) {
		if err := a.strikeGone(ctx, s, h, m); err != nil {
			return engine.Blame(engine.FarmFault, fmt.Errorf("enter %s on %q: %w", m.VM, m.Host, err))
		}
		return engine.Blamef(engine.FarmFault, "enter %s on %q: the machine %q is gone, ended by somebody else or with its host; "+
			"its files and its record are removed now", m.VM, m.Host, m.Name)
	}
	if err != nil {
		return engine.Blame(engine.FarmFault, again(fmt.Errorf("enter %s on %q: %w", m.VM, m.Host, err), m, "ssh"))
	}
	guest, err := a.enter(ctx, h, m, machine)
	if err != nil {
		return engine.Blame(engine.FarmFault, fmt.Errorf("enter %s on %q: %w", m.VM, m.Host, err))
	}
	defer guest.Close()
	return a.shell(ctx, guest, strings.Join(command, " "))
}

// enter logs into the guest of a kept machine.
func (a *app) enter(ctx context.Context, h *hypervisor, m store.Machine, machine engine.Machine) (*ssh.Conn, error) {
	state, err := machine.State(ctx)
	if err != nil {
		return nil, err
	}
	if state != engine.Running {
		return nil, fmt.Errorf("the machine is %s", state)
	}
	addr, err := machine.SSH(ctx)
	if err != nil {
		return nil, err
	}
	return a.dialGuest(ctx, h.conn, guestLogin{
		Name: m.VM, Addr: addr, User: m.SSHUser, Key: m.KeyFile, HostKeys: m.HostKeys, Machine: m.Name,
	})
}

// shell runs line, or a login shell, on the caller's terminal; its status is farm's own.
func (a *app) shell(ctx context.Context, c *ssh.Conn, line string) error {
	in, isFile := a.in.(*os.File)
	if !isFile || !term.IsTerminal(int(in.Fd())) {
		out, err := c.Exec(ctx, engine.Cmd{Script: orShell(line), Stdin: a.in, Stdout: a.out, Stderr: a.err})
		var exit *engine.ExitError
		if errors.As(err, &exit) {
			return &exitError{out.Status}
		}
		return err
	}
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return err
	}
	defer term.Restore(int(in.Fd()), old)
	sizes, stop := terminalSizes(in)
	defer stop()
	name := a.getenv("TERM")
	if name == "" {
		name = "xterm"
	}
	err = c.Interactive(ctx, line, name, a.in, a.out, sizeOf(in), sizes)
	var exit *engine.ExitError
	if errors.As(err, &exit) {
		return &exitError{exit.Status}
	}
	return err
}

// orShell is line, or a shell that reads its commands from standard input.
func orShell(line string) string {
	if line == "" {
		return "exec sh -s"
	}
	return line
}

func sizeOf(f *os.File) ssh.Size {
	w, h, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return ssh.Size{Columns: 80, Rows: 24}
	}
	return ssh.Size{Columns: w, Rows: h}
}

// terminalSizes tells of changes of the terminal's size until stop is called.
func terminalSizes(f *os.File) (sizes <-chan ssh.Size, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH)
	out := make(chan ssh.Size)
	done := make(chan struct{})
	go func() {
		defer close(out)
		for {
			select {
			case <-done:
				return
			case <-signals:
			}
			select {
			case <-done:
				return
			case out <- sizeOf(f):
			}
		}
	}()
	return out, func() { signal.Stop(signals); close(done) }
}
