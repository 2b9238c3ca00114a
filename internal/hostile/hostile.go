//go:build unix

// Package hostile makes files that try to break whoever reads them: photographs
// cut, flipped and spliced, headers that promise more than they hold, names
// that mean something to a shell, a browser or a spreadsheet.
package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"finetune/internal/rng"
)

// File is a hostile file.
type File struct {
	Name string // tells what was done to it
	Data []byte
}

// Folders are those of sound and odd pictures: ours, Go's and
// golang.org/x/image's, as the go command finds them from here.
func Folders() []string {
	ask := func(args ...string) string {
		out, err := exec.Command("go", args...).Output()
		if err != nil {
			return "" // Seeds leaves out what is not there
		}
		return strings.TrimSpace(string(out))
	}
	image := filepath.Join(ask("env", "GOROOT"), "src", "image")
	return []string{
		filepath.Join(ask("list", "-m", "-f", "{{.Dir}}"), "testdata", "images"),
		filepath.Join(image, "testdata"), filepath.Join(image, "png", "testdata", "pngsuite"),
		filepath.Join(ask("list", "-m", "-f", "{{.Dir}}", "golang.org/x/image"), "testdata"),
	}
}

// Seeds reads the pictures below the folders, sound and otherwise; folders that
// are not there are left out. Files above 64 KB are too slow to be many.
func Seeds(dirs ...string) ([]File, error) {
	var out []File
	for _, dir := range dirs {
		paths, err := filepath.Glob(filepath.Join(dir, "*.*"))
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			switch strings.ToLower(filepath.Ext(p)) {
			case ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp":
			default:
				continue
			}
			data, err := os.ReadFile(p)
			if err != nil {
				return nil, err
			}
			if len(data) <= 64<<10 {
				out = append(out, File{filepath.Base(p), data})
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("hostile: no pictures in %s", strings.Join(dirs, ", "))
	}
	return out, nil
}

// Images returns n files: the crafted ones first, then mutations of the seeds.
// Equal arguments give equal files.
func Images(seeds []File, n int, seed uint64) []File {
	out := crafted(seeds)
	out = out[:min(n, len(out))]
	for i := range out { // seeds may have equal names
		out[i].Name = fmt.Sprintf("%05d-%s", i, out[i].Name)
	}
	for i := len(out); i < n; i++ {
		s := rng.New(rng.Text("hostile"), seed, uint64(i))
		from := seeds[s.Intn(len(seeds))]
		m := mutations[s.Intn(len(mutations))]
		data := m.do(s, bytes.Clone(from.Data), seeds[s.Intn(len(seeds))].Data)
		if s.Intn(2) == 0 {
			data = mendPNG(data) // so that damage gets past the checksums
		}
		ext := filepath.Ext(from.Name)
		out = append(out, File{fmt.Sprintf("%05d-%s-%s%s", i, m.name, strings.TrimSuffix(from.Name, ext), ext), data})
	}
	return out
}

// mutation changes a file; other is another seed. It may change data in place.
type mutation struct {
	name string
	do   func(s *rng.Stream, data, other []byte) []byte
}

var mutations = []mutation{
	{"cut", func(s *rng.Stream, data, _ []byte) []byte { return data[:s.Intn(len(data)+1)] }},
	{"bits", func(s *rng.Stream, data, _ []byte) []byte {
		for range 1 + s.Intn(20) {
			data[s.Intn(len(data))] ^= 1 << s.Intn(8)
		}
		return data
	}},
	{"header", func(s *rng.Stream, data, _ []byte) []byte { // where sizes are
		for range 1 + s.Intn(6) {
			data[s.Intn(min(len(data), 64))] = byte(s.Intn(256))
		}
		return data
	}},
	{"extreme", func(s *rng.Stream, data, _ []byte) []byte {
		extremes := []uint32{0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff}
		for range 1 + s.Intn(3) {
			v, at := extremes[s.Intn(len(extremes))], s.Intn(max(len(data)-4, 1))
			var b [4]byte
			if s.Intn(2) == 0 {
				binary.BigEndian.PutUint32(b[:], v)
			} else {
				binary.LittleEndian.PutUint32(b[:], v)
			}
			copy(data[at:], b[s.Intn(3):])
		}
		return data
	}},
	{"erase", func(s *rng.Stream, data, _ []byte) []byte {
		at := s.Intn(len(data))
		clear(data[at : at+s.Intn(len(data)-at+1)])
		return data
	}},
	{"drop", func(s *rng.Stream, data, _ []byte) []byte {
		at := s.Intn(len(data))
		return append(data[:at:at], data[at+s.Intn(min(len(data)-at, 64)+1):]...)
	}},
	{"repeat", func(s *rng.Stream, data, _ []byte) []byte {
		at := s.Intn(len(data))
		part := data[at : at+s.Intn(len(data)-at+1)]
		return append(append(data[:at+len(part):at+len(part)], bytes.Repeat(part, 1+s.Intn(8))...), data[at+len(part):]...)
	}},
	{"splice", func(s *rng.Stream, data, other []byte) []byte {
		return append(data[:s.Intn(len(data)):len(data)], other[s.Intn(len(other)):]...)
	}},
	{"polyglot", func(s *rng.Stream, data, other []byte) []byte { return append(data[:len(data):len(data)], other...) }},
	{"noise", func(s *rng.Stream, data, _ []byte) []byte { // behind a sound signature
		for i := 8 + s.Intn(24); i < len(data); i++ {
			data[i] = byte(s.Intn(256))
		}
		return data
	}},
}

// mendPNG puts the right checksum behind each chunk of a PNG; other data it leaves alone.
func mendPNG(data []byte) []byte {
	if !bytes.HasPrefix(data, []byte(pngMagic)) {
		return data
	}
	for at := len(pngMagic); at+12 <= len(data); {
		n := int(binary.BigEndian.Uint32(data[at:]))
		if n < 0 || n > len(data)-at-12 {
			break
		}
		binary.BigEndian.PutUint32(data[at+8+n:], crc32.ChecksumIEEE(data[at+4:at+8+n]))
		at += 12 + n
	}
	return data
}
