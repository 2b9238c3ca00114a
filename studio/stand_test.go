package studio

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/augment/picture"
	"finetune/internal/rng"
	"finetune/studio/session"
)

const secret = "0123456789abcdef0123456789abcdef"

// stand is a studio of made-up photographs of two classes, which their names and colours tell people and their
// features tell the head, not too easily.
type stand struct {
	folder  string // of labels.csv
	photos  string // folder of the photographs
	n, held int
}

func newStand(t *testing.T, n, held int) *stand {
	t.Helper()
	st := &stand{folder: t.TempDir(), photos: t.TempDir(), n: n, held: held}
	for i := range n {
		st.draw(t, i)
	}
	return st
}

// name of photograph i: the first of them have names that a page must not read as HTML.
func (st *stand) name(i int) string {
	if i%50 == 0 {
		return fmt.Sprintf("<img src=x onerror=document.title='owned'>%04d.png", i)
	}
	return fmt.Sprintf("p%04d.png", i)
}

func class(path string) string {
	digits := strings.TrimSuffix(path, ".png")
	return []string{"circle", "square"}[(digits[len(digits)-1]-'0')%2]
}

func (st *stand) draw(t *testing.T, i int) {
	t.Helper()
	im := image.NewNRGBA(image.Rect(0, 0, 96, 64))
	for y := range 64 {
		for x := range 96 {
			c := color.NRGBA{uint8(200 + i%50), uint8(190 + i%30), 180, 255}
			dx, dy := x-48, y-32
			if in := dx*dx+dy*dy < 400; i%2 == 0 && in || i%2 == 1 && max(dx, -dx, dy, -dy) < 18 {
				c = color.NRGBA{uint8(30 + 3*i%120), 60, uint8(40 + 7*i%150), 255}
			}
			im.SetNRGBA(x, y, c)
		}
	}
	f, err := os.Create(filepath.Join(st.photos, st.name(i)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, im); err != nil {
		t.Fatal(err)
	}
}

// rows are features in which a third of the numbers says something of the class.
func (st *stand) rows() [][]float32 {
	rows := make([][]float32, st.n)
	for i := range rows {
		draw := rng.New(11, uint64(i))
		rows[i] = make([]float32, 200)
		for j := range rows[i] {
			rows[i][j] = float32(draw.Normal()) + float32(i%2)*float32(j%3)*.2
		}
	}
	return rows
}

// start is a process that opens the studio: the address with the token, and what ends it. Without features the
// page waits.
func (st *stand) start(t *testing.T, o session.Options, ready bool) (v *Server, address string, end func()) {
	t.Helper()
	var photos []session.Photo
	var known []session.Known
	for i := range st.n {
		p := st.name(i)
		photos = append(photos, session.Photo{Path: p, File: filepath.Join(st.photos, p)})
		if i >= st.n-st.held {
			known = append(known, session.Known{Path: p, Label: class(p), Valid: true})
		}
	}
	o.Folder = st.folder
	s, err := session.Open(photos, known, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	v = New(s, func(ctx context.Context) picture.Limits { return picture.Limits{Context: ctx} }, nil)
	v.Command = "finetune train photographs --labels photographs/labels.csv"
	if ready {
		s.Ready(ctx, st.rows())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- v.Serve(ctx, l, secret) }()
	ended := false
	end = func() {
		if !ended {
			ended = true
			stop()
			<-served
			s.Close()
		}
	}
	t.Cleanup(end)
	return v, "http://" + l.Addr().String() + "/?token=" + secret, end
}
