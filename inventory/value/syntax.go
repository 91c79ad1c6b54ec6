package value

// Syntax is how a file that is a template is read; the zero value is Ansible's default.
type Syntax struct {
	KeepNewlines bool // the newline after a block stays (trim_blocks: false)
	StripLeft    bool // the blanks before a block on its line go (lstrip_blocks: true)
	// What stands around expressions, statements and comments; "" is {{ }}, {% %} and {# #}.
	VariableStart, VariableEnd, BlockStart, BlockEnd, CommentStart, CommentEnd string
}

// SyntaxOf is what the arguments of the module template say; ok is false where they are not constant.
func SyntaxOf(args *Dict) (how Syntax, ok bool) {
	ok = true
	for name, into := range map[string]*string{
		"variable_start_string": &how.VariableStart, "variable_end_string": &how.VariableEnd,
		"block_start_string": &how.BlockStart, "block_end_string": &how.BlockEnd,
		"comment_start_string": &how.CommentStart, "comment_end_string": &how.CommentEnd,
	} {
		switch v, _ := args.Get(name); t := v.(type) {
		case string:
			*into = t
		case nil:
		default:
			ok = false
		}
	}
	return how, ok
}
