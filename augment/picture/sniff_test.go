package picture

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What files start with, by the formats' own documents, and what is said of each.
func TestSignatures(t *testing.T) {
	box := func(brands string) string { return fmt.Sprintf("\x00\x00\x00%cftyp%s", 8+len(brands), brands) }
	tga := "\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x02\x00\x18\x00"
	for _, c := range []struct{ starts, codec string }{
		{"\xff\xd8\xff\xe0", "jpeg"}, {"\xff\xd8\xff\xdb", "jpeg"}, {"\x89PNG\r\n\x1a\n", "png"}, {"GIF87a", "gif"},
		{"GIF89a", "gif"}, {"BM", "bmp"},
		{"II*\x00", "tiff"}, {"MM\x00*", "tiff"}, {"II+\x00", "tiff"}, {"MM\x00+", "tiff"},
		{"RIFF\x40\x00\x00\x00WEBPVP8 ", "webp"}, {"RIFF\x04\x00\x00\x00WEBP", "webp"},
		{box("avif\x00\x00\x00\x00mif1"), "avif"}, {box("avis\x00\x00\x00\x00"), "avif"},
		{box("mif1\x00\x00\x00\x00avifmiaf"), "avif"},
		{box("heic\x00\x00\x00\x00"), "heic"}, {box("heix\x00\x00\x00\x00"), "heic"}, {box("hevc\x00\x00\x00\x00"), "heic"},
		{box("msf1\x00\x00\x00\x00"), "heic"},
		{box("isom\x00\x00\x00\x00heic"), "heic"}, {"\x00\x00\x01\x00ftypheic", ""}, {"RIFF\x40\x00\x00\x00WAVE", ""},
	} {
		if got, err := sniff([]byte(c.starts)); got != c.codec {
			t.Errorf("%q alone: %s, %v; want %s", c.starts, got, err, c.codec)
		}
		if got, err := sniff([]byte(c.starts + strings.Repeat("\x00", 20))); got != c.codec && c.codec != "" ||
			(err == nil) != (got != "") {
			t.Errorf("%q: %s, %v; want %s", c.starts, got, err, c.codec)
		}
	}
	for _, c := range []struct {
		starts, kind, advice string
		status               Status
	}{
		{"\xff\x0a", "JPEG XL", "magick", Unsupported}, {"\x00\x00\x00\x0cJXL \r\n", "JPEG XL", "magick", Unsupported},
		{"\x00\x00\x00\x0cjP  \r\n", "JPEG 2000", "magick", Unsupported},
		{"\xff\x4f\xff\x51", "JPEG 2000", "magick", Unsupported},
		{"8BPS", "Photoshop", "magick", Unsupported}, {"qoif", "QOI", "magick", Unsupported},
		{"DDS ", "DDS", "magick", Unsupported},
		{"P4\n", "PBM", "magick", Unsupported}, {"P5 ", "PGM", "magick", Unsupported}, {"P7\n", "PAM", "magick", Unsupported},
		{"v/1\x01", "OpenEXR", "magick", Unsupported}, {"#?RADIANCE", "Radiance", "magick", Unsupported},
		{"SIMPLE  =", "FITS", "magick", Unsupported},
		{"FUJIFILMCCD-RAW", "Fujifilm raw", "exiftool", Unsupported}, {"IIU\x00", "Panasonic raw", "exiftool", Unsupported},
		{"IIRO", "Olympus raw", "exiftool", Unsupported},
		{box("crx \x00\x00\x00\x00"), "Canon raw", "exiftool", Unsupported},
		{"\x1a\x45\xdf\xa3", "video (Matroska)", "ffmpeg", Unsupported},
		{"\x00\x00\x01\xba", "video (MPEG)", "ffmpeg", Unsupported},
		{"RIFF\x40\x00\x00\x00AVI LIST", "video (AVI)", "ffmpeg", Unsupported},
		{box("qt  \x00\x00\x00\x00"), "video", "ffmpeg", Unsupported},
		{box("isom\x00\x00\x00\x00mp41") + "heic", "video", "ffmpeg", Unsupported}, // the brand behind the box is none
		{box("xhei") + "c", "video", "ffmpeg", Unsupported},
		{"G" + strings.Repeat("\x01", 187) + "G", "video (MPEG)", "ffmpeg", Unsupported},
		{"\x93NUMPY", "NumPy", "write its pictures", Unsupported},
		{"\x89HDF\r\n\x1a\n", "HDF5", "write its pictures", Unsupported},
		{"\x1f\x8b", "gzip", "unpack", Unsupported}, {"PK\x03\x04", "zip", "unpack", Unsupported},
		{"%PDF", "PDF", "magick", Unsupported},
		{"<svg", "SVG", "magick", Unsupported}, {" \n<?xml?><SVG", "SVG", "magick", Unsupported},
		{tga, "TGA", "magick", Unsupported},
		{"a picture" + strings.Repeat("\x01", 40) + "TRUEVISION-XFILE.\x00", "TGA", "magick", Unsupported},
		{strings.Repeat("\x00", 128) + "DICM\x02", "DICOM", "dcmj2pnm", Unsupported},
		{"\x18\x00\x00\x00ORTM", ".ort", "remove", Unsupported},
		{"\n<html lang=en>", "web page", "fetch it again", Unreadable},
		{"<!doctype HTML>", "web page", "fetch it again", Unreadable},
		{"version https://git-lfs.github.com/spec/v1\n", "Git LFS", "git lfs pull", Unreadable},
		{strings.Repeat("\x00", 70000) + "x", "zeros", "put the photograph back", Unreadable},
		{strings.Repeat("\x00", 600) + "x", `\x00`, "remove it", Unreadable},
		{"12345678abc", `"12345678"`, "remove it", Unreadable}, {"abc", `"abc"`, "remove it", Unreadable},
		{"G", `"G"`, "remove it", Unreadable}, {"0123ORT", "0123ORT", "remove it", Unreadable},
		{strings.Repeat("\x01", 128) + "DICM", `\x01`, "remove it", Unreadable},
		{"G" + strings.Repeat("\x01", 187), `"G`, "remove it", Unreadable},
		{strings.Repeat(" ", 512) + "<svg", `"  `, "remove it", Unreadable},
		{"RIFF\x40\x00\x00\x00WAVEfmt ", "RIFF", "remove it", Unreadable},
		{"RIFF\x40\x00\x00\x00WEB", "RIFF", "remove it", Unreadable},
	} {
		codec, err := sniff([]byte(c.starts))
		if wantStatus(t, c.starts[:min(20, len(c.starts))], err, c.status, c.kind, c.advice); codec != "" {
			t.Errorf("%q: %s", c.starts, codec)
		}
	}
	_, err := sniff(nil)
	wantStatus(t, "nothing", err, Empty)
}

// TGA has no signature: a header is one if each of its fields can be.
func TestHeadersOfTGA(t *testing.T) {
	header := func(change ...byte) []byte {
		b := []byte{7, 0, 2, 0, 0, 0, 0, 0, 9, 9, 9, 9, 2, 0, 2, 0, 24, 0x20}
		for i := 0; i < len(change); i += 2 {
			b[change[i]] = change[i+1]
		}
		return b
	}
	for _, c := range []struct {
		name   string
		change []byte
		want   bool
	}{
		{"colour", nil, true}, {"grey", []byte{2, 3, 16, 8}, true},
		{"palette", []byte{1, 1, 2, 1, 5, 255, 7, 24, 16, 8}, true},
		{"packed colour", []byte{2, 10}, true}, {"packed grey", []byte{2, 11, 16, 8}, true},
		{"packed palette", []byte{1, 1, 2, 9, 16, 8}, true},
		{"15 bits", []byte{16, 15}, true}, {"16 bits", []byte{16, 16}, true}, {"32 bits", []byte{16, 32, 17, 8}, true},
		{"256 wide", []byte{12, 0, 13, 1}, true}, {"256 high", []byte{14, 0, 15, 1}, true},
		{"no kind", []byte{2, 0}, false}, {"kind 4", []byte{2, 4}, false}, {"kind 8", []byte{2, 8}, false},
		{"kind 12", []byte{2, 12}, false},
		{"kind 18", []byte{2, 18}, false}, {"kind 32", []byte{2, 32}, false}, {"a map and colour", []byte{1, 1}, false},
		{"a palette and no map", []byte{2, 1, 16, 8}, false},
		{"map 2", []byte{1, 2, 2, 1}, false}, {"12 bits", []byte{16, 12}, false}, {"no bits", []byte{16, 0}, false},
		{"interleaved", []byte{17, 0x40}, false},
		{"interleaved in four", []byte{17, 0x80}, false}, {"no width", []byte{12, 0}, false},
		{"no height", []byte{14, 0}, false},
		{"numbers of no map", []byte{3, 1}, false}, {"depth of no map", []byte{7, 24}, false},
	} {
		if got := isTGA(header(c.change...)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if got := isTGA(append(header(c.change...), 1, 2, 3)); got != c.want {
			t.Errorf("%s, and more: %v", c.name, got)
		}
	}
	for n := range 18 {
		if isTGA(header()[:n]) {
			t.Errorf("a header of %d bytes", n)
		}
	}
}

// A start alone is never read past its end, and never a picture.
func TestAnyStartIsJudged(t *testing.T) {
	for _, m := range magic {
		for n := 1; n <= len(m.prefix); n++ {
			for _, more := range [][]byte{nil, {0}, bytes.Repeat([]byte{0xff}, 200)} {
				_, err := Decode(append([]byte(m.prefix[:n]), more...), Limits{})
				var d *DecodeError
				if !errors.As(err, &d) || d.Reason == "" || d.Status == Empty {
					t.Errorf("%q and %d more: %v", m.prefix[:n], len(more), err)
				}
			}
		}
	}
}
