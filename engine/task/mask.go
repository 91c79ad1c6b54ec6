package task

// unmasked is the engine.Mask of those who know no secrets.
type unmasked struct{}

func (unmasked) Text(text string) string { return text }
func (unmasked) Value(v any) any         { return v }
func (unmasked) Stream() func(string, bool) string {
	return func(piece string, _ bool) string { return piece }
}
