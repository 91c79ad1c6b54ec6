package engine

import (
	"regexp"
	"strings"
	"unicode"
)

// escapes are the terminal control sequences of ECMA-48: CSI, OSC and the short ones.
var escapes = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[PX^_][^\x1b]*(\x1b\\)?|[ -/]*[0-~])`)

// Printable is text from a guest made safe for a terminal or a page: control
// sequences and control characters are taken out, bytes that are no UTF-8 replaced.
// Newlines and tabs stay; a carriage return before a newline goes.
func Printable(text string) string {
	text = strings.ToValidUTF8(escapes.ReplaceAllString(text, ""), "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, text)
}
