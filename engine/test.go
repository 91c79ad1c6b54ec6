package engine

import "fmt"

// Test is one test of the project's own, as a report of them tells it.
type Test struct {
	Name  string `json:"name"`
	Class string `json:"class,omitempty"` // the class or suite that it belongs to
	// Status is OK, Failed, Skipped, or NoVerdict where the test itself went wrong ("error").
	Status    Status `json:"status"`
	Text      string `json:"text,omitempty"` // why it failed or was skipped, the message first
	ElapsedMS int64  `json:"elapsed_ms"`
}

// TestCount is how many tests ended how.
type TestCount struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Errors  int `json:"errors"`
	Skipped int `json:"skipped"`
}

// CountTests counts tests.
func CountTests(tests []Test) (n TestCount) {
	for _, t := range tests {
		switch t.Status {
		case OK:
			n.Passed++
		case Failed:
			n.Failed++
		case Skipped:
			n.Skipped++
		default:
			n.Errors++
		}
	}
	return n
}

// Plus is the sum of two.
func (n TestCount) Plus(m TestCount) TestCount {
	return TestCount{n.Passed + m.Passed, n.Failed + m.Failed, n.Errors + m.Errors, n.Skipped + m.Skipped}
}

// Total is how many tests there are.
func (n TestCount) Total() int { return n.Passed + n.Failed + n.Errors + n.Skipped }

// String is for people: "41 passed, 1 failed, 2 skipped"; errors are named where there are some.
func (n TestCount) String() string {
	text := fmt.Sprintf("%d passed, %d failed", n.Passed, n.Failed)
	if n.Errors > 0 {
		text += fmt.Sprintf(", %d with errors", n.Errors)
	}
	return text + fmt.Sprintf(", %d skipped", n.Skipped)
}

// TestReport is a report of tests that a task has read.
type TestReport struct {
	Path  string // of the file on the controller
	Tests []Test
}
