// Package kinds tells photographs from what lies beside them, by names and first bytes.
package kinds

import (
	"bufio"
	"bytes"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"finetune/internal/failure"
	"finetune/internal/reading"
)

// leftoverFolders are what desktops, network storage and tools leave beside
// photographs, in lower case: thumbnails, bins, snapshots. Names that begin
// with a dot need no entry.
var leftoverFolders = map[string]bool{
	"__macosx": true, "@eadir": true, "#recycle": true, "@recycle": true, "@recently-snapshot": true, "@tmp": true,
	"@sharebin": true, "@__thumb": true, "#snapshot": true, "~snapshot": true, "$recycle.bin": true, "recycler": true,
	"recycled": true, "system volume information": true, "lost+found": true, "lost.dir": true,
	"network trash folder": true, "temporary items": true, "thevolumesettingsfolder": true, "__pycache__": true,
}

// foundFolder is what a check of a Windows disk leaves: found.000.
var foundFolder = regexp.MustCompile(`^(?i)found\.\d{3}$`)

// Leftover reports whether a folder's name says that its pictures are not the user's photographs.
func Leftover(name string) bool {
	return strings.HasPrefix(name, ".") || leftoverFolders[strings.ToLower(name)] || foundFolder.MatchString(name)
}

// Files that a run of this program always holds; learner writes both before anything else.
const (
	runConfig = "config.json"
	RunSums   = "SHA256SUMS"
)

// OwnRun reports whether dir is a run of this program: its checksums name its configuration.
func OwnRun(dir string) bool {
	info, err := reading.Stat(filepath.Join(dir, runConfig))
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	sums := filepath.Join(dir, RunSums)
	if info, err = reading.Stat(sums); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := reading.Open(sums)
	if err != nil {
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for lines.Scan() {
		if digest, name, _ := strings.Cut(lines.Text(), " "); len(digest) == 64 && strings.TrimLeft(name, " *") == runConfig {
			return true
		}
	}
	return false
}

// System reports whether a file's name says that a desktop or a camera keeps notes in it.
func System(name string) bool {
	return strings.HasPrefix(name, ".") || systemFiles[strings.ToLower(name)] || name == "Icon\r" ||
		strings.HasPrefix(name, "SYNOFILE_THUMB_") || strings.HasPrefix(name, "SYNOPHOTO_THUMB_")
}

// Words are the words of a text.
func Words(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// Other reports whether a file's extension, in lower case, says that it is no picture.
func Other(ext string) bool { return others[ext] }

// Kept reports whether a file may be a photograph, by its path below a folder alone.
func Kept(rel string) bool {
	folder, name := path.Split(rel)
	if slices.ContainsFunc(strings.FieldsFunc(folder, func(r rune) bool { return r == '/' }), Leftover) {
		return false
	}
	return !System(name) && !Other(strings.ToLower(path.Ext(name)))
}

// Pictures are the extensions that pictures have, in lower case.
var Pictures = Words(".jpg .jpeg .jpe .jfif .jif .png .apng .gif .bmp .dib .tif .tiff .webp .heic .heif .avif .jp2 " +
	".ppm .pgm .tga")

var (
	systemFiles = Words("thumbs.db ehthumbs.db ehthumbs_vista.db desktop.ini picasa.ini zbthumbnail.info")
	others      = Words(".txt .csv .tsv .json .jsonl .xml .yaml .yml .toml .ini .cfg .md .rst .html .htm .pdf .doc " +
		".docx .xls .xlsx " +
		".zip .gz .tgz .tar .bz2 .xz .7z .rar .py .ipynb .go .sh .m .mat .npy .npz .pkl .pth .pt .onnx .safetensors " +
		".parquet .arrow " +
		".db .sqlite .log .mp4 .mov .avi .mkv .mp3 .wav .sha256 .md5 .lnk .url")
)

// LooksLikePicture reads the first bytes of a file whose name says nothing.
func LooksLikePicture(file string) bool {
	f, err := reading.Open(file)
	if err != nil {
		return true // reading it will say why, under its name
	}
	defer f.Close()
	var b [16]byte
	n, err := io.ReadFull(f, b[:])
	if failure.System(err) {
		return true // as above
	}
	return PictureBytes(b[:n])
}

// PictureBytes knows the signatures of the formats that people keep photographs in.
func PictureBytes(b []byte) bool {
	for _, magic := range []string{"\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "GIF87a", "GIF89a", "BM", "II*\x00", "MM\x00*"} {
		if bytes.HasPrefix(b, []byte(magic)) {
			return true
		}
	}
	if len(b) < 12 {
		return false
	}
	return string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP" ||
		string(b[4:8]) == "ftyp" && Words("heic heix heif mif1 avif")[string(b[8:12])]
}
