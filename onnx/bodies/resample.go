package bodies

import (
	"math"

	"finetune/internal/cubic"
)

// resampled scales a table of positions [from·from, width] to [to·to, width], bicubic, as torch's interpolate does with
// align_corners=False: with antialias by the filter of Pillow (Keys' with a = -0.5, wider where the table shrinks),
// else at four points with a = -0.75.
func resampled(table []float32, from, to, width int64, antialias bool) []float32 {
	rows := taps(from, to, antialias)
	across := make([]float32, from*to*width) // [from rows, to columns, width]
	for y := range from {
		for x, t := range rows {
			weigh(across[(y*to+int64(x))*width:][:width], table[y*from*width:], t, width)
		}
	}
	out := make([]float32, to*to*width)
	for y, t := range rows {
		weigh(out[int64(y)*to*width:][:to*width], across, t, to*width)
	}
	return out
}

// tap is a source that counts, and how much.
type tap struct {
	at     int64
	weight float64
}

func weigh(out, in []float32, taps []tap, stride int64) {
	for i := range out {
		sum := 0.0
		for _, t := range taps {
			sum += t.weight * float64(in[t.at*stride+int64(i)])
		}
		out[i] = float32(sum)
	}
}

// taps are the sources of each of to places among from.
func taps(from, to int64, antialias bool) [][]tap {
	scale := float64(from) / float64(to)
	all := make([][]tap, to)
	for i := range all {
		centre := (float64(i)+.5)*scale - .5
		if !antialias {
			first := int64(math.Floor(centre))
			for at := first - 1; at <= first+2; at++ {
				all[i] = append(all[i], tap{min(max(at, 0), from-1), cubic.Keys(float64(at)-centre, -.75)})
			}
			continue
		}
		wide, sum := max(scale, 1), 0.0
		lo, hi := max(int64(centre+.5-2*wide+.5), 0), min(int64(centre+.5+2*wide+.5), from)
		for at := lo; at < hi; at++ {
			w := cubic.Keys((float64(at)-centre)/wide, -.5)
			all[i] = append(all[i], tap{at, w})
			sum += w
		}
		for k := range all[i] {
			all[i][k].weight /= sum
		}
	}
	return all
}
