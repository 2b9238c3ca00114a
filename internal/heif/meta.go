package heif

import "encoding/binary"

// meta is the description of all items of a file.
type meta struct {
	primary uint32
	items   map[uint32]*item
	alpha   map[uint32]bool // items that have a transparency
}

// cursor reads big-endian numbers; past the end they are 0 and bad is set.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.bad, c.b = true, nil
		return make([]byte, 8)[:min(n, 8)]
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) u8() int  { return int(c.take(1)[0]) }
func (c *cursor) u16() int { return int(binary.BigEndian.Uint16(c.take(2))) }

// id is a number of 16 bits, or of 32.
func (c *cursor) id(wide bool) uint32 {
	if wide {
		return binary.BigEndian.Uint32(c.take(4))
	}
	return uint32(c.u16())
}

func readMeta(b []byte) (*meta, error) {
	m := &meta{items: map[uint32]*item{}, alpha: map[uint32]bool{}}
	list, whole := boxes(b)
	if !whole {
		return nil, Format("a description that is cut")
	}
	later := map[string][]byte{}
	for _, b := range list {
		c := &cursor{b: b.body}
		switch b.kind {
		case "pitm":
			version := c.u8()
			c.take(3)
			m.primary = c.id(version > 0)
		case "iinf":
			m.kinds(c)
		case "iprp", "iref":
			later[b.kind] = b.body // they speak of the items
		}
		if c.bad {
			return nil, Format("a description that is cut, in " + b.kind)
		}
	}
	properties := &cursor{b: later["iprp"]}
	m.properties(properties)
	references := &cursor{b: later["iref"]}
	m.references(references)
	if properties.bad || references.bad {
		return nil, Format("a description that is cut")
	}
	return m, nil
}

// kinds reads iinf, the list of items.
func (m *meta) kinds(c *cursor) {
	version := c.u8()
	c.take(3)
	c.id(version > 0)
	list, _ := boxes(c.b)
	for _, b := range list {
		e := &cursor{b: b.body}
		v := e.u8()
		e.take(3)
		if b.kind != "infe" || v < 2 || len(m.items) > maxItems {
			continue
		}
		id := e.id(v > 2)
		e.take(2) // protection
		m.items[id] = &item{kind: string(e.take(4))}
	}
}

// properties reads iprp: all properties, and which item has which.
func (m *meta) properties(c *cursor) {
	var all []box
	list, _ := boxes(c.b)
	for _, b := range list {
		switch b.kind {
		case "ipco":
			all, _ = boxes(b.body)
		case "ipma":
			m.associate(&cursor{b: b.body}, all, c)
		}
	}
}

func (m *meta) associate(a *cursor, all []box, c *cursor) {
	version := a.u8()
	flags := a.take(3)
	wide := flags[2]&1 == 1
	for n := binary.BigEndian.Uint32(a.take(4)); n > 0 && !a.bad; n-- {
		it := m.items[a.id(version > 0)]
		for k := a.u8(); k > 0 && !a.bad; k-- {
			i := a.u8() & 0x7f
			if wide {
				i = i<<8 | a.u8()
			}
			if it != nil && i >= 1 && i <= len(all) && len(it.properties) < 256 {
				it.properties = append(it.properties, all[i-1])
			}
		}
	}
	c.bad = c.bad || a.bad
}

// references reads iref: what a grid is made of, and what is transparency.
func (m *meta) references(c *cursor) {
	if len(c.b) == 0 {
		return
	}
	wide := c.u8() > 0
	c.take(3)
	list, _ := boxes(c.b)
	for _, b := range list {
		r := &cursor{b: b.body}
		from := r.id(wide)
		it := m.items[from]
		for n := r.u16(); n > 0 && !r.bad; n-- {
			to := r.id(wide)
			switch {
			case it == nil:
			case b.kind == "dimg" && len(it.parts) < maxTiles:
				it.parts = append(it.parts, to)
			case b.kind == "auxl" && it.isAlpha():
				m.alpha[to] = true
			}
		}
		c.bad = c.bad || r.bad
	}
}
