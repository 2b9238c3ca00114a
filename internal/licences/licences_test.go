package licences

import (
	"os/exec"
	"slices"
	"testing"
)

// Every module that is linked in has a licence that is known, with its text.
func TestLinkedModules(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	t.Chdir("../..")
	list, err := Linked("")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"github.com/yalue/onnxruntime_go": "MIT", "gonum.org/v1/plot": "BSD-3-Clause",
		"github.com/apache/arrow-go/v18": "Apache-2.0", "github.com/nfnt/resize": "ISC",
	}
	for _, m := range list {
		if id, ok := want[m.Path]; ok && !slices.Contains(m.IDs(), id) {
			t.Errorf("%s: %v, want %s", m.Path, m.IDs(), id)
		}
		for _, id := range m.IDs() {
			if id == "GPL-2.0-only" || id == "GPL-3.0-only" {
				t.Errorf("%s: %s: cannot be linked into a program under Apache-2.0", m.Path, id)
			}
		}
		delete(want, m.Path)
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		"Apache License\n   Version 2.0, January 2004": "Apache-2.0", "permission is hereby granted, free of\ncharge, to " +
			"any person obtaining a copy": "MIT",
		"Redistributions in binary form must reproduce the above": "BSD-2-Clause", "Copyright. All rights reserved.": "",
		"": "",
	} {
		if got := Name(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
