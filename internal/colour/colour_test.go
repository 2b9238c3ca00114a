package colour

import (
	"math"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	half, one := [3]float32{0.5, 0.5, 0.5}, [3]float32{1, 1, 1}
	for _, c := range []struct {
		mean, std [3]float32
		want      string // "" if it is fine
	}{
		{[3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}, ""},
		{[3]float32{}, one, ""}, // pixels as they are
		{one, half, ""},         // of white pictures
		{[3]float32{}, [3]float32{1 / 255., 1 / 255., 1 / 255.}, ""},       // 0 to 255, as OpenCV's networks take them
		{[3]float32{}, [3]float32{1 / 65535., 1 / 65535., 1 / 65535.}, ""}, // 16 bits
		{[3]float32{123.7, 116.3, 103.5}, [3]float32{58.4, 57.1, 57.4}, "divide by 255"},
		{[3]float32{123.7, 116.3, 103.5}, half, "divide by 255"},
		{half, [3]float32{58.4, 57.1, 57.4}, "divide by 255"},
		{[3]float32{0.5, 0.5, 1.5}, half, "divide by 255"},
		{half, [3]float32{0.5, 0, 0.5}, "std"},
		{half, [3]float32{0.5, -0.2, 0.5}, "std"},
		{half, [3]float32{0.5, 1e-30, 0.5}, "std"},
		{half, [3]float32{nan, 0.5, 0.5}, "std"},
		{half, [3]float32{0.5, inf, 0.5}, "std"},
		{[3]float32{-0.1, 0, 0}, half, "mean"},
		{[3]float32{0, nan, 0}, half, "mean"},
		{[3]float32{0, 0, inf}, half, "mean"},
	} {
		err := Check(c.mean, c.std)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("mean %v, std %v: %v, want %q", c.mean, c.std, err, c.want)
		}
	}
}
