package main

import (
	"strings"
	"testing"
)

func TestDomainTemplateMustMakeADomain(t *testing.T) {
	for text, want := range map[string]string{
		"<domain><os><type>hvm</type></os></domain>":         "",
		"<domain type='kvm'><os><type/></os><x/></domain>\n": "",
		"<domain><name>x":                     "f.xml.j2: what this makes for a/b is no domain of libvirt: XML syntax error",
		"<domain><name>x</name></domain>":     "<os><type> is missing",
		"<network><os><type/></os></network>": "expected element type <domain>",
		"":                                    "f.xml.j2: what this makes for a/b is no domain of libvirt",
	} {
		err := checkDomain("f.xml.j2", "a/b", text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
