package expr

import (
	"testing"

	"farm/inventory/value"
)

// The values are those of Python 3's random.Random with the same seeds.
func TestSeededRandomIsPythons(t *testing.T) {
	tests := []struct {
		seed string
		port int64
		mac  string
	}{
		{"VM debian_12_amd64", 50205, "52:54:00:e6:bb:84"},
		{"VM debian_12_arm64", 4480, "52:54:00:2c:08:e7"},
		{"VM debian_12_ppc64", 38081, "52:54:00:b8:8c:28"},
		{"VM Arch-Linux_amd64", 23465, "52:54:00:bc:53:10"},
	}
	v := New(Options{}).Vars()
	for _, tt := range tests {
		s := v.With(value.NewDict("seed", tt.seed))
		port, err := s.Eval(value.Template{Text: "{{ 65535 | random(start=2201, seed=seed) }}"})
		if err != nil || port != tt.port {
			t.Errorf("random(seed=%q) = %v, %v, want %d", tt.seed, port, err, tt.port)
		}
		mac, err := s.Eval(value.Template{Text: "{{ '52:54:00' | random_mac(seed=seed) }}"})
		if err != nil || mac != tt.mac {
			t.Errorf("random_mac(seed=%q) = %v, %v, want %s", tt.seed, mac, err, tt.mac)
		}
	}
}
