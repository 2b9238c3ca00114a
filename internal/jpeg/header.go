package jpeg

import (
	"bytes"
	"encoding/binary"
	"io"
	"iter"
)

// next returns the first segment at or after an offset: its marker, where the
// marker stands, the body, and the offset behind it. What is no marker is
// skipped, as the data of a scan are.
func next(data []byte, at int) (marker byte, from int, body []byte, after int, err error) {
	for {
		i := bytes.IndexByte(data[min(at, len(data)):], 0xff)
		if i < 0 || at+i+1 >= len(data) {
			return 0, 0, nil, 0, io.ErrUnexpectedEOF
		}
		from = at + i
		marker = data[from+1]
		switch {
		case marker == 0xff:
			at = from + 1
		case marker == 0, marker == 1, marker >= rst0 && marker <= soi:
			at = from + 2
		case marker == eoi:
			return marker, from, nil, from + 2, nil
		default:
			if from+4 > len(data) {
				return 0, 0, nil, 0, io.ErrUnexpectedEOF
			}
			n := int(binary.BigEndian.Uint16(data[from+2:]))
			if n < 2 {
				return 0, 0, nil, 0, Format("short segment length")
			}
			if after = from + 2 + n; after > len(data) {
				return 0, 0, nil, 0, io.ErrUnexpectedEOF
			}
			return marker, from, data[from+4 : after], after, nil
		}
	}
}

// Segments are the segments of a whole file before the picture itself, each with the
// second byte of its marker and its body. What cannot be read ends them.
func Segments(data []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for at := 0; ; {
			marker, _, body, after, err := next(data, at)
			if err != nil || marker == eoi || marker == sos || !yield(marker, body) {
				return
			}
			at = after
		}
	}
}

// ReadHeader walks the segments of a whole file; it decodes nothing. An end
// before the end-of-image marker is no error here as long as there is a frame.
func ReadHeader(data []byte) (*Header, error) {
	h := &Header{Adobe: -1}
	for at := 0; ; {
		marker, from, body, after, err := next(data, at)
		if err != nil {
			if h.Scans > 0 || h.SOF != 0 && err == io.ErrUnexpectedEOF {
				return h, nil
			}
			return nil, err
		}
		switch {
		case marker == eoi:
			if h.SOF == 0 {
				return nil, Format("no frame")
			}
			return h, nil
		case marker == sos:
			h.scan(from, body)
		case marker == dht:
			h.Huffman = h.Huffman || h.Scans == 0
		case marker >= sof0 && marker <= 0xcf && marker != 0xc8 && marker != 0xcc:
			if err := h.frame(marker, body); err != nil {
				return nil, err
			}
		case marker == dri:
			h.Restarts = h.Restarts || len(body) == 2 && body[0]|body[1] != 0
		case h.Scans == 0:
			h.application(marker, body)
		}
		at = after
	}
}

func (h *Header) scan(from int, body []byte) {
	if h.Scans++; h.Scans == 1 {
		h.FirstScan = from
		h.Interleaved = len(body) > 0 && int(body[0]) == len(h.Components)
	}
}

func (h *Header) application(marker byte, body []byte) {
	switch {
	case marker == app0 && bytes.HasPrefix(body, []byte("JFIF\x00")):
		h.JFIF = true
	case marker == app1 && h.Exif == nil && len(body) > 6 && string(body[:5]) == "Exif\x00":
		h.Exif = body[6:]
	case marker == app14 && len(body) >= 12 && string(body[:5]) == "Adobe":
		h.Adobe = int(body[11])
	}
}

func (h *Header) frame(marker byte, body []byte) error {
	if h.SOF != 0 {
		return Format("more than one frame")
	}
	if len(body) < 6 || len(body) < 6+3*int(body[5]) {
		return Format("short frame header")
	}
	h.SOF, h.Bits = marker, int(body[0])
	h.Height, h.Width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	for i := range int(body[5]) {
		b := body[6+3*i:]
		c := Component{ID: b[0], H: int(b[1] >> 4), V: int(b[1] & 15), Table: b[2]}
		if c.H < 1 || c.H > 4 || c.V < 1 || c.V > 4 {
			return Format("sampling factors")
		}
		h.Components = append(h.Components, c)
	}
	return nil
}

// Tables returns the Huffman tables of a file, as the segment they are.
func Tables(data []byte) []byte {
	for at := 0; ; {
		marker, from, _, after, err := next(data, at)
		if err != nil || marker == dht {
			return data[min(from, after):after]
		}
		at = after
	}
}
