package main

import (
	"os"
	"strings"
	"testing"
)

func TestContestants(t *testing.T) {
	words := "self finetune body step-body step-batch threads rows data photos photo cache features model width count " +
		"fresh peers ort-training openvino openvino-python"
	first := map[string]bool{}
	for _, c := range contestants {
		if _, err := parseOnly(c.part); err != nil {
			t.Error(err)
		}
		if !first[c.part] && !strings.HasPrefix(c.name, "finetune") {
			t.Errorf("%s: the first contestant is %q, not finetune", c.part, c.name)
		}
		first[c.part] = true
		for _, w := range strings.Fields(c.command) {
			name, _, ok := strings.Cut(strings.TrimPrefix(w, "{"), "}")
			if strings.HasPrefix(w, "{") && ok && !strings.Contains(" "+words+" ", " "+name+" ") {
				t.Errorf("%s: %q is no word of the setup", c.command, name)
			}
			if strings.HasPrefix(w, "bench/") {
				if _, err := os.Stat("../../" + w); err != nil {
					t.Error(err)
				}
			}
		}
		if !c.served && c.name == "" {
			t.Errorf("%s: only a served contestant names itself", c.command)
		}
	}
	for _, p := range partNames() {
		if !first[p] {
			t.Errorf("nobody races in %s", p)
		}
	}
}

func TestMarkdownAndPage(t *testing.T) {
	head := result{part: parts[4], about: "a machine", rows: []row{
		{name: "finetune", values: []float64{2, 1, 9}, peak: 3e8}, {name: "other", values: []float64{4, 5, 3}},
		{name: "third", why: "it is not there"},
	}}
	want := "### Epoch of the head, batch 64, 1,024 features\n\n| contestant | median, s | least to most | of the " +
		"first | peak memory |\n|---|---|---|---|---|\n" +
		"| finetune | 2 | 1 to 9 | 1.00 | 300 MB |\n| other | 4 | 3 to 5 | 2.00 |  |\n| third | not raced: it is not " +
		"there | | | |\n\na machine.\n"
	if got := head.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	page, err := replaced("prose\n"+begin+end+"more\n", []result{head})
	if err != nil {
		t.Fatal(err)
	}
	decode := result{part: parts[0], about: "b", rows: []row{{name: "finetune", values: []float64{1}}}}
	if page, err = replaced(page, []result{decode}); err != nil {
		t.Fatal(err)
	}
	if want := "prose\n" + begin + "\n" + decode.markdown() + "\n" + want + "\n" + end + "more\n"; page != want {
		t.Errorf("got\n%s\nwant\n%s", page, want)
	}
	if _, err := replaced("prose", nil); err == nil {
		t.Error("a page without markers was accepted")
	}
}

func TestMedian(t *testing.T) {
	if a, b := median([]float64{5, 1, 3}), median([]float64{4, 1, 2, 3}); a != 3 || b != 2.5 {
		t.Errorf("medians %g and %g, want 3 and 2.5", a, b)
	}
}
