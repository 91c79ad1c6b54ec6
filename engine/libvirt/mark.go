package libvirt

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"time"

	"farm/engine"
)

// namespace and prefix of farm's element in a domain's metadata.
const (
	namespace = "https://farm.invalid/domain/1"
	prefix    = "farm"
)

// mark is farm's element in a domain's <metadata>: what makes a domain farm's, and what
// must be known of it after the controller has forgotten everything.
type mark struct {
	XMLName xml.Name     `xml:"machine"`
	Owner   engine.Owner `xml:"owner"`
	Made    time.Time    `xml:"made"`
	Console string       `xml:"console"`           // console log on the host
	Port    int          `xml:"port,omitempty"`    // of the host's loopback, forwarded to the guest's sshd
	Address string       `xml:"address,omitempty"` // static address of the guest, host:port
	MAC     string       `xml:"mac,omitempty"`     // of the card that has the guest's address
	NVRAM   string       `xml:"nvram,omitempty"`   // farm's own copy, removed with the machine
}

// bare is the element without a prefix, as DomainSetMetadata takes it.
func (k mark) bare() string {
	var b bytes.Buffer
	// only strings, numbers and times: it cannot fail
	_ = xml.NewEncoder(&b).Encode(k)
	return b.String()
}

// prefixed is the element as it stands in a domain's XML.
func (k mark) prefixed() string {
	inner := k.bare()
	inner = inner[len("<machine>") : len(inner)-len("</machine>")]
	return fmt.Sprintf("<%s:machine xmlns:%s=%q>%s</%s:machine>", prefix, prefix, namespace, inner, prefix)
}

func parseMark(text string) (mark, error) {
	var k mark
	if err := xml.Unmarshal([]byte(text), &k); err != nil {
		return mark{}, fmt.Errorf("farm's mark in the metadata: %w", err)
	}
	return k, nil
}
