package jpeg

// The ways a block is coded (T.81, annexes F and G).

var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

const badCode = Format("bad Huffman code")

func (s *scan) nextDC(i int) (int32, error) {
	k := s.code(s.dc[i])
	if k < 0 || k > 15 {
		return 0, badCode
	}
	s.last[i] += s.signed(k)
	return s.last[i], nil
}

func (s *scan) sequential(i int, block *[64]int16) error {
	dc, err := s.nextDC(i)
	if err != nil {
		return err
	}
	block[0] = int16(dc)
	for k := 1; k <= 63; k++ {
		c := s.code(s.ac[i])
		if c < 0 {
			return badCode
		}
		zeros, size := c>>4, c&15
		if size == 0 {
			if zeros < 15 {
				return nil
			}
			k += 15
			continue
		}
		if k += zeros; k > 63 {
			return badCode
		}
		block[zigzag[k]] = int16(s.signed(size))
	}
	return nil
}

func (s *scan) firstDC(i int, block *[64]int16) error {
	dc, err := s.nextDC(i)
	block[0] = int16(dc << s.lo)
	return err
}

func (s *scan) refineDC(_ int, block *[64]int16) error {
	block[0] |= int16(s.take(1) << s.lo)
	return nil
}

func (s *scan) firstAC(_ int, block *[64]int16) error {
	if s.run > 0 {
		s.run--
		return nil
	}
	for k := s.from; k <= s.to; k++ {
		c := s.code(s.ac[0])
		if c < 0 {
			return badCode
		}
		zeros, size := c>>4, c&15
		if size == 0 {
			if zeros < 15 {
				s.run = 1<<zeros + s.take(zeros) - 1
				return nil
			}
			k += 15
			continue
		}
		if k += zeros; k > s.to {
			return badCode
		}
		block[zigzag[k]] = int16(s.signed(size) << s.lo)
	}
	return nil
}

// refineAC adds a bit to coefficients that are not zero yet and makes others so.
func (s *scan) refineAC(_ int, block *[64]int16) error {
	k, one := s.from, int16(1)<<s.lo
	for s.run == 0 && k <= s.to {
		c := s.code(s.ac[0])
		if c < 0 || c&15 > 1 {
			return badCode
		}
		zeros, fresh := c>>4, int16(0)
		if c&15 == 1 {
			if fresh = -one; s.take(1) == 1 {
				fresh = one
			}
		} else if zeros < 15 {
			s.run = 1<<zeros + s.take(zeros)
			break
		}
		k = s.refine(block, k, zeros, one)
		if fresh != 0 {
			if k > s.to {
				return badCode
			}
			block[zigzag[k]] = fresh
		}
		k++
	}
	if s.run > 0 {
		s.refine(block, k, 64, one)
		s.run--
	}
	return nil
}

// refine passes over zeros coefficients that are zero, from k on, and adds a bit
// to the others on the way. It returns the place of the zero after them.
func (s *scan) refine(block *[64]int16, k, zeros int, one int16) int {
	for ; k <= s.to; k++ {
		c := &block[zigzag[k]]
		if *c == 0 {
			if zeros == 0 {
				break
			}
			zeros--
			continue
		}
		if s.take(1) == 0 || *c&one != 0 && *c > 0 || *c < 0 && -*c&one != 0 {
			continue
		}
		if *c > 0 {
			*c += one
		} else {
			*c -= one
		}
	}
	return k
}

// Fixed-point constants of the inverse transform, 13 bits behind the point.
const (
	c0298, c0390, c0541, c0765  = 2446, 3196, 4433, 6270
	c0899, c1175, c1501, c1847  = 7373, 9633, 12299, 15137
	c1961, c2053, c2562, c3072  = 16069, 16819, 20995, 25172
	fraction, between, levelled = 13, 2, 128
)

// inverse dequantises a block, transforms it and writes 8 × 8 samples.
func inverse(dst []uint8, stride int, in *[64]int16, quant *[64]uint16) {
	var w [64]int32
	for x := range 8 {
		var v [8]int32
		for y := range v {
			v[y] = int32(in[8*y+x]) * int32(quant[8*y+x])
		}
		if v[1]|v[2]|v[3]|v[4]|v[5]|v[6]|v[7] == 0 {
			for y := range v {
				w[8*y+x] = v[0] << between
			}
			continue
		}
		line(&v)
		for y := range v {
			w[8*y+x] = (v[y] + 1<<(fraction-between-1)) >> (fraction - between)
		}
	}
	for y := range 8 {
		v := (*[8]int32)(w[8*y:])
		line(v)
		row := dst[y*stride:][:8]
		for x := range row {
			const shift = fraction + between + 3
			row[x] = uint8(max(0, min((v[x]+1<<(shift-1))>>shift+levelled, 255)))
		}
	}
}

// line is the transform of 8 values in one dimension, scaled by 2^fraction.
func line(v *[8]int32) {
	z := (v[2] + v[6]) * c0541
	e2, e3 := z-v[6]*c1847, z+v[2]*c0765
	e0, e1 := (v[0]+v[4])<<fraction, (v[0]-v[4])<<fraction
	a0, a3, a1, a2 := e0+e3, e0-e3, e1+e2, e1-e2

	o0, o1, o2, o3 := v[7], v[5], v[3], v[1]
	z5 := (o0 + o2 + o1 + o3) * c1175
	z1, z2 := -(o0+o3)*c0899, -(o1+o2)*c2562
	z3, z4 := z5-(o0+o2)*c1961, z5-(o1+o3)*c0390
	o0, o1 = o0*c0298+z1+z3, o1*c2053+z2+z4
	o2, o3 = o2*c3072+z2+z3, o3*c1501+z1+z4

	v[0], v[7] = a0+o3, a0-o3
	v[1], v[6] = a1+o2, a1-o2
	v[2], v[5] = a2+o1, a2-o1
	v[3], v[4] = a3+o0, a3-o0
}
