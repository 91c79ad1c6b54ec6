package source

import "testing"

func TestDidYouMeanIsNotSilly(t *testing.T) {
	words := []string{"apt", "vcpus", "cpu", "ram", "net", "when", "name", "debian_12", "debian_13_bootstrap", "hosts", "Arch-Linux", "user", "xy", "permutations"}
	for word, want := range map[string]string{
		"vcpu": "vcpus", "wen": "when", "rma": "ram", "nmae": "name", "usr": "user", "host": "hosts", "permutation": "permutations", "APT": "apt",
		"deban_12": "debian_12", "Debian_12": "debian_12", "debian": "debian_12", "debian_13": "debian_12", "arch": "Arch-Linux", "xz": "xy",
		"a": "", "q": "", "zz": "", "zy": "", "foo": "", "abc": "", "gpu": "cpu", "disk": "", "git": "", "zork": "", "yum": "", "size": "", "": "",
	} {
		if want != "" {
			want = `did you mean "` + want + `"?`
		}
		if got := DidYouMean(word, words); got != want {
			t.Errorf("%s: got %s, want %s", word, got, want)
		}
	}
}
