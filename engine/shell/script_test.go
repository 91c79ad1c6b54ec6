package shell

import (
	"regexp"
	"testing"
)

func TestScriptsThatNeedAShellOfTheirOwn(t *testing.T) {
	for script, want := range map[string][2]bool{
		"":                     {},
		"echo $1 $x ${y}":      {},
		"echo $$":              {true},
		"a${$}":                {},
		"echo ${PPID}":         {true},
		"echo $PPIDS $0x":      {},
		"echo $BASHPID":        {true},
		"x=$0":                 {true},
		"${0##*/}":             {true},
		"$":                    {},
		"sleep 1 &":            {false, true},
		"sleep 1&":             {false, true},
		"&":                    {false, true},
		"a && b":               {},
		"a &&& b":              {},
		"a 2>&1":               {},
		"a >& b; c &> d; e <&": {},
		"a |& b":               {},
		`curl x\&y`:            {},
		"a & b; c && d":        {false, true},
		"a &2":                 {},
		"a 2>&1 & b":           {false, true},
	} {
		if got := [2]bool{ownProcess(script), background(script)}; got != want {
			t.Errorf("%q: own process, background: %v, want %v", script, got, want)
		}
	}
}

func FuzzScriptsThatNeedAShellOfTheirOwn(f *testing.F) {
	own := regexp.MustCompile(`\$\$|\$\{?(PPID|BASHPID|0)\b`)
	back := regexp.MustCompile(`(^|[^&<>|\\])&([^&>0-9]|$)`)
	for _, s := range []string{"&", "&&", "a&\xff", "$$", "${0", "$PPID&", "\n&\n", "&&&&1&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := ownProcess(s), own.MatchString(s); got != want {
			t.Errorf("ownProcess(%q) = %v", s, got)
		}
		if got, want := background(s), back.MatchString(s); got != want {
			t.Errorf("background(%q) = %v", s, got)
		}
	})
}
