package jpeg

// scan is one pass over components.
type scan struct {
	bits
	parts    []*part
	dc, ac   []*huffman // by place in parts
	from, to int        // coefficients
	high, lo int        // bit planes of successive approximation
	decode   func(s *scan, i int, block *[64]int16) error
	last     []int32 // DC values, by place in parts
	run      int32   // blocks that are still to be skipped
}

// scan reads the data of a scan, which start at an offset, and returns where they end.
func (d *decoder) scan(body []byte, at int) (int, error) {
	s, err := d.newScan(body)
	if err != nil {
		return 0, err
	}
	s.bits = bits{data: d.data, at: at}
	if len(s.parts) == 1 {
		err = d.alone(s)
	} else {
		err = d.interleaved(s)
	}
	return s.at, err
}

func (d *decoder) newScan(body []byte) (*scan, error) {
	if len(body) < 1 || body[0] < 1 || int(body[0]) > len(d.parts) || len(body) != 4+2*int(body[0]) {
		return nil, Format("scan header")
	}
	n := int(body[0])
	s := &scan{last: make([]int32, n)}
	seen, total := 0, 0
	for i := range n {
		id, tables := body[1+2*i], body[2+2*i]
		at := -1
		for j, c := range d.h.Components {
			if c.ID == id && seen>>j&1 == 0 {
				at = j
				break
			}
		}
		if at < 0 || tables>>4 > 3 || tables&15 > 3 {
			return nil, Format("scan header")
		}
		seen |= 1 << at
		p := d.parts[at]
		total += p.h * p.v
		if p.quant == nil && p.table < 4 {
			p.quant = d.quant[p.table]
		}
		s.parts = append(s.parts, p)
		s.dc, s.ac = append(s.dc, d.huffman[0][tables>>4]), append(s.ac, d.huffman[1][tables&15])
	}
	if n > 1 && total > 10 {
		return nil, Format("total sampling factors too large")
	}
	return s, s.mode(d.h.Progressive(), body[1+2*n:])
}

// mode picks the way the blocks of a scan are coded.
func (s *scan) mode(progressive bool, b []byte) error {
	s.from, s.to, s.high, s.lo = int(b[0]), int(b[1]), int(b[2]>>4), int(b[2]&15)
	dc, ac := true, true
	switch {
	case !progressive:
		s.decode, s.from, s.to, s.high, s.lo = (*scan).sequential, 0, 63, 0, 0
	case s.from > s.to || s.to > 63 || s.from == 0 && s.to != 0 || s.from > 0 && len(s.parts) > 1 ||
		s.high != 0 && s.high != s.lo+1 || s.lo > 13:
		return Format("progressive scan")
	case s.from == 0 && s.high == 0:
		s.decode, ac = (*scan).firstDC, false
	case s.from == 0:
		s.decode, dc, ac = (*scan).refineDC, false, false
	case s.high == 0:
		s.decode, dc = (*scan).firstAC, false
	default:
		s.decode, dc = (*scan).refineAC, false
	}
	for i := range s.parts {
		if dc && s.dc[i] == nil || ac && s.ac[i] == nil {
			return Format("missing Huffman table")
		}
	}
	return nil
}

// alone reads the blocks of one component, row by row; each is a unit.
func (d *decoder) alone(s *scan) error {
	p := s.parts[0]
	for y := range p.down {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		for x := range p.across {
			if err := s.restart(y*p.across+x, d.interval); err != nil {
				return err
			}
			if err := s.block(0, p, x, y); err != nil {
				return err
			}
		}
	}
	return nil
}

// interleaved reads units that hold the blocks of several components.
func (d *decoder) interleaved(s *scan) error {
	for y := range d.units[1] {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		for x := range d.units[0] {
			if err := s.restart(y*d.units[0]+x, d.interval); err != nil {
				return err
			}
			for i, p := range s.parts {
				for v := range p.v {
					for h := range p.h {
						if err := s.block(i, p, x*p.h+h, y*p.v+v); err != nil {
							return err
						}
					}
				}
			}
		}
	}
	return nil
}

func (s *scan) block(i int, p *part, x, y int) error {
	if err := s.decode(s, i, (*[64]int16)(p.coefficients[64*(y*p.wide+x):])); err != nil {
		return err
	}
	if s.over() {
		return s.short()
	}
	return nil
}

// restart begins anew behind each interval of units.
func (s *scan) restart(unit, interval int) error {
	if interval == 0 || unit == 0 || unit%interval != 0 {
		return nil
	}
	at := s.at
	for ; ; at++ { // stray bytes before a marker are passed over
		if at+1 >= len(s.data) {
			return s.short()
		}
		if s.data[at] != 0xff || s.data[at+1] == 0 || s.data[at+1] == 0xff {
			continue
		}
		if s.data[at+1] < rst0 || s.data[at+1] > rst7 {
			return Format("missing restart marker")
		}
		break
	}
	s.bits = bits{data: s.data, at: at + 2}
	clear(s.last)
	s.run = 0
	return nil
}
