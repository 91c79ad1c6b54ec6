// Package docs reads the examples on the pages beside it, so that tests can run them.
//
// A ```yaml block that begins with "# PATH" is a file. A ```console block holds commands,
// each "$ farm ...", with what they print. "```console run" starts machines; what it
// prints is not given.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Block is a fenced block of a page.
type Block struct {
	Info  string // what stands behind the fence: "yaml", "console", "console run", ...
	Lines []string
}

// Blocks lists the fenced blocks of a page in order.
func Blocks(page string) []Block {
	var blocks []Block
	var open *Block
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			open = &Block{Info: fence}
		case isFence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.Lines = append(open.Lines, line)
		}
	}
	return blocks
}

// WriteFile writes a yaml block below dir under the name in its first line; other
// blocks are left alone.
func (b Block) WriteFile(dir string) error {
	if b.Info != "yaml" || len(b.Lines) == 0 {
		return nil
	}
	name, ok := strings.CutPrefix(b.Lines[0], "# ")
	if !ok {
		return fmt.Errorf("a yaml block does not begin with its file's name: %s", b.Lines[0])
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.Join(b.Lines, "\n")+"\n"), 0o644)
}

// Command is one command of a console block.
type Command struct {
	Args []string // behind "farm"
	Want string   // what it prints, without the spaces at the ends of lines
}

// Commands lists a console block's commands.
func (b Block) Commands() ([]Command, error) {
	var list []Command
	for _, line := range b.Lines {
		if command, ok := strings.CutPrefix(line, "$ farm "); ok {
			list = append(list, Command{Args: words(command)})
			continue
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("a console block begins with no command: %q", line)
		}
		list[len(list)-1].Want += line + "\n"
	}
	return list, nil
}

// words splits a command line at spaces outside single quotes.
func words(text string) []string {
	var list []string
	for i, part := range strings.Split(text, "'") {
		if i%2 == 1 {
			list = append(list, part)
			continue
		}
		list = append(list, strings.Fields(part)...)
	}
	return list
}
