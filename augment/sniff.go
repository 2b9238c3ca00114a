package augment

import (
	"bytes"
	"fmt"
	"strings"
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
			return "", unsupported(m.other, "magick IN OUT.jpg")
		}
		return m.reads, nil
	}
	if len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP" {
		if len(data) > 20 && string(data[12:16]) == "VP8X" && data[20]&2 != 0 {
			return "", unsupported("animated WebP", "magick IN[0] OUT.png")
		}
		return "webp", nil
	}
	if kind := ftyp(data); kind == "heic" || kind == "avif" {
		return kind, nil
	} else if kind != "" {
		return "", unsupported(kind, convertors[kind])
	}
	head := data[:min(len(data), 8)]
	return "", &DecodeError{Unreadable, fmt.Sprintf("not an image: it starts with %q; remove it from the folder", head)}
}

func unsupported(kind, convert string) error {
	return &DecodeError{Unsupported, fmt.Sprintf("%s files are not read here; convert it first, for example: %s", kind, convert)}
}

var convertors = map[string]string{"video": "ffmpeg -i IN OUT-%04d.jpg", "Canon raw": "exiftool -b -PreviewImage IN > OUT.jpg"}

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
