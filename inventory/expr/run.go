package expr

import "fmt"

// Bounds on one evaluation, so that no file can hang or exhaust the program.
const (
	maxSteps = 5_000_000 // nodes evaluated and items produced
	maxChain = 100       // variables that need variables
	maxText  = 64 << 20  // bytes of one text
	maxItems = 1_000_000 // of one list that an operator or a filter makes
	maxCalls = 100       // macros and includes inside each other
)

// run is one evaluation from outside, with all the variables that it needs. It
// belongs to one goroutine.
type run struct {
	steps int
	calls int
	chain []link
}

// link is a variable under evaluation.
type link struct {
	v    *Vars
	name string
	deps map[string]struct{}
}

func newRun() *run { return &run{} }

// step spends n of the budget.
func (r *run) step(n int) {
	if r.steps += n; r.steps > maxSteps {
		throwHint("is there an endless loop?", "the evaluation takes more than %d steps", maxSteps)
	}
}

// depends adds name to what the innermost variable depends on.
func (r *run) depends(name string) {
	if n := len(r.chain); n > 0 {
		r.chain[n-1].deps[name] = struct{}{}
	}
}

func (r *run) enter(v *Vars, name string) error {
	for i, l := range r.chain {
		if l.v == v && l.name == name {
			var names []string
			for _, l := range r.chain[i:] {
				names = append(names, l.name)
			}
			return &CircularError{append(names, name)}
		}
	}
	if len(r.chain) >= maxChain {
		return fmt.Errorf("more than %d variables that need each other, the last %q", maxChain, name)
	}
	r.chain = append(r.chain, link{v, name, map[string]struct{}{}})
	return nil
}

// leave ends the innermost variable and hands its dependencies to the one that needs it.
func (r *run) leave() []string {
	n := len(r.chain) - 1
	l := r.chain[n]
	r.chain = r.chain[:n]
	deps := make([]string, 0, len(l.deps))
	for d := range l.deps {
		deps = append(deps, d)
		if n > 0 && r.chain[n-1].v == l.v {
			r.chain[n-1].deps[d] = struct{}{}
		}
	}
	return deps
}
