// Package jpeg reads JPEG files that image/jpeg gets wrong or refuses: restart
// markers in progressive files and in files of several scans (image/jpeg counts
// the blocks of such a scan as if its components were interleaved), and ratios
// of sampling other than its six.
//
// Baseline, extended and progressive Huffman coding with 8 bits a sample are
// read (ITU T.81); the inverse transform is that of Loeffler, Ligtenberg and
// Moschytz in the fixed-point form that libjpeg made common, so samples are
// libjpeg's to the bit.
package jpeg

import (
	"fmt"

	"finetune/internal/plural"
)

// Unsupported is the error of a sound file of a kind that is not read here.
type Unsupported string

func (u Unsupported) Error() string { return string(u) }

// Format is the error of a file that breaks the format.
type Format string

func (f Format) Error() string { return "invalid JPEG format: " + string(f) }

// Markers.
const (
	sof0, sof1, sof2 = 0xc0, 0xc1, 0xc2
	dht, rst0, rst7  = 0xc4, 0xd0, 0xd7
	soi, eoi, sos    = 0xd8, 0xd9, 0xda
	dqt, dri         = 0xdb, 0xdd
	app0, app1       = 0xe0, 0xe1
	app14            = 0xee
)

// Component is one of a frame's.
type Component struct {
	ID    uint8
	H, V  int // sampling factors, 1 to 4
	Table uint8
}

// Header is what a file declares. ReadHeader fills it.
type Header struct {
	SOF           byte // marker of the frame: 0xc0 baseline, 0xc1 extended, 0xc2 progressive
	Bits          int  // of a sample
	Width, Height int
	Components    []Component
	JFIF          bool
	Adobe         int    // colour transform of the Adobe segment; -1 where there is none
	Exif          []byte // the TIFF structure of the first Exif segment before the picture
	Scans         int    // start-of-scan markers up to the end of the picture
	Interleaved   bool   // the first scan holds all components
	Restarts      bool   // there is a restart interval
	Huffman       bool   // there is a Huffman table before the first scan
	FirstScan     int    // offset of the first start-of-scan marker, 0 where there is none
}

// Progressive tells whether coefficients come in several scans.
func (h *Header) Progressive() bool { return h.SOF == sof2 }

// Supported reports why files of this kind cannot be read, or nil.
func (h *Header) Supported() error {
	switch {
	case h.SOF == 0xc3:
		return Unsupported("lossless JPEG")
	case h.SOF >= 0xc9 && h.SOF <= 0xcb:
		return Unsupported("arithmetic-coded JPEG")
	case h.SOF > sof2:
		return Unsupported("hierarchical JPEG")
	case h.Bits != 8:
		return Unsupported(fmt.Sprintf("JPEG of %s a sample", plural.Count(h.Bits, "bit")))
	case h.Height == 0:
		return Unsupported("JPEG that tells its height after the picture")
	}
	switch len(h.Components) {
	case 1, 3, 4:
		return nil
	}
	return Unsupported(fmt.Sprintf("JPEG of %s", plural.Count(len(h.Components), "component")))
}

// Model is how the components of a frame make colours.
type Model int

// The models, chosen as libjpeg does (jdapimin.c).
const (
	Grey Model = iota
	YCC
	RGB
	CMYK // inverted, as Adobe writes it
	YCCK // the same with the first three transformed
)

// Model returns the colour model.
func (h *Header) Model() Model {
	id := func(s string) bool {
		for i := range s {
			if h.Components[i].ID != s[i] {
				return false
			}
		}
		return true
	}
	switch n := len(h.Components); {
	case n == 1:
		return Grey
	case n == 4 && h.Adobe > 0:
		return YCCK
	case n == 4:
		return CMYK
	case !h.JFIF && (h.Adobe == 0 || h.Adobe < 0 && id("RGB")):
		return RGB
	}
	return YCC
}
