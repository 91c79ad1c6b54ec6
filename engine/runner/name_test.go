package runner

import "testing"

func TestFileNameKeepsOrdinaryIDsReadable(t *testing.T) {
	for id, want := range map[string]string{
		"debian_12/arm64":   "debian_12-arm64",
		"debian_12/arm64#3": "debian_12-arm64-3",
		"a.b/c_d":           "a.b-c_d",
		"Arch-Linux/amd64":  "Arch-Linux-amd64",
	} {
		if got := FileName(id); got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
}

func TestFileNameIsAnotherForEachID(t *testing.T) {
	long := "p/" + string(make([]byte, 300))
	ids := []string{
		"tiny-a/amd64", "tiny/a-amd64", "tiny/a/amd64", "tiny-a-amd64", "p/t#1", "p/t-1", "p-t/1", "p-t/1#1", "p/t/1", "p--t/a", "p-/t", "p/1", "p#t/1",
		"a+b/t", "a b/t", "a-b/t", "ü/t", "-/t", "../..", "..", ".", "", "/", "p/t", "p-t", "P/t", long, long + "x",
	}
	ids = append(ids, FileName("a+b/t")) // a name that is used as an id
	of := map[string]string{}
	for _, id := range ids {
		name := FileName(id)
		if other, ok := of[name]; ok {
			t.Errorf("%q and %q are both %q", other, id, name)
		}
		of[name] = id
		if name == "" || name == "." || name == ".." || len(name) > 200 {
			t.Errorf("%q: %q is no name for a folder", id, name)
		}
	}
}

func TestRunKeepsVMsWithLikeIDsApart(t *testing.T) {
	w := newWorld()
	w.run(t, nil, "tiny-a/amd64", "tiny/a-amd64")
	if len(w.made) != 2 || w.made[0].Name == w.made[1].Name || w.made[0].Dir == w.made[1].Dir {
		t.Errorf("machines %+v", w.made)
	}
}
