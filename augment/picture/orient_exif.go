package picture

import (
	"bytes"
	"encoding/binary"
)

// orientation returns the EXIF orientation, 1 to 8, of a PNG or WebP file,
// or 1 where there is none or it cannot be read: a photograph is not refused for
// damaged metadata.
func orientation(format string, data []byte) int {
	switch format {
	case "png":
		return exifOrientation(pngChunk(data, "eXIf"))
	case "webp":
		return exifOrientation(riffChunk(data, "EXIF"))
	}
	return 1
}

// exifOrientation reads tag 0x0112 of the first directory of a TIFF structure,
// in whichever type of integer it is written.
func exifOrientation(t []byte) int {
	t = bytes.TrimPrefix(t, []byte("Exif\x00\x00")) // some programs write it into PNG and WebP too
	if len(t) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if string(t[:2]) == "MM" {
		order = binary.BigEndian
	}
	at := uint64(order.Uint32(t[4:]))
	if order.Uint16(t[2:]) != 42 || at+2 > uint64(len(t)) {
		return 1
	}
	entries := t[at+2:]
	for n := int(order.Uint16(t[at:])); n > 0 && len(entries) >= 12; n, entries = n-1, entries[12:] {
		if order.Uint16(entries) != 0x0112 {
			continue
		}
		v := uint64(0)
		switch value := entries[8:12]; order.Uint16(entries[2:]) {
		case 1, 6, 7: // bytes
			v = uint64(value[0])
		case 3, 8:
			v = uint64(order.Uint16(value))
		case 4, 9:
			v = uint64(order.Uint32(value))
		}
		if v >= 1 && v <= 8 && order.Uint32(entries[4:]) >= 1 {
			return int(v)
		}
		return 1
	}
	return 1
}

// pngChunk returns the data of the first chunk of a kind, nil where there is none.
func pngChunk(data []byte, kind string) []byte {
	for at := 8; at+8 <= len(data); {
		n := int(binary.BigEndian.Uint32(data[at:]))
		if n > len(data)-at-8 {
			return nil
		}
		if string(data[at+4:at+8]) == kind {
			return data[at+8 : at+8+n]
		}
		at += 12 + n
	}
	return nil
}

// riffChunk is pngChunk for the containers of WebP.
func riffChunk(data []byte, kind string) []byte {
	for at := 12; at+8 <= len(data); {
		n := int(binary.LittleEndian.Uint32(data[at+4:]))
		if n > len(data)-at-8 {
			return nil
		}
		if string(data[at:at+4]) == kind {
			return data[at+8 : at+8+n]
		}
		at += 8 + n + n&1
	}
	return nil
}
