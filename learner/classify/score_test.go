package classify

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"finetune/dataset"
	"finetune/internal/learnertest"
	"finetune/internal/photos"
	"finetune/internal/uitest"
	"finetune/learner/runs"
	"finetune/scores"
)

func opened(t *testing.T, path string, m runs.Machine) *Classifier {
	t.Helper()
	c, err := Open(path, m, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// scored scores root and returns the rows by path.
func scored(t *testing.T, c *Classifier, root string, o ScoreOptions) map[string]map[string]string {
	t.Helper()
	items, _, err := dataset.Files(root)
	if err != nil {
		t.Fatal(err)
	}
	o.Output = filepath.Join(t.TempDir(), "out.csv")
	r, err := c.Score(t.Context(), items, o, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, n := range r.Status {
		sum += n
	}
	if sum != len(items) || r.Rows != len(items) {
		t.Errorf("%d files, %d rows, statuses %v", len(items), r.Rows, r.Status)
	}
	rows := learnertest.ReadTable(t, o.Output)
	for _, it := range items {
		if rows[it.Path] == nil {
			t.Errorf("no row of %s", it.Path)
		}
	}
	return rows
}

// What training wrote into predictions.csv, scoring finds again to the last bit:
// from the cache, computed, and whatever else is in the batch.
func TestScoresAreTrainingsPredictions(t *testing.T) {
	run, m := learnertest.Trained(t)
	c := opened(t, run, m)
	want := map[string][]float32{}
	err := runs.ReadTable(filepath.Join(run, runs.PredictionsFile), []string{"split"},
		func(cells map[string]string, _ []string) error {
			if cells["split"] == "valid" {
				r := runs.CellReader{Cells: cells}
				name, _ := filepath.Rel("valid", cells["path"])
				want[name] = []float32{float32(r.Float("logp_circle")), float32(r.Float("logp_square"))}
				return r.Err
			}
			return nil
		})
	if err != nil || len(want) != 16 {
		t.Fatalf("%d predictions, %v", len(want), err)
	}
	valid := filepath.Join(filepath.Dir(run), "data", "valid")
	for _, o := range []ScoreOptions{{}, {NoCache: true}} {
		for path, row := range scored(t, c, valid, o) {
			for i, class := range c.Classes {
				got, err := strconv.ParseFloat(row["p_"+class], 32)
				if p := float32(math.Exp(float64(want[path][i]))); err != nil || float32(got) != p {
					t.Errorf("%s: p_%s = %v, predictions.csv says %v (no cache: %v)", path, class, got, p, o.NoCache)
				}
			}
		}
	}
	one := scored(t, c, filepath.Join(valid, "circle", "003.png"), ScoreOptions{NoCache: true})["003.png"]
	if all := scored(t, c, valid, ScoreOptions{})["circle/003.png"]; one["p_circle"] != all["p_circle"] {
		t.Errorf("alone %s, among others %s", one["p_circle"], all["p_circle"])
	}
}

// A folder as people have them: one row each, with the right status.
func TestMessyFolder(t *testing.T) {
	run, m := learnertest.Trained(t)
	c := opened(t, run, m)
	dir := t.TempDir()
	want := writeMess(t, dir)
	rows := scored(t, c, dir, ScoreOptions{NoCache: true})
	if len(rows) != len(want) {
		t.Errorf("%d rows for %d files", len(rows), len(want))
	}
	for path, status := range want {
		row := rows[path]
		if row["status"] != status || (status == scores.OK) != (row["predicted"] != "") ||
			(status == scores.OK) == (row["reason"] != "") {
			t.Errorf("%s: %v, want status %s", path, row, status)
		}
	}
	for _, pair := range [][2]string{{"upright.png", "copy/of upright.png"}, {"upright.png", "rotated by EXIF.png"}} {
		if rows[pair[0]]["p_circle"] != rows[pair[1]]["p_circle"] {
			t.Errorf("%s has %s, %s has %s", pair[0], rows[pair[0]]["p_circle"], pair[1], rows[pair[1]]["p_circle"])
		}
	}
	cached := scored(t, c, dir, ScoreOptions{})
	for path, row := range rows {
		for k, v := range row {
			if cached[path][k] != v {
				t.Errorf("%s: %s is %q computed and %q from the cache", path, k, v, cached[path][k])
			}
		}
	}
}

// writeMess writes files into dir and returns their statuses by path.
func writeMess(t *testing.T, dir string) map[string]string {
	t.Helper()
	picture := photos.Draw(0, 1, 70, 60)
	upright := encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture) })
	turned := encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, quarterTurn(picture)) })
	photo := encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, picture, nil) })
	moving := encoded(t, func(b *bytes.Buffer) error {
		g := &gif.GIF{}
		for range 3 {
			g.Image, g.Delay = append(g.Image, image.NewPaletted(image.Rect(0, 0, 30, 30),
				color.Palette{color.Black, color.White})), append(g.Delay, 5)
		}
		return gif.EncodeAll(b, g)
	})
	deep := encoded(t, func(b *bytes.Buffer) error {
		im := image.NewRGBA64(image.Rect(0, 0, 40, 50))
		im.SetRGBA64(3, 4, color.RGBA64{R: 1 << 15, A: 1<<16 - 1})
		return png.Encode(b, im)
	})
	cmyk, err := os.ReadFile(filepath.Join("..", "..", "testdata", "images", "cmyk.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]struct {
		data   []byte
		status string
	}{
		"upright.png":            {upright, "ok"},
		"copy/of upright.png":    {upright, "ok"},
		"rotated by EXIF.png":    {withOrientation(turned, 6), "ok"},
		"photo called.png":       {photo, "ok"},
		"cmyk.jpg":               {cmyk, "ok"},
		"sixteen bits.png":       {deep, "ok"},
		"animated.gif":           {moving, "ok"},
		"no ending":              {upright, "ok"},
		"a,comma \"quoted\".png": {upright, "ok"},
		"truncated.jpg":          {photo[:len(photo)/2], "unreadable"},
		"truncated.png":          {upright[:len(upright)-40], "unreadable"},
		"text.jpg":               {[]byte("this is text\n"), "unreadable"},
		"empty.jpg":              {nil, "empty"},
		"huge.png":               {declaring(upright, 60000, 60000), "too_large"},
		"phone.heic":             {append([]byte("\x00\x00\x00\x18ftypheic"), make([]byte, 64)...), "unsupported"},
	}
	want := map[string]string{}
	for name, f := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.data, 0o666); err != nil {
			t.Fatal(err)
		}
		want[name] = f.status
	}
	if err := os.Symlink(filepath.Join(dir, "absent"), filepath.Join(dir, "broken link.jpg")); err != nil {
		t.Fatal(err)
	}
	want["broken link.jpg"] = "unreadable"
	return want
}

func encoded(t *testing.T, encode func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// quarterTurn turns a picture by 90 degrees to the left, so that EXIF
// orientation 6, a turn to the right, makes it upright again.
func quarterTurn(im image.Image) image.Image {
	b := im.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dy(), b.Dx()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			out.Set(y, b.Dx()-1-x, im.At(x, y))
		}
	}
	return out
}

// chunk is a chunk of a PNG.
func chunk(kind string, data []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// withOrientation inserts an eXIf chunk behind a PNG's header.
func withOrientation(file []byte, orientation uint16) []byte {
	exif := append([]byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01"), byte(orientation>>8),
		byte(orientation), 0, 0, 0, 0, 0, 0)
	const header = 8 + 25
	return slices.Concat(file[:header], chunk("eXIf", exif), file[header:])
}

// declaring changes the size that a PNG's header states.
func declaring(file []byte, w, h uint32) []byte {
	ihdr := slices.Clone(file[16:29])
	binary.BigEndian.PutUint32(ihdr, w)
	binary.BigEndian.PutUint32(ihdr[4:], h)
	return slices.Concat(file[:8], chunk("IHDR", ihdr), file[33:])
}
