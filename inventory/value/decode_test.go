package value

import (
	"testing"

	"farm/inventory/source"
)

func TestDecodeKeepsThePlacesOfTheRest(t *testing.T) {
	f, err := source.Parse("f.yaml", []byte("a: 1\nb: 2\n"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := FromNode(f, f.Root)
	if err != nil {
		t.Fatal(err)
	}
	var into struct {
		A    int   `yaml:"a"`
		Rest *Dict `yaml:",rest"`
	}
	if err := Decode(v.(*Dict), &into); err != nil {
		t.Fatal(err)
	}
	if got := into.Rest.KeyPos("b").Line; got != 2 || into.Rest.Pos().File != "f.yaml" {
		t.Errorf("b is said to be in line %d of %q", got, into.Rest.Pos().File)
	}
}
