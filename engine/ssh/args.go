package ssh

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"farm/inventory/source"
)

// options are those that mean something here; without are for ssh(1) alone and change
// nothing that matters to farm.
var (
	options = []string{"hostname", "port", "user", "identityfile", "proxyjump", "proxycommand", "stricthostkeychecking", "userknownhostsfile"}
	without = []string{"controlmaster", "controlpath", "controlpersist", "compression", "connecttimeout", "connectionattempts",
		"serveraliveinterval", "serveralivecountmax", "tcpkeepalive", "identitiesonly", "forwardagent", "loglevel", "batchmode",
		"preferredauthentications", "pubkeyauthentication", "passwordauthentication", "gssapiauthentication", "addressfamily"}
)

// parseArgs reads arguments of ssh(1): -o Key=Value, -J, -i, -l, -p. The result is by
// lower-case option name.
func parseArgs(line string) (map[string]string, error) {
	words, err := splitWords(line)
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	short := map[string]string{"-J": "proxyjump", "-i": "identityfile", "-l": "user", "-p": "port"}
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch w {
		case "-C", "-q", "-4", "-6", "-a", "-x", "-T", "-v":
			continue
		}
		if len(w) < 2 || short[w[:2]] == "" && w[:2] != "-o" {
			return nil, fmt.Errorf("%q has no meaning here; known are -o Key=Value, -J, -i, -l, -p", w)
		}
		flag, v := w[:2], w[2:]
		if v == "" {
			if i++; i == len(words) {
				return nil, fmt.Errorf("%s needs a value", w)
			}
			v = words[i]
		}
		key := short[flag]
		if flag == "-o" {
			if key, v, err = option(v); err != nil {
				return nil, err
			}
		}
		if _, ok := m[key]; !ok && !slices.Contains(without, key) {
			m[key] = v
		}
	}
	return m, nil
}

// option splits "Key=Value" or "Key Value".
func option(s string) (key, v string, err error) {
	i := strings.IndexAny(s, "= \t")
	if i < 0 {
		return "", "", fmt.Errorf("-o %q: want Key=Value", s)
	}
	key, v = strings.ToLower(s[:i]), strings.Trim(s[i:], "= \t\"")
	if !slices.Contains(options, key) && !slices.Contains(without, key) {
		hint := source.DidYouMean(key, slices.Concat(options, without))
		if hint == "" {
			hint = "known: " + strings.Join(options, ", ")
		}
		return "", "", fmt.Errorf("-o %s has no meaning here (%s)", s[:i], hint)
	}
	return key, v, nil
}

// splitWords splits as a shell does, with quotes and backslashes and nothing else.
func splitWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	in, escaped := false, false
	for _, r := range s {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, in = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, in = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if in {
				words = append(words, word.String())
				word.Reset()
			}
			in = false
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("%q: a quote is left open", s)
	}
	if in {
		words = append(words, word.String())
	}
	return words, nil
}

// CheckArgs says what is wrong with arguments of ssh(1), such as those of
// ansible_ssh_common_args, as far as the text tells.
func CheckArgs(line string) error {
	args, err := parseArgs(line)
	if err != nil {
		return err
	}
	if text, ok := args["port"]; ok {
		if port, err := strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return fmt.Errorf("%q is no port from 1 to 65535", text)
		}
	}
	return nil
}
