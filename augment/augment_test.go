package augment

import (
	"errors"
	"strings"
	"testing"

	"finetune/augment/picture"
	"finetune/internal/picturetest"
)

func mustDecode(t testing.TB, data []byte) *picture.Image {
	t.Helper()
	im, err := picture.Decode(data, picture.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// noise is a synthetic picture: smooth colours with sharp random squares.
func noise(w, h int, seed uint64) *picture.Image {
	return &picture.Image{Width: w, Height: h, Pix: picturetest.Noise(w, h, seed)}
}

func encoded(t testing.TB, im *picture.Image) []byte {
	return picturetest.EncodePNG(t, picturetest.RGBA(im.Width, im.Height, im.Pix))
}

func wantTooLarge(t *testing.T, name string, err error, words ...string) {
	t.Helper()
	var d *picture.DecodeError
	if !errors.As(err, &d) || d.Status != picture.TooLarge {
		t.Errorf("%s: %v; want status %s", name, err, picture.TooLarge)
		return
	}
	for _, w := range words {
		if !strings.Contains(d.Reason, w) {
			t.Errorf("%s: reason %q does not say %q", name, d.Reason, w)
		}
	}
}
