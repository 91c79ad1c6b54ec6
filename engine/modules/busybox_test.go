package modules

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
)

// busybox runs the modules' scripts with busybox alone: its shell, and its programs first
// in the path.
type busybox struct {
	engine.Conn
	bin string
}

func (c busybox) Exec(ctx context.Context, cmd engine.Cmd) (engine.Output, error) {
	if cmd.Script != "" && cmd.Shell == "" {
		cmd.Shell = c.bin + "/sh"
	}
	env := map[string]string{"PATH": c.bin}
	for k, v := range cmd.Env {
		env[k] = v
	}
	cmd.Env = env
	return c.Conn.Exec(ctx, cmd)
}

// underBusybox gives the bench of a test that TestUnderBusybox runs a connection like that.
func (b *bench) underBusybox() {
	if !strings.HasPrefix(b.Name(), "TestUnderBusybox/") {
		return
	}
	bin := b.TempDir()
	list, err := exec.Command("busybox", "--list").Output()
	if err != nil {
		b.Fatal(err)
	}
	self, _ := exec.LookPath("busybox")
	for applet := range strings.FieldsSeq(string(list)) {
		if err := os.Symlink(self, filepath.Join(bin, applet)); err != nil {
			b.Fatal(err)
		}
	}
	for _, extra := range []string{"ssh-keygen", "curl", "bash"} {
		if p, err := exec.LookPath(extra); err == nil {
			os.Symlink(p, filepath.Join(bin, extra))
		}
	}
	b.task.Conn = busybox{b.task.Conn, bin}
}

func TestUnderBusybox(t *testing.T) {
	tool(t, "busybox")
	for name, test := range map[string]func(*testing.T){
		"Shell": TestShellArguments, "Script": TestScriptIsCopiedAndRemoved, "File": TestFileStates, "Links": TestFileLinks, "Owner": TestFileOwner,
		"Stat": TestStatTells, "Tempfile": TestTempfileIsPrivate, "Content": TestCopyContent, "Copy": TestCopyFile, "CopyLink": TestCopyReplacesOrFollowsALink,
		"CopyFolder": TestCopyFolder, "Fetch": TestFetchAndSlurp, "Setup": TestSetupGathersThisMachine, "Subsets": TestSetupSubsets,
		"Find": TestFind, "Lineinfile": TestLineinfileAndMissingFiles, "Unarchive": TestUnarchive, "UnarchiveRefuses": TestUnarchiveRefuses,
		"Synchronize": TestSynchronize, "Keypair": TestOpensshKeypair, "Values": TestScriptValuesArriveUnchanged,
	} {
		t.Run(name, test)
	}
}
