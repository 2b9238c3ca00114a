package plots

import "testing"

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		in   string
		room float64
		want string
	}{
		{"ants", 100, "ants"},
		{"a very long class name that goes on", 60, "a very l…"},
		{"", 10, ""},
		{"蟻 ants", 100, "□ ants"},
		{"муравьи", 100, "муравьи"},
		{"tab\there", 100, "tab here"},
	} {
		if got := fit(labelText, tt.in, tt.room); got != tt.want {
			t.Errorf("fit(%q, %g) = %q, want %q", tt.in, tt.room, got, tt.want)
		}
	}
}
