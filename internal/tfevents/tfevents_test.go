package tfevents

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"finetune/internal/durable"
)

// row is an event as the reader of this test has it: it shares no code with the writer.
type row struct {
	Step    int
	Time    float64
	Version string
	Scalars map[string]float32
}

// read reads an event file from its description, bit by bit, and fails at what is not whole.
func read(t *testing.T, data []byte) (rows []row) {
	t.Helper()
	check := func(p, sum []byte) {
		c := crc32.Update(0, crc32.MakeTable(0x82f63b78), p)
		if binary.LittleEndian.Uint32(sum) != c>>15+c<<17+0xa282ead8 {
			t.Fatalf("wrong checksum of % x", p)
		}
	}
	for len(data) > 0 {
		n := binary.LittleEndian.Uint64(data)
		check(data[:8], data[8:])
		check(data[12:12+n], data[12+n:])
		r := row{Scalars: map[string]float32{}}
		fields(data[12:12+n], func(k protowire.Number, bits uint64, content []byte) {
			switch k {
			case 1:
				r.Time = math.Float64frombits(bits)
			case 2:
				r.Step = int(bits)
			case 3:
				r.Version = string(content)
			case 5:
				fields(content, func(_ protowire.Number, _ uint64, value []byte) {
					var tag string
					fields(value, func(k protowire.Number, bits uint64, content []byte) {
						if k == 1 {
							tag = string(content)
						} else {
							r.Scalars[tag] = math.Float32frombits(uint32(bits))
						}
					})
				})
			}
		})
		rows, data = append(rows, r), data[16+n:]
	}
	return rows
}

func fields(data []byte, f func(k protowire.Number, bits uint64, content []byte)) {
	for len(data) > 0 {
		k, kind, n := protowire.ConsumeTag(data)
		data = data[n:]
		var bits uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			bits, n = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			bits, n = protowire.ConsumeFixed64(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			bits = uint64(v)
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(data)
		}
		if n < 0 {
			panic("damaged")
		}
		f(k, bits, content)
		data = data[n:]
	}
}

// The sums are of RFC 3720, B.4, and masked as TFRecord does it.
func TestChecksumsAreThoseOfTheStandard(t *testing.T) {
	up := make([]byte, 32)
	for i := range up {
		up[i] = byte(i)
	}
	for _, v := range []struct {
		data []byte
		crc  uint32
	}{
		{make([]byte, 32), 0x8a9136aa}, {bytes.Repeat([]byte{0xff}, 32), 0x62a8ab43}, {up, 0x46dd794e},
		{[]byte("123456789"), 0xe3069283},
	} {
		if got, want := masked(v.data), (v.crc>>15|v.crc<<17)+0xa282ead8; got != want {
			t.Errorf("% x: %08x, not %08x", v.data, got, want)
		}
	}
}

// The file was written by TensorBoard's own writer: testdata/reference/tfevents_vectors.py.
func TestBytesAreTensorBoards(t *testing.T) {
	want, err := os.ReadFile("../../testdata/reference/tfevents_vectors.tfevents")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s float64) time.Time { return time.UnixMicro(int64(s * 1e6)) }
	got := frame(fileVersion(at(1700000000.25)))
	got = append(got, frame(encode(Event{0, at(1700000001.5),
		[]Scalar{{"step/loss", math.Ln2}, {"step/lr_hëad", 1e-3}}}))...)
	got = append(got, frame(encode(Event{300, at(1700000002), []Scalar{{"epoch/accuracy", 1}}}))...)
	if !bytes.Equal(got, want) {
		t.Errorf("got\n% x\nwant\n% x", got, want)
	}
}

func event(i int) Event {
	return Event{i, time.UnixMicro(int64(i+1) * 1_000_000), []Scalar{{"loss", 1 / float64(i+1)}}}
}

func wantRows(n int) (want []row) {
	for i := range n {
		loss := map[string]float32{"loss": float32(1 / float64(i+1))}
		want = append(want, row{Step: i, Time: float64(i + 1), Scalars: loss})
	}
	return want
}

// rowsOf are the events of the log in dir, without its first record.
func rowsOf(t *testing.T, dir string) []row {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	rows := read(t, data)
	if len(rows) == 0 || rows[0].Version != "brain.Event:2" {
		t.Fatalf("begins with %+v", rows)
	}
	return rows[1:]
}

func extend(t *testing.T, dir string, n int) *Log {
	t.Helper()
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Extend(n, event); err != nil {
		t.Fatal(err)
	}
	return l
}

// Wherever a kill cuts the file off, what is whole stays, and the next process
// ends with each event once.
func TestCutAnywhereContinues(t *testing.T) {
	dir := t.TempDir()
	extend(t, dir, 5)
	path := filepath.Join(dir, FileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o666); err != nil {
			t.Fatal(err)
		}
		l, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		before := l.Len()
		if err := l.Extend(7, func(i int) Event {
			if i < before {
				t.Fatalf("cut at %d: event %d is asked for again", cut, i)
			}
			return event(i)
		}); err != nil {
			t.Fatal(err)
		}
		if got := rowsOf(t, dir); !reflect.DeepEqual(got, wantRows(7)) {
			t.Fatalf("cut at %d: %+v", cut, got)
		}
		if before == 0 && cut > len(whole)/2 {
			t.Fatalf("cut at %d: nothing was kept", cut)
		}
	}
}

func TestLogGrowsAndShrinks(t *testing.T) {
	dir := t.TempDir()
	l := extend(t, dir, 3)
	first, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{3, 6, 6, 2, 4} {
		if err := l.Extend(n, event); err != nil {
			t.Fatal(err)
		}
		if got := rowsOf(t, dir); !reflect.DeepEqual(got, wantRows(n)) || l.Len() != n {
			t.Fatalf("%d events: %+v", n, got)
		}
	}
	now, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(now, first[:len(first)*2/3]) {
		t.Error("what was there has changed")
	}
}

// A run may come from a stranger: what its name leads to is not written to.
func TestOpenLeavesOthersFilesAlone(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine.txt")
	if err := os.WriteFile(mine, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	if err := os.Mkdir(log, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(mine, filepath.Join(log, FileName)); err != nil {
		t.Skip(err)
	}
	extend(t, log, 2)
	if got := rowsOf(t, log); !reflect.DeepEqual(got, wantRows(2)) {
		t.Errorf("%+v", got)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "link")); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("a folder that is a link: %v", err)
	}
	if text, err := os.ReadFile(mine); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestErrorsOfTheDiskAreTold(t *testing.T) {
	dir := t.TempDir()
	l := extend(t, dir, 2)
	defer func(f func(durable.Step, string) error) { durable.Before = f }(durable.Before)
	durable.Before = func(s durable.Step, path string) error {
		if s == durable.Sync {
			return os.ErrDeadlineExceeded
		}
		return nil
	}
	if err := l.Extend(4, event); err == nil || !strings.Contains(err.Error(), FileName) {
		t.Errorf("%v", err)
	}
	durable.Before = func(durable.Step, string) error { return nil }
	if err := l.Extend(4, event); err != nil {
		t.Fatal(err)
	}
	if got := rowsOf(t, dir); !reflect.DeepEqual(got, wantRows(4)) {
		t.Errorf("%+v", got)
	}
}
