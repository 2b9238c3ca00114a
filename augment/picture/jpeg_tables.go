package picture

import "encoding/binary"

// hasTables reports whether the first scan of a sequential JPEG holds all
// components and names Huffman tables that the file defines. libjpeg-turbo puts
// in tables of its own where they are missing; Go refuses such files.
func hasTables(data []byte) bool {
	var defined [2][4]bool // DC and AC
	components := 0
	for at := 2; at+4 <= len(data); {
		marker := data[at+1]
		if data[at] != 0xff || marker == 0xff || marker < 0xc0 {
			return false // fill bytes and other rarities: for the Go decoder
		}
		end := at + 2 + int(binary.BigEndian.Uint16(data[at+2:]))
		if end > len(data) || end < at+4 {
			return false
		}
		segment := data[at+4 : end]
		switch marker {
		case 0xc0, 0xc1, 0xc2:
			if len(segment) < 6 {
				return false
			}
			if components = int(segment[5]); marker == 0xc2 {
				return true // progressive: libjpeg-turbo misses the tables itself
			}
		case 0xc4:
			if !defineTables(&defined, segment) {
				return false
			}
		case 0xda:
			return scanDefined(&defined, segment, components)
		}
		at = end
	}
	return false
}

func defineTables(defined *[2][4]bool, segment []byte) bool {
	for len(segment) > 0 {
		class, id := segment[0]>>4, segment[0]&15
		if class > 1 || id > 1 || len(segment) < 17 { // sequential files have two of each
			return false
		}
		values := 0
		for _, n := range segment[1:17] {
			values += int(n)
		}
		if values == 0 || values > 256 || len(segment) < 17+values {
			return false
		}
		defined[class][id] = true
		segment = segment[17+values:]
	}
	return true
}

func scanDefined(defined *[2][4]bool, segment []byte, components int) bool {
	if components == 0 || len(segment) != 4+2*components || int(segment[0]) != components {
		return false
	}
	for i := range components {
		dc, ac := segment[2+2*i]>>4, segment[2+2*i]&15
		if dc > 1 || ac > 1 || !defined[0][dc] || !defined[1][ac] {
			return false
		}
	}
	return true
}
