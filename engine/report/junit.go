package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"farm/engine"
)

// JUnit writes a JUnit report when the run ends: a suite for every VM, a case for every
// phase and for every test of the reports that its tasks have read; a failed test is a failure, anything else that went wrong an
// error. The form is
// that of https://github.com/testmoapp/junitxml.
type JUnit struct{ w io.WriteCloser }

// NewJUnit returns a sink that writes to w and closes it.
func NewJUnit(w io.WriteCloser) *JUnit { return &JUnit{w} }

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Name    string       `xml:"name,attr"`
	Tests   int          `xml:"tests,attr"`
	Failed  int          `xml:"failures,attr"`
	Errors  int          `xml:"errors,attr"`
	Time    string       `xml:"time,attr"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name    string      `xml:"name,attr"`
	Host    string      `xml:"hostname,attr,omitempty"`
	Tests   int         `xml:"tests,attr"`
	Failed  int         `xml:"failures,attr"`
	Errors  int         `xml:"errors,attr"`
	Skipped int         `xml:"skipped,attr"`
	Time    string      `xml:"time,attr"`
	Stamp   string      `xml:"timestamp,attr"`
	Cases   []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string      `xml:"name,attr"`
	Class   string      `xml:"classname,attr"`
	Time    string      `xml:"time,attr"`
	Failure *junitFault `xml:"failure,omitempty"`
	Error   *junitFault `xml:"error,omitempty"`
	Skipped *junitFault `xml:"skipped,omitempty"`
	Out     string      `xml:"system-out,omitempty"`
}

type junitFault struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// Event writes the report at the run's end.
func (j *JUnit) Event(e engine.Event, s *engine.State) error {
	if e.Kind != engine.RunEnded {
		return nil
	}
	all := junitSuites{Name: "farm run " + s.Run, Time: fmt.Sprintf("%.3f", s.Ended.Sub(s.Started).Seconds())}
	for _, id := range s.Order {
		suite := suiteOf(s.VMs[id])
		all.Tests, all.Failed, all.Errors = all.Tests+suite.Tests, all.Failed+suite.Failed, all.Errors+suite.Errors
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(j.w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(j.w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(j.w, "\n")
	return err
}

// Close closes the file.
func (j *JUnit) Close() error { return j.w.Close() }

func suiteOf(vm *engine.VMState) junitSuite {
	s := junitSuite{Name: vm.ID, Host: vm.Host, Stamp: vm.Started.UTC().Format("2006-01-02T15:04:05"),
		Time: fmt.Sprintf("%.3f", vm.Ended.Sub(vm.Started).Seconds())}
	blamed := false
	for _, ph := range vm.Phases {
		c := junitCase{Name: ph.Name, Class: vm.ID, Time: fmt.Sprintf("%.3f", ph.Elapsed.Seconds())}
		switch ph.Status {
		case engine.OK:
		case engine.Ignored:
			c.Out = xmlText(ph.Text)
		case engine.Skipped:
			c.Skipped = &junitFault{Message: ph.Text}
			s.Skipped++
		case engine.Failed:
			c.Failure = faultOf(vm, ph)
			s.Failed++
			blamed = true
		default:
			c.Error = faultOf(vm, ph)
			s.Errors++
			blamed = true
		}
		s.Cases = append(s.Cases, c)
	}
	// A VM that did not pass but in no phase, such as one that fits nowhere, is a case of its own.
	if vm.Status == engine.Skipped {
		s.Cases = append(s.Cases, junitCase{Name: "run", Class: vm.ID, Time: "0.000", Skipped: &junitFault{Message: firstLine(vm.Why)}})
		s.Skipped++
	} else if vm.Status != engine.OK && !blamed {
		s.Cases = append(s.Cases, junitCase{Name: "run", Class: vm.ID, Time: "0.000",
			Error: &junitFault{Message: firstLine(vm.Why), Text: xmlText(vm.Why)}})
		s.Errors++
	}
	for _, r := range vm.Reports {
		s.add(vm.ID, r.Tests)
	}
	s.Tests = len(s.Cases)
	return s
}

// add puts tests of the VM into its suite.
func (s *junitSuite) add(vm string, tests []engine.Test) {
	for _, t := range tests {
		c := junitCase{Name: xmlText(t.Name), Class: vm, Time: fmt.Sprintf("%.3f", float64(t.ElapsedMS)/1000)}
		if t.Class != "" {
			c.Class += "." + xmlText(t.Class)
		}
		why := &junitFault{Message: xmlText(firstLine(t.Text)), Text: xmlText(t.Text)}
		switch t.Status {
		case engine.OK:
		case engine.Skipped:
			c.Skipped = &junitFault{Message: why.Message}
			s.Skipped++
		case engine.Failed:
			c.Failure = why
			s.Failed++
		default:
			c.Error = why
			s.Errors++
		}
		s.Cases = append(s.Cases, c)
	}
}

func faultOf(vm *engine.VMState, ph engine.PhaseState) *junitFault {
	text := ph.Text
	if vm.Failed != nil && vm.Failed.Phase == ph.Name {
		text += "\n" + taskDetail(vm.Failed)
	}
	return &junitFault{Message: xmlText(firstLine(ph.Text)), Text: xmlText(text)}
}

// xmlText leaves out the characters that XML 1.0 cannot hold.
func xmlText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, text)
}
