package scores

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/half"
)

// listed hands over n rows of a path and so many numbers; every fifth has none.
func listed(n, width int) ([]Column, []Row) {
	columns := []Column{{Name: "path"}, {Name: "status"}}
	for i := range width {
		columns = append(columns, Column{vectorName(i), true})
	}
	var rows []Row
	for i := range n {
		row := Row{{Text: fmt.Sprintf("é/%d.jpg", i)}, {Text: "ok"}}
		for k := range width {
			v := half.Float32(half.From(float32(i)*.37 - float32(k)))
			if i%5 == 3 {
				v = None
			}
			row = append(row, Cell{Number: v})
		}
		rows = append(rows, row)
	}
	return columns, rows
}

func packed(t *testing.T, columns []Column, rows []Row, p Packing) ([]byte, uint32) {
	t.Helper()
	var b bytes.Buffer
	var sum uint32
	err := WritePart(&b, columns, p, func(yield func(Row) error) error {
		for _, r := range rows {
			if err := yield(r); err != nil {
				return err
			}
		}
		return nil
	}, func(s uint32) (string, error) { sum = s; return "about", nil })
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), sum
}

// readBoth are the rows of a part as texts, once by rows and once by blocks.
func readBoth(data []byte) (columns []Column, byRows, byBlocks []string, sums [2]uint32, err error) {
	p, err := OpenPart(bytes.NewReader(data), int64(len(data)), "part")
	if err != nil {
		return nil, nil, nil, sums, err
	}
	defer p.Close()
	if sums[0], err = p.Each(func(r Row) error { byRows = append(byRows, fmt.Sprint(r)); return nil }); err != nil {
		return nil, nil, nil, sums, err
	}
	sums[1], err = p.Blocks(func(b Block) error {
		width := len(b.Numbers) / b.Rows
		for i := range b.Rows {
			row := Row{}
			for _, t := range b.Texts {
				row = append(row, Cell{Text: t[i]})
			}
			for _, v := range b.Numbers[i*width : (i+1)*width] {
				row = append(row, Cell{Number: v})
			}
			byBlocks = append(byBlocks, fmt.Sprint(row))
		}
		return nil
	})
	return p.Columns, byRows, byBlocks, sums, err
}

// However numbers are packed, a part gives back its columns, its rows and their checksum.
func TestPackings(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {7, 3}, {3000, 5}, {600, 700}, {40, 20_000}} {
		columns, rows := listed(size[0], size[1])
		var want []string
		for _, r := range rows {
			want = append(want, fmt.Sprint(r))
		}
		for _, p := range []Packing{Separate, Float32, Float16} {
			if p == Separate && size[1] > 1000 {
				continue
			}
			data, sum := packed(t, columns, rows, p)
			got, byRows, byBlocks, sums, err := readBoth(data)
			if err != nil || !slices.Equal(got, columns) || sums != [2]uint32{sum, sum} {
				t.Errorf("%v as %q: %v, checksums %x, want %x", size, p, err, sums, sum)
			}
			if !slices.Equal(byRows, want) || !slices.Equal(byBlocks, want) {
				t.Errorf("%v as %q: other rows", size, p)
			}
			again, _ := packed(t, columns, rows, p)
			if !bytes.Equal(again, data) {
				t.Errorf("%v as %q: other bytes the second time", size, p)
			}
		}
	}
}

// What does not fit is refused where it is written.
func TestWhatCannotBePacked(t *testing.T) {
	columns, rows := listed(3, 4)
	other := slices.Clone(rows[1])
	other[3].Number = None
	fine := slices.Clone(rows[1])
	fine[3].Number = 1.0001
	for name, tt := range map[string]struct {
		columns []Column
		row     Row
		p       Packing
	}{
		"some numbers": {columns, other, Float32}, "more digits": {columns, fine, Float16},
		"a text behind": {append(slices.Clone(columns), Column{Name: "text"}), append(slices.Clone(rows[1]), Cell{}),
			Float32},
		"other names": {append(slices.Clone(columns), Column{"p_a", true}), append(slices.Clone(rows[1]), Cell{}), Float32},
	} {
		err := WritePart(&bytes.Buffer{}, tt.columns, tt.p, func(yield func(Row) error) error { return yield(tt.row) },
			func(uint32) (string, error) { return "", nil })
		if err == nil {
			t.Errorf("%s: was written", name)
		}
	}
}

// A wrong byte is an error, another checksum, or changes nothing; it never ends the process.
func TestDamagedLists(t *testing.T) {
	columns, rows := listed(30, 40)
	for _, p := range []Packing{Float32, Float16} {
		data, sum := packed(t, columns, rows, p)
		_, _, want, _, err := readBoth(data)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for at := 4; at < len(data); at += 7 {
			bad := slices.Clone(data)
			bad[at] ^= 0x41
			_, _, got, sums, err := readBoth(bad)
			switch {
			case err != nil && failure.KindOf(err) != failure.DataKind:
				t.Errorf("byte %d: %v", at, err)
			case err != nil || sums[1] != sum:
				found++
			case !slices.Equal(got, want):
				t.Errorf("%s: byte %d of %d is wrong, and nothing is said", p, at, len(data))
			}
		}
		if found == 0 {
			t.Errorf("%s: no wrong byte was found", p)
		}
	}
}
