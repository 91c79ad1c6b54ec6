package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestParseRefusesWithPosition(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"tab":              {"all:\n\thosts:\n", `f.yaml:2:1: a tab in the indentation (YAML is indented with spaces)`},
		"tab after spaces": {"all:\n  hosts:\n  \tb: 1\n", "f.yaml:3:3: a tab in the indentation"},
		"indentation":      {"all:\n  hosts:\n    a:\n   b:\nc: 1\n", "f.yaml:4:4: did not find expected key (check the indentation)"},
		"colon":            {"a: b\nb: c: d\n", "f.yaml:2:1: mapping values are not allowed"},
		"bad UTF-8":        {"a: b\nb: \"x\xffy\"\n", "f.yaml:2:6: byte 0xff is not valid UTF-8"},
		"after letters":    {"é: \xc3\n", "f.yaml:1:4: byte 0xc3"},
		"NUL":              {"a: b\nb: x\x00\n", "f.yaml:2:5: control character 0x00"},
		"cycle":            {"a: &x\n  b: *x\n", "f.yaml:2:6: alias *x contains itself"},
		"unknown alias":    {"a: 1\nb: *x\n", "f.yaml:2:1: unknown anchor 'x' referenced"},
		"depth":            {strings.Repeat("[", 200) + strings.Repeat("]", 200), "f.yaml:1:101: nested deeper than 100 levels"},
		"documents":        {"a: 1\n---\nb: 2\n", "f.yaml:3:1: a second document starts here"},
		"open quote":       {"a: 1\nb: \"x\nc: 2\n", "f.yaml:2:1: found unexpected end of stream"},
		"bomb":             {bomb(12), "values once every alias is written out"},
		"anchors":          {many("- &a%d x\n", 1001), "f.yaml:1001:3: the file has more than 1000 anchors"},
		"values":           {"[" + strings.Repeat("a,", 1<<20) + "]", "the file has more than 500000 values and lines"},
		"lines":            {strings.Repeat("# x\n", 600_000), "f.yaml:500002:1: the file has more than 500000 values and lines"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "f.yaml:") {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func bomb(levels int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < levels; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	return b.String()
}

func many(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestParseAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "comment": "# nothing\n", "marker": "---\na: 1\n...\n",
		"tab in block": "a: |\n  all:\n  \tmake\n", "alias": "a: &x [1]\nb: *x\n", "json": "{\n\t\"a\": [1]\n}\n",
	} {
		if _, err := Parse("f.yaml", []byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadFileRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo, large := filepath.Join(dir, "fifo"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 100<<20); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: dir + ": this is a folder, not a regular file", fifo: "a FIFO", "/dev/zero": "a device",
		large: "over the limit of 16 MiB",
	} {
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
	if _, err := ReadFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// TestParseBoundsItsWork holds the worst files to what the parser may cost, in memory; bench/input
// measures the time.
func TestParseBoundsItsWork(t *testing.T) {
	for name, text := range map[string]string{
		"bomb": bomb(200), "anchors": many("- &a%d x\n", 100_000), "keys": many("k%d: x\n", 40_000),
		"flow": "[" + strings.Repeat("a,", 200_000) + "]", "comments": strings.Repeat("# x\n", 200_000),
		"open": strings.Repeat("[", 600_000), "dashes": strings.Repeat("- ", 600_000),
		"bad at the end": many("k%d: x\n", 13_000) + "  bad:\n x",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = Parse("f.yaml", []byte(text))
			runtime.ReadMemStats(&after)
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 512 {
				t.Errorf("asked for %d MiB in all", mib)
			}
			if mib := (after.HeapSys - before.HeapSys) >> 20; after.HeapSys > before.HeapSys && mib > 256 {
				t.Errorf("took %d MiB", mib)
			}
		})
	}
}

func TestFirstBadLineIsWhereTheTextGoesWrong(t *testing.T) {
	good := many("k%d: x\n", 3000)
	for name, c := range map[string]struct {
		text string
		line int
	}{
		"at the end":     {good + "  bad:\n x\n", 3001},
		"in the middle":  {good + "  bad:\n x\n" + good, 3001},
		"in line 1":      {"a: b: c\n" + good, 1},
		"open quote":     {good + "q: \"x\n" + good, 3001},
		"open bracket":   {good + "q: [x,\n" + good, 3002},
		"long line":      {"x: " + strings.Repeat("y", 5000) + "\nb: c: d\n", 2},
		"no newline":     {good + "b: c: d", 3001},
		"line 2 of many": {"a: 1\nb: c: d\n" + good, 2},
	} {
		_, err := Parse("f.yaml", []byte(c.text))
		var e *Error
		if !errors.As(err, &e) || e.Pos.Line != c.line {
			t.Errorf("%s: %v, want line %d", name, err, c.line)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: 1", "a: &x\n  b: *x", "\tx", "- {a: [1, 2]}\n---\nb", "\xff", "? [a]\n: b", "<<: *a"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("f.yaml", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.yaml") {
				t.Fatalf("no position: %v", err)
			}
			return
		}
		var count func(n *yaml.Node) int
		count = func(n *yaml.Node) int {
			if n == nil {
				return 0
			}
			if n.Kind == yaml.AliasNode {
				return count(n.Alias)
			}
			total := 1
			for _, c := range n.Content {
				total += count(c)
			}
			return total
		}
		if count(file.Root) > maxExpanded {
			t.Fatal("over budget")
		}
	})
}

func TestMissingFileIsToldWithTheOneThatIsMeant(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "inventory.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := ReadText(filepath.Join(dir, "inventry.yaml"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `did you mean "inventory.yaml"?`) {
		t.Errorf("got %v", err)
	}
	if _, err := ReadText(filepath.Join(dir, "other")); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "mean") {
		t.Errorf("got %v", err)
	}
}
