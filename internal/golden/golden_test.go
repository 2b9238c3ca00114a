package golden

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func picture(t *testing.T, w, h int, dot color.Gray) []byte {
	t.Helper()
	im := image.NewGray(image.Rect(0, 0, w, h))
	im.SetGray(1, 1, dot)
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCompare(t *testing.T) {
	base := picture(t, 4, 4, color.Gray{100})
	for _, tt := range []struct {
		name      string
		got       []byte
		tolerance int
		want      string
	}{
		{"same", base, 0, ""},
		{"one level off, exact", picture(t, 4, 4, color.Gray{101}), 0, "1 pixel differs"},
		{"one level off, tolerated", picture(t, 4, 4, color.Gray{101}), 2, ""},
		{"other size", picture(t, 4, 5, color.Gray{100}), 2, "4 pixels differ"},
		{"not a picture", []byte("x"), 0, "not a PNG"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			message := compare("a/b", tt.got, base, tt.tolerance, dir)
			if tt.want == "" && message != "" || !strings.Contains(message, tt.want) {
				t.Fatalf("message %q, want %q", message, tt.want)
			}
			if strings.Contains(message, "differ") {
				for _, f := range []string{"a-b.got.png", "a-b.diff.png"} {
					if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}
