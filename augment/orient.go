package augment

// oriented undoes an EXIF orientation. One step across and one down the result
// are constant steps through the source, whichever of the eight it is.
func (im *Image) oriented(o int) *Image {
	if o <= 1 || o > 8 {
		return im
	}
	w, h := im.Width, im.Height
	last := w*h - 1
	start, across, down := 0, 1, w
	switch o {
	case 2: // mirrored left to right
		start, across, down = w-1, -1, w
	case 3: // upside down
		start, across, down = last, -1, -w
	case 4: // mirrored top to bottom
		start, across, down = last-w+1, 1, -w
	case 5: // mirrored along the main diagonal
		start, across, down = 0, w, 1
	case 6: // turn clockwise to see it upright
		start, across, down = last-w+1, -w, 1
	case 7: // mirrored along the other diagonal
		start, across, down = last, -w, -1
	case 8: // turn counter-clockwise
		start, across, down = w-1, w, -1
	}
	out := &Image{Width: w, Height: h, Pix: make([]uint8, len(im.Pix))}
	if o >= 5 {
		out.Width, out.Height = h, w
	}
	d := out.Pix
	for y := range out.Height {
		s := start + y*down
		for range out.Width {
			p := im.Pix[3*s : 3*s+3 : 3*s+3]
			d[0], d[1], d[2] = p[0], p[1], p[2]
			d, s = d[3:], s+across
		}
	}
	if im.shrunk != nil {
		out.shrunk = im.shrunk.oriented(o)
	}
	return out
}

func (g geometry) oriented(o int) *geometry {
	if o == 2 || o == 3 || o == 7 || o == 8 {
		g.x = float64(g.w) - g.x - g.extW
	}
	if o == 3 || o == 4 || o == 6 || o == 7 {
		g.y = float64(g.h) - g.y - g.extH
	}
	if o >= 5 {
		g.w, g.h, g.fullW, g.fullH = g.h, g.w, g.fullH, g.fullW
		g.x, g.y, g.extW, g.extH = g.y, g.x, g.extH, g.extW
	}
	return &g
}
