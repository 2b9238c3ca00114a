package picture

// oriented undoes an EXIF orientation. One step across and one down the result
// are constant steps through the source, whichever of the eight it is.
func (im *Image) oriented(o int) *Image {
	if o <= 1 || o > 8 {
		return im
	}
	w, h := im.Width, im.Height
	last := w*h - 1
	var start, across, down int
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

func (g Geometry) oriented(o int) *Geometry {
	if o == 2 || o == 3 || o == 7 || o == 8 {
		g.X = float64(g.W) - g.X - g.ExtW
	}
	if o == 3 || o == 4 || o == 6 || o == 7 {
		g.Y = float64(g.H) - g.Y - g.ExtH
	}
	if o >= 5 {
		g.W, g.H, g.FullW, g.FullH = g.H, g.W, g.FullH, g.FullW
		g.X, g.Y, g.ExtW, g.ExtH = g.Y, g.X, g.ExtH, g.ExtW
	}
	return &g
}
