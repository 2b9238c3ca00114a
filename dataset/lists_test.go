package dataset

import (
	"fmt"
	"strings"
	"testing"

	"finetune/internal/naming"
)

// each makes names by a pattern of one number, from 1 to n.
func each(n int, patterns ...string) []string {
	var names []string
	for i := range n {
		for _, p := range patterns {
			names = append(names, strings.ReplaceAll(p, "#", fmt.Sprint(i+1)))
		}
	}
	return names
}

// Long lists in messages end in how many more there are.
func TestLongListsAreCut(t *testing.T) {
	classes := func(dir string, n int) []string { return each(n, dir+"c#/1.jpg", dir+"c#/2.jpg", dir+"c#/3.jpg") }
	for name, tt := range map[string]struct {
		files, csv []string
		fallback   float64
		want       string // in the error, a note or a warning
	}{
		"no share": {classes("", 6), nil, 0, "(c1, c2, c3, c4, c5 and 1 more) are the classes"},
		"valid lacks": {append(classes("train/", 6), "valid/x/1.jpg"), nil, 0, "which has c1, c2, c3, c4, c5 and 1 " +
			"more; add"},
		"letters": {each(3, "trainA#/1.jpg", "testA#/1.jpg"), nil, 0.2, "(testA1, testA2, testA3, trainA1, trainA2 " +
			"and 1 more) look like splits"},
		"wrapped": {classes("data/", 4), nil, 0.2, "the folders c1, c2, c3 and 1 more are in"},
		"holds": {append(classes("dev/", 4), "x.txt"), nil, 0.2, "there is dev/ but no train/ (it holds the " +
			"folders c1, c2, c3 and 1 more)"},
		"flat and holds": {append(classes("dev/", 4), "dev/1.jpg"), nil, 0.2, "photographs and the folders c1, c2, c3 and " +
			"1 more"},
		"a class": {append(classes("", 4), "dev/1.jpg", "dev/2.jpg"), nil, 0.4,
			"dev/ is taken as a class: it holds photographs but no class folders, and c1, c2, c3 and 1 more are beside it"},
		"Training": {append(classes("", 4), "Training/a/1.jpg", "Training/a/2.jpg"), nil, 0.4,
			"Training/ is taken as a class, for c1, c2, c3 and 1 more are beside it"},
		"shared": {each(4, "c#/p/1.jpg", "c#/q/2.jpg", "c#/r/3.jpg", "c#/s/4.jpg"), nil, 0.4,
			"the classes are the folders c1, c2, c3 and 1 more; each holds the folders p, q, r and 1 more, whose"},
		"beside": {append(classes("", 2), each(6, "b#.jpg")...), nil, 0.4, "ignored: b1.jpg, b2.jpg, b3.jpg, " +
			"b4.jpg, b5.jpg and 1 more"},
		"two labels": {append(classes("", 7), "c3/x.jpg", "c4/x.jpg", "c5/x.jpg", "c6/x.jpg", "c7/x.jpg"), nil, 0.4,
			"c3/x.jpg, c4/x.jpg, c5/x.jpg, c6/x.jpg and 1 more"},
		"missing": {each(2, "#.jpg"), append([]string{"path,label", "1.jpg,a", "2.jpg,a"}, each(6, "x#.jpg,a")...), 0.4,
			"6 files of labels.csv do not exist: x1.jpg (line 4), x2.jpg (line 5), x3.jpg (line 6), x4.jpg (line 7), x5.jpg " +
				"(line 8) and 1 more"},
		"columns": {each(2, "#.jpg"), []string{"path,label,c1,c2,c3,c4,c5,c6", "1.jpg,a,,,,,,", "2.jpg,a,,,,,,"}, 0.4,
			`columns not used: "c1", "c2", "c3", "c4", "c5" and 1 more`},
		"could be": {each(1, "x.jpg", "x.png", "x.gif", "x.bmp", "x.tif"), []string{"path,label", "x,a"}, 0.4,
			"could be x.bmp, x.gif, x.jpg, x.png and 1 more"},
		"Unicode forms": {each(6, "#.jpg"), append([]string{"path,label"}, each(6, "#.jpg,#e\u0301", "#.jpg.x,#\u00e9")...),
			0.4, "taken as one class: 1\u00e9, 2\u00e9, 3\u00e9, 4\u00e9, 5\u00e9 and 1 more"},
		"alike": {nil, nil, 0, ""},
	} {
		if name == "alike" {
			equal(t, name, naming.Alike(strings.Split("1|01|001|1.0|1.00|1.000", "|")),
				`[classes "1", "01", "001", "1.0", "1.00" and 1 more are the same number; give them one name if they are one class]`)
			continue
		}
		files := map[string]string{}
		for _, f := range tt.files {
			files[f] = f
			if strings.HasSuffix(f, "/x.jpg") {
				files[f] = "same"
			}
		}
		if tt.csv != nil {
			files["labels.csv"] = strings.Join(tt.csv, "\n") + "\n"
		}
		root := tree(t, files)
		var set *Set
		var err error
		if tt.csv != nil {
			set, err = Labelled(root, Options{Labels: root + "/labels.csv"})
		} else {
			set, err = Open(root, Options{Fallback: tt.fallback})
		}
		said := fmt.Sprint(err)
		if err == nil {
			said = strings.Join(append(set.Notes, set.Warnings...), "\n")
		}
		if !strings.Contains(said, tt.want) {
			t.Errorf("%s: %s\nwant %s", name, said, tt.want)
		}
	}
}
