package plural

import "testing"

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 row":           Count(1, "row"),
		"0 rows":          Count(0, "row"),
		"-1 rows":         Count(-1, "row"),
		"2 class weights": Count(int64(2), "class weight"),
		"1 class":         Count(uint64(1), "class"),
		"3 classes":       Count(3, "class"),
		"3 batches":       Count(3, "batch"),
		"3 epochs":        Count(3, "epoch"),
		"3 exact copies":  Count(3, "exact copy"),
		"3 keys":          Count(3, "key"),
		"1 task is":       Of(1, "task is", "tasks are"),
		"11 tasks are":    Of(11, "task is", "tasks are"),
		"views":           Noun(1000, "view"),
		"view":            Noun(1, "view"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
