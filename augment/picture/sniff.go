package picture

import (
	"bytes"
	"fmt"
	"strings"

	"finetune/internal/reading"
)

// magic lists what a file starts with; reads names a codec, other a format that is recognised but not read.
var magic = []struct{ prefix, reads, other string }{
	{prefix: "\xff\xd8\xff", reads: "jpeg"},
	{prefix: "\x89PNG\r\n\x1a\n", reads: "png"},
	{prefix: "GIF87a", reads: "gif"},
	{prefix: "GIF89a", reads: "gif"},
	{prefix: "BM", reads: "bmp"},
	{prefix: "II*\x00", reads: "tiff"},
	{prefix: "MM\x00*", reads: "tiff"},
	{prefix: "II+\x00", reads: "tiff"},
	{prefix: "MM\x00+", reads: "tiff"},
	{prefix: "\xff\x0a", other: "JPEG XL"},
	{prefix: "\x00\x00\x00\x0cJXL ", other: "JPEG XL"},
	{prefix: "\x00\x00\x00\x0cjP  ", other: "JPEG 2000"},
	{prefix: "\xff\x4f\xff\x51", other: "JPEG 2000"},
	{prefix: "8BPS", other: "Photoshop"},
	{prefix: "\x00\x00\x01\x00", other: "icon (ICO)"},
	{prefix: "\x00\x00\x02\x00\x01\x00", other: "cursor (CUR)"},
	{prefix: "\x0a\x05\x01", other: "PCX"},
	{prefix: "P1\n", other: "PBM"},
	{prefix: "P4\n", other: "PBM"},
	{prefix: "P2\n", other: "PGM"},
	{prefix: "P5\n", other: "PGM"},
	{prefix: "P3\n", other: "PPM"},
	{prefix: "P6\n", other: "PPM"},
	{prefix: "P7\n", other: "PAM"},
	{prefix: "P5 ", other: "PGM"},
	{prefix: "P6 ", other: "PPM"},
	{prefix: "#?RADIANCE", other: "Radiance HDR"},
	{prefix: "v/1\x01", other: "OpenEXR"},
	{prefix: "DDS ", other: "DirectDraw (DDS)"},
	{prefix: "qoif", other: "QOI"},
	{prefix: "SIMPLE  =", other: "FITS"},
	{prefix: "FUJIFILMCCD-RAW", other: "Fujifilm raw"},
	{prefix: "IIU\x00", other: "Panasonic raw"},
	{prefix: "IIRO", other: "Olympus raw"},
	{prefix: "IIRS", other: "Olympus raw"},
	{prefix: "\x1a\x45\xdf\xa3", other: "video (Matroska)"},
	{prefix: "\x00\x00\x01\xba", other: "video (MPEG)"},
	{prefix: "\x00\x00\x01\xb3", other: "video (MPEG)"},
	{prefix: "\x93NUMPY", other: "NumPy"},
	{prefix: "\x89HDF\r\n\x1a\n", other: "HDF5"},
	{prefix: "\x1f\x8b", other: "gzip"},
	{prefix: "PK\x03\x04", other: "zip"},
	{prefix: "%PDF", other: "PDF"},
	{prefix: "<svg", other: "SVG"},
}

// sniff names the codec for data, or says why there is none.
func sniff(data []byte) (string, error) {
	if len(data) == 0 {
		return "", &DecodeError{Empty, "the file has no bytes"}
	}
	for _, m := range magic {
		if !bytes.HasPrefix(data, []byte(m.prefix)) {
			continue
		}
		if m.other != "" {
			return "", unsupported(m.other, convertor(m.other))
		}
		return m.reads, nil
	}
	if len(data) >= 12 && string(data[:4]) == "RIFF" {
		switch string(data[8:12]) {
		case "WEBP":
			return "webp", nil
		case "AVI ":
			return "", unsupported("video (AVI)", convertor("video"))
		}
	}
	if kind := ftyp(data); kind == "heic" || kind == "avif" {
		return kind, nil
	} else if kind != "" {
		return "", unsupported(kind, convertor(kind))
	}
	return "", other(data)
}

// other says what a file is that starts like no picture.
func other(data []byte) error {
	head := bytes.ToLower(data[:min(len(data), 512)])
	tail := data[max(0, len(data)-26):]
	switch {
	case reading.LFSPointer(data):
		return &DecodeError{Unreadable, "a pointer of Git LFS, not the photograph itself; run git lfs pull"}
	case len(data) > 132 && string(data[128:132]) == "DICM":
		return unsupported("DICOM", "dcmj2pnm +on IN OUT.png")
	case bytes.Contains(tail, []byte("TRUEVISION-XFILE")), isTGA(data):
		return unsupported("TGA", "magick IN OUT.png")
	case bytes.Contains(head, []byte("<svg")):
		return unsupported("SVG", "magick IN OUT.png")
	case reading.WebPage(data):
		return &DecodeError{Unreadable, "a web page, not an image: the download went wrong; fetch it again"}
	case reading.ORTModel(data):
		return &DecodeError{Unsupported, "a network of ONNX Runtime (.ort), not an image; remove it from the folder"}
	case len(data) > 188 && data[0] == 0x47 && data[188] == 0x47:
		return unsupported("video (MPEG)", convertor("video"))
	case len(bytes.Trim(data[:min(len(data), 1<<16)], "\x00")) == 0:
		return &DecodeError{Unreadable, "nothing but zeros: a copy or a disk failed; put the photograph back"}
	}
	return &DecodeError{Unreadable,
		fmt.Sprintf("not an image: it starts with %q; remove it from the folder", data[:min(len(data), 8)])}
}

// isTGA judges the header of a format without a signature.
func isTGA(b []byte) bool {
	if len(b) < 18 {
		return false
	}
	kind, depth := b[2]&^8, b[16]
	return b[1] <= 1 && b[2] != 0 && b[2]&^0xb == 0 && kind >= 1 && kind <= 3 && (kind == 1) == (b[1] == 1) &&
		(depth == 8 || depth == 15 || depth == 16 || depth == 24 || depth == 32) && b[17]&0xc0 == 0 &&
		b[12]|b[13] != 0 && b[14]|b[15] != 0 && (b[1] == 1 || bytes.Equal(b[3:8], make([]byte, 5)))
}

func unsupported(kind, convert string) error {
	return &DecodeError{Unsupported,
		fmt.Sprintf("%s files are not read here; convert it first, for example: %s", kind, convert)}
}

// convertor is a command that makes a photograph of a kind that is not read.
func convertor(kind string) string {
	switch {
	case strings.HasPrefix(kind, "video"):
		return "ffmpeg -i IN OUT-%04d.jpg"
	case strings.HasSuffix(kind, "raw"):
		return "exiftool -b -PreviewImage IN > OUT.jpg"
	case kind == "NumPy", kind == "HDF5":
		return "write its pictures as PNG"
	case kind == "gzip", kind == "zip":
		return "unpack it"
	}
	return "magick IN OUT.jpg"
}

// ftyp tells the ISO media family (HEIC, AVIF, video) by its brands.
func ftyp(data []byte) string {
	if len(data) < 12 || string(data[4:8]) != "ftyp" {
		return ""
	}
	brands := string(data[8:min(len(data), 64, max(12, int(data[2])<<8|int(data[3])))])
	for _, b := range []struct{ brands, kind string }{
		{"avif avis", "avif"}, {"heic heix heim heis hevc hevx mif1 msf1", "heic"}, {"crx ", "Canon raw"},
	} {
		for brand := range strings.SplitSeq(b.brands, " ") {
			if len(brand) >= 3 && strings.Contains(brands, brand) {
				return b.kind
			}
		}
	}
	return "video"
}
