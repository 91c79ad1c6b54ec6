package inventory

import (
	"fmt"
	"regexp"
	"strings"
)

// Requirement is one word of `requires`: something that a hypervisor must have, or not.
type Requirement struct {
	Name string
	Not  bool
}

var requiredName = regexp.MustCompile(`^[\pL\pN_][\pL\pN_.:/@+-]*$`)

// ParseRequires reads `requires`, such as "kvm & big & !slow". Empty text requires nothing.
func ParseRequires(text string) ([]Requirement, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var all []Requirement
	for word := range strings.SplitSeq(text, "&") {
		name, not := strings.CutPrefix(strings.TrimSpace(word), "!")
		name = strings.TrimSpace(name)
		switch {
		case name == "":
			return nil, fmt.Errorf("a word is missing beside &")
		case !requiredName.MatchString(name):
			return nil, fmt.Errorf("%q is no word", name)
		}
		all = append(all, Requirement{name, not})
	}
	return all, nil
}

// requirement is ParseRequires as a rule.
func requirement(v any) (what, hint string) {
	text, ok := v.(string)
	if !ok {
		return "", "" // a number or boolean is a word; other types are told by decoding
	}
	if _, err := ParseRequires(text); err != nil {
		return fmt.Sprintf("is %q: %s", text, err), `labels of hypervisors joined by &, ! before those not wanted: "kvm & big & !slow"`
	}
	return "", ""
}
