package engine

// Mask takes secrets out of what is shown and kept. Whoever cuts text masks it first: half a
// secret is not found any more. Safe for concurrent use.
type Mask interface {
	// Text returns text with every secret replaced.
	Text(text string) string
	// Value is Text at every depth of a value of package value.
	Value(v any) any
	// Stream returns a function that masks text that comes in pieces. It keeps back what may be
	// the beginning of a secret until more comes, or last is set. The function is for one goroutine.
	Stream() func(piece string, last bool) string
}
