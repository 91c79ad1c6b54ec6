package value

// Syntax is how a file that is a template is read; the zero value is Ansible's default.
type Syntax struct {
	KeepNewlines bool // the newline after a block stays (trim_blocks: false)
	StripLeft    bool // the blanks before a block on its line go (lstrip_blocks: true)
}
