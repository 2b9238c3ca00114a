package half

import (
	"math"
	"testing"
)

// Each binary16 comes back, and what lies between two goes to the nearer one.
func TestAll(t *testing.T) {
	for h := range uint16(0x7c00) {
		x := Float32(h)
		if got := From(x); got != h {
			t.Fatalf("%#04x is %g, which is %#04x", h, x, got)
		}
		if got := From(-x); h > 0 && got != h|0x8000 {
			t.Fatalf("-%g is %#04x", x, got)
		}
		if h == 0x7bff {
			continue
		}
		next := Float32(h + 1)
		middle := x + (next-x)/2
		below, above := math.Nextafter32(middle, x), math.Nextafter32(middle, next)
		if a, b, c := From(below), From(middle), From(above); a != h || b != h+h%2 || c != h+1 {
			t.Fatalf("around %g: %#04x, %#04x, %#04x", middle, a, b, c)
		}
	}
	if From(Max) != 0x7bff || From(65519.99) != 0x7bff || From(65520) != 0x7c00 || From(float32(math.Inf(-1))) != 0xfc00 {
		t.Error("the end of the range is elsewhere")
	}
	if nan := Float32(From(float32(math.NaN()))); nan == nan {
		t.Errorf("NaN is %g", nan)
	}
}
