package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"farm/engine"
	"farm/inventory/value"
)

// Ansible runs a playbook or roles on the host with the controller's ansible-playbook, for what needs
// modules or plugins that only Ansible has. It needs ansible-playbook on the controller (Debian's package
// ansible or ansible-core) and Python on the host. The one host of its inventory has this one's name,
// groups and variables, and is reached through the connection that is there. Each of its tasks is told as a
// part of this one. The result has changed, failed, stats (ok, changed, failures, skipped, unreachable,
// rescued and ignored of each host) and tasks (of each play, name, action, file, host, status and result).
// Plays for localhost run on the controller. check_mode and diff become --check and --diff, become is
// --become; `environment` is that of ansible-playbook.
type Ansible struct {
	// File of the playbook, looked up beside the task file and in the project.
	Playbook string `yaml:"playbook"`
	// Names or folders of roles to run, before the playbook if there is one too; looked up beside the
	// task file and in the project, then as Ansible does.
	Roles []string `yaml:"roles"`
	// What has to be installed on the controller, as NAMESPACE.NAME; roles are looked up there too.
	Collections []string `yaml:"collections"`
	// Variables over all others.
	ExtraVars *value.Dict `yaml:"extra_vars"`
	// Only the playbook's tasks with these tags.
	Tags []string `yaml:"tags"`
	// None of the playbook's tasks with these tags.
	SkipTags []string `yaml:"skip_tags"`
	// File with the password of encrypted files and variables.
	VaultPasswordFile string `yaml:"vault_password_file"`
	// When ansible-playbook is ended; by default with the phase or the task.
	Timeout time.Duration `yaml:"timeout"`
	// Files and folders that the playbook reads, beside itself and the roles. With it, if only as an empty list,
	// the state that it leads to can be kept: without, nobody knows what that depends on.
	Reads []string `yaml:"reads"`
}

func newAnsible() engine.Module { return &Ansible{} }

var (
	collectionName = regexp.MustCompile(`^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$`)
	unsafeWord     = regexp.MustCompile(`^-|[,\x00-\x1f]`)
)

// Validate checks that there is something to run, and names.
func (m *Ansible) Validate() error {
	if m.Playbook == "" && len(m.Roles) == 0 {
		return errors.New("what is to be run? give playbook or roles")
	}
	for _, name := range m.Collections {
		if !collectionName.MatchString(name) {
			return fmt.Errorf("collections: %q is not of the form NAMESPACE.NAME", name)
		}
	}
	for _, name := range append(append([]string{}, m.Tags...), m.SkipTags...) {
		if name == "" || unsafeWord.MatchString(name) {
			return fmt.Errorf("%q is no tag", name)
		}
	}
	for _, name := range m.Roles {
		if name == "" {
			return errors.New("roles: a name is empty")
		}
	}
	if m.Timeout < 0 {
		return fmt.Errorf("timeout is %v, less than nothing", m.Timeout)
	}
	return nil
}

// Run runs ansible-playbook. A failed task of the playbook is a failed result; where the host
// cannot be reached the error wraps engine.ErrUnreachable.
func (m *Ansible) Run(ctx context.Context, t *engine.Task) (engine.Result, error) {
	if err := m.Validate(); err != nil {
		return failed("ansible: %v", err), nil
	}
	program, err := exec.LookPath("ansible-playbook")
	if err != nil {
		return engine.Result{}, engine.Blamef(engine.FarmFault, "ansible: ansible-playbook is not installed on the controller: %w (Debian has it in the package ansible, or ansible-core without collections)", err)
	}
	dir, err := os.MkdirTemp("", "farm-ansible-") // mode 0700: it gets passwords and a key
	if err != nil {
		return engine.Result{}, fmt.Errorf("ansible: %w", err)
	}
	defer os.RemoveAll(dir)
	s := &ansibleStep{Ansible: m, task: t, dir: dir}
	args, err := s.files()
	if err != nil {
		return failed("ansible: %v", err), nil
	}
	limited := ctx
	if m.Timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, m.Timeout)
		defer cancel()
	}
	door, err := s.connect(limited)
	if err != nil {
		return engine.Result{}, fmt.Errorf("ansible: %w", err)
	}
	defer door.close()
	if err := s.inventory(door); err != nil {
		return engine.Result{}, fmt.Errorf("ansible: %w", err)
	}
	log := newAnsibleLog(t)
	ended, err := s.perform(limited, program, args, log)
	door.close()
	switch {
	case ctx.Err() != nil:
		return engine.Result{}, fmt.Errorf("ansible: %w", context.Cause(ctx))
	case limited.Err() != nil:
		log.over = fmt.Sprintf("not done within %v; ansible-playbook was ended", m.Timeout)
	case err != nil:
		return engine.Result{}, fmt.Errorf("ansible: %w", err)
	}
	return log.result(m, ended)
}

// ansibleStep is one run of ansible-playbook.
type ansibleStep struct {
	*Ansible
	task *engine.Task
	dir  string // of its files; removed after it
}

// files writes the files of the step but the inventory, and gives the arguments of ansible-playbook.
func (s *ansibleStep) files() ([]string, error) {
	if err := s.write("callbacks/farm_events.py", ansibleEvents); err != nil {
		return nil, err
	}
	args := []string{"-i", filepath.Join(s.dir, "inventory.yaml")}
	if s.task.Check {
		args = append(args, "--check")
	}
	if s.task.Diff {
		args = append(args, "--diff")
	}
	if b := s.task.Become; b != nil {
		args = append(args, "--become")
		if b.User != "" {
			args = append(args, "--become-user="+b.User)
		}
		if b.Method != "" {
			args = append(args, "--become-method="+b.Method)
		}
	}
	if len(s.Tags) > 0 {
		args = append(args, "--tags="+strings.Join(s.Tags, ","))
	}
	if len(s.SkipTags) > 0 {
		args = append(args, "--skip-tags="+strings.Join(s.SkipTags, ","))
	}
	if s.ExtraVars.Len() > 0 {
		if err := s.write("extra.yaml", ansibleYAML(s.ExtraVars)+"\n"); err != nil {
			return nil, err
		}
		args = append(args, "--extra-vars=@"+filepath.Join(s.dir, "extra.yaml"))
	}
	if s.VaultPasswordFile != "" {
		file, err := s.find("files", s.VaultPasswordFile)
		if err != nil {
			return nil, fmt.Errorf("vault_password_file: %w", err)
		}
		args = append(args, "--vault-password-file="+file)
	}
	books, err := s.playbooks()
	if err != nil {
		return nil, err
	}
	return append(append(args, "--"), books...), nil
}

// playbooks are the files to run; that of the roles is written.
func (s *ansibleStep) playbooks() (books []string, err error) {
	if len(s.Roles) > 0 {
		roles := []any{}
		for _, name := range s.Roles {
			if name, err = s.role(name); err != nil {
				return nil, err
			}
			roles = append(roles, name)
		}
		play := value.NewDict("name", "roles", "hosts", "all", "roles", roles)
		if len(s.Collections) > 0 {
			play.Set("collections", anyList(s.Collections))
		}
		if err := s.write("roles.yaml", ansibleYAML([]any{play})+"\n"); err != nil {
			return nil, err
		}
		books = append(books, filepath.Join(s.dir, "roles.yaml"))
	}
	if s.Playbook != "" {
		file, err := s.find("playbooks", s.Playbook)
		if err != nil {
			return nil, fmt.Errorf("playbook: %w", err)
		}
		books = append(books, file)
	}
	return books, nil
}

// role is a role's name for Ansible. One that is found here is linked into the step's folder, as Ansible
// shows the whole path of one that is named by it.
func (s *ansibleStep) role(name string) (string, error) {
	dir, err := s.find("roles", name)
	if err != nil {
		return name, nil // Ansible looks elsewhere too, and complains
	}
	link := filepath.Join(s.dir, "roles", filepath.Base(dir))
	if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
		return "", err
	}
	if err := os.Symlink(dir, link); errors.Is(err, fs.ErrExist) {
		return dir, nil // another of the same name
	} else if err != nil {
		return "", err
	}
	return filepath.Base(dir), nil
}

func anyList(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func (s *ansibleStep) find(kind, name string) (string, error) {
	path, err := s.task.Files.Find(kind, name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

func (s *ansibleStep) write(name, text string) error {
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
