package modules

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farm/engine"
	"farm/engine/enginetest"
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

// busyboxBin is the variable that names the folder of busybox's programs to the tests
// that TestUnderBusybox runs.
const busyboxBin = "FARM_TEST_BUSYBOX"

// underBusybox gives the bench of such a test that connection.
func (b *bench) underBusybox() {
	if bin := os.Getenv(busyboxBin); bin != "" {
		b.task.Conn = busybox{b.task.Conn, bin}
	}
}

func busyboxPrograms(t *testing.T) (bin string) {
	bin = t.TempDir()
	list, err := exec.Command("busybox", "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	self, _ := exec.LookPath("busybox")
	for applet := range strings.FieldsSeq(string(list)) {
		if err := os.Symlink(self, filepath.Join(bin, applet)); err != nil {
			t.Fatal(err)
		}
	}
	for _, extra := range []string{"ssh-keygen", "curl", "bash"} {
		if p, err := exec.LookPath(extra); err == nil {
			os.Symlink(p, filepath.Join(bin, extra))
		}
	}
	return bin
}

func TestUnderBusybox(t *testing.T) {
	enginetest.Need(t, "busybox")
	t.Setenv(busyboxBin, busyboxPrograms(t))
	for name, test := range map[string]func(*testing.T){
		"Shell": TestShellArguments, "Script": TestScriptIsCopiedAndRemoved, "File": TestFileStates, "Links": TestFileLinks, "Owner": TestFileOwner,
		"Stat": TestStatTells, "Tempfile": TestTempfileIsPrivate, "Content": TestCopyContent, "Copy": TestCopyFile, "CopyLink": TestCopyReplacesOrFollowsALink,
		"CopyFolder": TestCopyFolder, "Fetch": TestFetchAndSlurp, "Setup": TestSetupGathersThisMachine, "Subsets": TestSetupSubsets,
		"Find": TestFind, "Archive": TestArchiveOfWhatPathsName, "Compress": TestArchiveCompressesAFile, "Assemble": TestAssemble, "Lineinfile": TestLineinfileAndMissingFiles, "Unarchive": func(t *testing.T) { tryUnarchive(t, "a.tgz", "tar -czf files/a.tgz d") }, "UnarchiveRefuses": TestUnarchiveRefuses,
		"Synchronize": TestSynchronize, "Keypair": TestOpensshKeypair, "Values": TestScriptValuesArriveUnchanged,
	} {
		t.Run(name, test)
	}
}
