package audit

import (
	"fmt"
	"math"
)

// Facts are what a photograph's file and its pixels tell, seen without a network.
type Facts struct {
	Width, Height int
	Bytes         int64
	Format        string  // by content: "jpeg", "png"
	EXIF          bool    // there is such metadata
	Compression   string  // names the tables by which a JPEG was quantised
	Quantum       float64 // the mean of the first of them, 0 of other formats
	Pixels        Pixels
}

// Pixels are measures of a photograph's pixels.
type Pixels struct {
	Known     bool
	Mean      [3]float64 // of red, green, blue, 0 to 1
	Dark      float64    // 99 % quantile of brightness, 0 to 1
	Light     float64    // 5 % quantile of brightness
	Entropy   float64    // of the samples' histogram, bits
	Edges     float64    // deviation of the edges at 64 pixels, 0 to 255
	Histogram float64    // deviation of the counts of grey values at 64 pixels
	Grey      bool       // red, green and blue are equal everywhere
}

// MeasurePixels looks at w×h RGB pixels, as cleanvision does (its formulas).
func MeasurePixels(pix []uint8, w, h int) Pixels {
	n := w * h
	if n == 0 {
		return Pixels{}
	}
	m := Pixels{Known: true, Grey: true}
	var brightness [1024]int
	var samples [256]int
	var sum [3]float64
	for i := range n {
		r, g, b := pix[3*i], pix[3*i+1], pix[3*i+2]
		m.Grey = m.Grey && r == g && g == b
		samples[r]++
		samples[g]++
		samples[b]++
		fr, fg, fb := float64(r), float64(g), float64(b)
		sum[0], sum[1], sum[2] = sum[0]+fr, sum[1]+fg, sum[2]+fb
		brightness[int(math.Sqrt(.241*fr*fr+.691*fg*fg+.068*fb*fb)/255*1023+.5)]++
	}
	for k := range sum {
		m.Mean[k] = sum[k] / float64(n) / 255
	}
	at := func(q float64) float64 {
		left := int(q * float64(n))
		for k, count := range brightness {
			if left -= count; left < 0 {
				return float64(k) / 1023
			}
		}
		return 1
	}
	m.Dark, m.Light = at(.99), at(.05)
	for _, count := range samples {
		if share := float64(count) / float64(3*n); share > 0 {
			m.Entropy -= share * math.Log2(share)
		}
	}
	m.Edges, m.Histogram = edges(pix, w, h)
	return m
}

// edges shrinks to 64 pixels of the longer side and measures Laplacian edges there.
func edges(pix []uint8, w, h int) (deviation, histogram float64) {
	const most = 64
	ratio := max(float64(max(w, h))/most, 1)
	sw, sh := max(int(float64(w)/ratio), 1), max(int(float64(h)/ratio), 1)
	grey := Shrink(pix, w, h, sw, sh)
	var counts [256]float64
	for _, v := range grey {
		counts[v]++
	}
	list := make([]float64, 0, sw*sh)
	for y := range sh {
		for x := range sw {
			v := float64(grey[y*sw+x])
			if x > 0 && y > 0 && x < sw-1 && y < sh-1 {
				v *= 9
				for dy := -1; dy <= 1; dy++ {
					for dx := -1; dx <= 1; dx++ {
						v -= float64(grey[(y+dy)*sw+x+dx])
					}
				}
				v = min(max(v, 0), 255)
			}
			list = append(list, v)
		}
	}
	return spread(list), spread(counts[:])
}

// spread is the standard deviation.
func spread(list []float64) float64 {
	mean, square := 0.0, 0.0
	for _, v := range list {
		mean += v / float64(len(list))
	}
	for _, v := range list {
		square += (v - mean) * (v - mean) / float64(len(list))
	}
	return math.Sqrt(square)
}

// Shrink scales w×h RGB pixels to tw×th grey values by area; it enlarges as well.
func Shrink(pix []uint8, w, h, tw, th int) []uint8 {
	across := make([]float64, h*tw)
	for y := range h {
		for x := range tw {
			lo, hi := float64(x)*float64(w)/float64(tw), float64(x+1)*float64(w)/float64(tw)
			sum := 0.0
			for k := int(lo); k < w && float64(k) < hi; k++ {
				q := pix[3*(y*w+k):]
				share := min(hi, float64(k+1)) - max(lo, float64(k))
				sum += share * (.299*float64(q[0]) + .587*float64(q[1]) + .114*float64(q[2]))
			}
			across[y*tw+x] = sum / (hi - lo)
		}
	}
	out := make([]uint8, tw*th)
	for y := range th {
		lo, hi := float64(y)*float64(h)/float64(th), float64(y+1)*float64(h)/float64(th)
		for x := range tw {
			sum := 0.0
			for k := int(lo); k < h && float64(k) < hi; k++ {
				sum += (min(hi, float64(k+1)) - max(lo, float64(k))) * across[k*tw+x]
			}
			out[y*tw+x] = uint8(min(sum/(hi-lo)+.5, 255))
		}
	}
	return out
}

// Basic is what is wrong with a photograph at first sight.
type Basic struct {
	Row   int
	What  string  // dark, light, one colour, blurred, narrow, odd size
	Score float64 // how far from its threshold: 0 at it, 1 at the worst
	Why   string
}

// Basics lists photographs that are dark, light, of one colour, blurred, narrow, or of a
// size unlike the others'. Measures and thresholds are cleanvision's, and odd sizes lie ten
// quartile distances off. The worst first.
func Basics(facts []Facts) []Basic {
	var sizes []float64
	for _, f := range facts {
		sizes = append(sizes, math.Sqrt(float64(f.Width)*float64(f.Height)))
	}
	low, high := quantile(sizes, .25), quantile(sizes, .75)
	reach := sizeReach * max(high-low, .05*high) // of sizes that are all one, some percent are not odd
	var out []Basic
	for i, f := range facts {
		add := func(what string, value, least, worst float64, why string) {
			if score := (least - value) / (least - worst); score > 0 {
				out = append(out, Basic{i, what, score, fmt.Sprintf(why, value)})
			}
		}
		if f.Width > 0 {
			aspect := float64(min(f.Width, f.Height)) / float64(max(f.Width, f.Height))
			add("narrow", aspect, .35, 0, "sides 1 to %.2g")
			off := max(low-sizes[i], sizes[i]-high)
			if off > reach {
				out = append(out, Basic{i, "odd size", 1 - reach/off, fmt.Sprintf("%d×%d pixels", f.Width, f.Height)})
			}
		}
		p := f.Pixels
		if !p.Known {
			continue
		}
		add("dark", p.Dark, .32, 0, "99 %% of it darker than %.2f")
		add("light", 1-p.Light, .05, 0, "95 %% of it less than %.2f from white")
		add("one colour", p.Entropy/10, .3, 0, "entropy %.2f of 1")
		sharp := 1 - math.Exp(-.01*p.Edges)
		if grey := 1 - math.Exp(-.01*p.Histogram); grey > .18 {
			sharp += grey
		}
		add("blurred", sharp, .29, 0, "sharpness %.2f")
	}
	sortBasics(out)
	return out
}

const sizeReach = 10
