package expr

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// release is a version in one of Python's schemes, made so that the numbers and texts order it:
// list is what is compared first, the rest decides between equals, in order.
type release struct {
	epoch int
	list  []int  // without zeros at the end
	pre   stage  // a, b or rc
	post  int    // -1 = none
	dev   int    // none = later than any
	local []part // of the machine that built it
}

// stage is a pre-release: its letters and number.
type stage struct {
	letters string
	n       int
}

// part of a local version; numbers come after texts.
type part struct {
	text string
	n    int
}

const none = int(^uint(0) >> 1)

func (r release) order(o release) int {
	return cmp.Or(
		cmp.Compare(r.epoch, o.epoch), slices.Compare(r.list, o.list),
		cmp.Compare(r.pre.letters, o.pre.letters), cmp.Compare(r.pre.n, o.pre.n),
		cmp.Compare(r.post, o.post), cmp.Compare(r.dev, o.dev),
		slices.CompareFunc(r.local, o.local, part.order),
	)
}

func (a part) order(b part) int {
	switch {
	case a.text != "" && b.text != "":
		return strings.Compare(a.text, b.text)
	case a.text != "":
		return -1
	case b.text != "":
		return 1
	}
	return cmp.Compare(a.n, b.n)
}

// numbers reads "1.2.0" without the zeros at the end.
func numbers(s string) []int {
	var list []int
	for word := range strings.SplitSeq(s, ".") {
		list = append(list, count(word))
	}
	for len(list) > 1 && list[len(list)-1] == 0 {
		list = list[:len(list)-1]
	}
	return list
}

// count is a number that may be left out, which is 0.
func count(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil && s != "" {
		throw("%s is too large in a version", s)
	}
	return n
}

var strictForm = regexp.MustCompile(`^(\d+\.\d+(?:\.\d+)?)(?:([ab])(\d+))?$`)

// strictVersion reads "1.2", "1.2.3" or "1.2b1".
func strictVersion(s string) release {
	g := strictForm.FindStringSubmatch(s)
	if g == nil {
		throwHint("such as 1.2, 1.2.3 or 1.2b1", "%q is no strict version", s)
	}
	r := release{list: numbers(g[1]), pre: stage{letters: "z"}}
	if g[2] != "" {
		r.pre = stage{g[2], count(g[3])}
	}
	return r
}

var pep440Form = regexp.MustCompile(`^v?(?:(\d+)!)?(\d+(?:\.\d+)*)` +
	`(?:[-_.]?(a|alpha|b|beta|c|rc|pre|preview)[-_.]?(\d*))?` +
	`(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?` +
	`(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$`)

// pep440 reads a version of a Python package, https://peps.python.org/pep-0440/.
func pep440(s string) release {
	g := pep440Form.FindStringSubmatch(strings.ToLower(strings.TrimSpace(s)))
	if g == nil {
		throwHint("such as 1.2, 1.2rc1 or 1.2.post1", "%q is no version of PEP 440", s)
	}
	r := release{epoch: count(g[1]), list: numbers(g[2]), post: -1, dev: none}
	switch letters := g[3]; {
	case letters != "":
		short := map[string]string{"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
		r.pre = stage{cmp.Or(short[letters], letters), count(g[4])}
	case g[5] == "" && g[6] == "" && g[8] != "": // a development release of what comes before all others
	default:
		r.pre = stage{letters: "z"}
	}
	if g[5] != "" || g[6] != "" {
		r.post = count(g[5] + g[7])
	}
	if g[8] != "" {
		r.dev = count(g[9])
	}
	for word := range strings.FieldsFuncSeq(g[10], func(c rune) bool { return strings.ContainsRune("-_.", c) }) {
		if n, err := strconv.Atoi(word); err == nil {
			r.local = append(r.local, part{n: n})
		} else {
			r.local = append(r.local, part{text: word})
		}
	}
	return r
}
