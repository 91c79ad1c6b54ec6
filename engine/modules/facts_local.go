package modules

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"farm/inventory/value"
)

// local makes the fact ansible_local of the files that the script read: what each holds, by its
// name without .fact. A file that cannot be read so has a text that says why, as Ansible has it.
func (f facts) local() {
	all := value.NewDict()
	for i := 0; ; i++ {
		n := strconv.Itoa(i)
		file := text(f.r.get("local_name" + n))
		if file == "" {
			break
		}
		var v any
		said := text(f.r.get("local" + n))
		if f.r.is("local_dead" + n) {
			v = fmt.Sprintf("Could not stat fact (%s): the link leads nowhere", file)
		} else if rc := f.r.get("local_bad" + n); rc != "" {
			v = fmt.Sprintf("Failure executing fact script (%s), rc: %s, err: ", file, rc)
		} else if js, err := value.FromJSON([]byte(said)); err == nil {
			v = js
		} else if sections, err := parseINI(said); err == nil {
			v = sections
		} else {
			v = "error loading facts as JSON or ini - please check content: " + file
		}
		all.Set(strings.Replace(path.Base(file), ".fact", "", 1), v)
	}
	f.set("local", all)
}

// parseINI reads sections of "key = value" or "key: value", as Python's configparser does: keys
// are lower case, what is indented goes on a value, and DEFAULT counts for each section.
func parseINI(s string) (*value.Dict, error) {
	out, defaults := value.NewDict(), value.NewDict()
	var section *value.Dict
	last := ""
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, " \t\r\n")
		bare := strings.TrimSpace(line)
		switch {
		case bare == "", bare[0] == '#', bare[0] == ';':
		case bare != line && last != "":
			old, _ := section.Get(last)
			section.Set(last, value.Text(old)+"\n"+bare)
		case bare[0] == '[' && strings.HasSuffix(bare, "]"):
			name := bare[1 : len(bare)-1]
			if section, last = value.NewDict(), ""; name == "DEFAULT" {
				section = defaults
			} else {
				out.Set(name, section)
			}
		default:
			at := strings.IndexAny(bare, "=:")
			if section == nil || at < 1 {
				return nil, errors.New("neither a section nor a key with a value")
			}
			last = strings.ToLower(strings.TrimSpace(bare[:at]))
			section.Set(last, strings.TrimSpace(bare[at+1:]))
		}
	}
	for name, v := range out.All() {
		out.Set(name, value.Merge(defaults, v.(*value.Dict)))
	}
	return out, nil
}
