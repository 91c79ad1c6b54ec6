package ssh

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// defaultKeys are tried in ssh(1)'s order.
var defaultKeys = []string{"id_rsa", "id_ecdsa", "id_ed25519"}

// authMethods lists the ways to log in; call done when the login is over.
func authMethods(cfg Config) (methods []ssh.AuthMethod, done func(), err error) {
	done = func() {}
	var signers []ssh.Signer
	for _, f := range cfg.KeyFiles {
		s, err := readKey(f)
		if err != nil {
			return nil, done, err
		}
		signers = append(signers, s)
	}
	if cfg.UseAgent || len(cfg.KeyFiles) == 0 && cfg.Password == "" {
		if a := dialAgent(); a != nil {
			done = func() { a.Close() }
			if l, err := agent.NewClient(a).Signers(); err == nil {
				signers = append(signers, l...)
			}
		}
	}
	if len(cfg.KeyFiles) == 0 && cfg.Password == "" {
		signers = append(signers, readDefaultKeys()...)
	}
	if len(signers) > 0 {
		methods = append(methods, ssh.PublicKeys(signers...))
	}
	if p := cfg.Password; p != "" {
		methods = append(methods, ssh.Password(p), ssh.KeyboardInteractive(answers(p)))
	}
	if len(methods) == 0 {
		done()
		return nil, func() {}, errors.New("no key, agent or password to log in with")
	}
	return methods, done, nil
}

// answers gives the password to the one question that is asked without echo.
func answers(password string) ssh.KeyboardInteractiveChallenge {
	asked := 0
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		out := make([]string, len(questions))
		for i := range questions {
			if echos[i] {
				return nil, errors.New("the server asks something other than the password")
			}
			if asked++; asked > 1 {
				return nil, errors.New("the password was refused")
			}
			out[i] = password
		}
		return out, nil
	}
}

func readKey(file string) (ssh.Signer, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s, err := ssh.ParsePrivateKey(b)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return nil, fmt.Errorf("key %q is encrypted: add it to an ssh-agent, or use one without a passphrase", file)
	}
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", file, err)
	}
	return s, nil
}

// readDefaultKeys reads the keys below ~/.ssh that can be read.
func readDefaultKeys() []ssh.Signer {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	var l []ssh.Signer
	for _, name := range defaultKeys {
		s, err := readKey(filepath.Join(home, ".ssh", name))
		if err == nil {
			l = append(l, s)
		} else if !errors.Is(err, fs.ErrNotExist) {
			continue
		}
	}
	return l
}

func dialAgent() net.Conn {
	path := os.Getenv("SSH_AUTH_SOCK")
	if path == "" {
		return nil
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil
	}
	return c
}
