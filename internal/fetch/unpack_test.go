package fetch

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

func tarred(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	w := tar.NewWriter(g)
	for _, h := range headers {
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
		}
	}
	if err := errors.Join(w.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// names lists the entries of archive under small limits.
func names(t *testing.T, archive []byte) (found []string, err error) {
	t.Helper()
	file := put(t, filepath.Join(t.TempDir(), "archive"), archive)
	err = entries(file, limits{entries: 3, entry: 100, total: 150}, func(name string, size int64, r io.Reader) error {
		found = append(found, name)
		_, err := writeEntry(filepath.Join(t.TempDir(), path.Base(name)), size, r)
		return err
	})
	return found, err
}

func TestEntriesTar(t *testing.T) {
	found, err := names(t, tarred(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./ort/lib/"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./ort/lib/libonnxruntime.so.1", Size: 5},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./ort/lib/libonnxruntime.so", Linkname: "libonnxruntime.so.1"}))
	if err != nil || len(found) != 1 || found[0] != "./ort/lib/libonnxruntime.so.1" {
		t.Errorf("%q, %v; want the one regular file", found, err)
	}
}

func TestEntriesRefuses(t *testing.T) {
	reg := func(name string, size int64) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size}
	}
	link := func() []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		h := &zip.FileHeader{Name: "link"}
		h.SetMode(os.ModeSymlink | 0o777)
		w, _ := z.CreateHeader(h)
		w.Write([]byte("/etc/passwd"))
		z.Close()
		return b.Bytes()
	}()
	// A zip entry that declares 5 bytes and holds more.
	lying := zipped(t, "a", "0123456789")
	lying = bytes.ReplaceAll(lying, []byte{10, 0, 0, 0}, []byte{5, 0, 0, 0})
	damaged := zipped(t, "a", strings.Repeat("0123456789", 9))
	damaged[35] ^= 0xff
	for name, archive := range map[string][]byte{
		"empty":            {},
		"neither":          []byte("neither zip nor tar"),
		"zip, cut":         zipped(t, "a", "content")[:40],
		"zip, climbs":      zipped(t, "a/../../b", "x"),
		"zip, absolute":    zipped(t, "/etc/passwd", "x"),
		"zip, drive":       zipped(t, "C:\\x", "x"),
		"zip, link":        link,
		"zip, lies":        lying,
		"zip, damaged":     damaged,
		"zip, many":        zipped(t, "a", "", "b", "", "c", "", "d", ""),
		"zip, large":       zipped(t, "a", strings.Repeat("x", 101)),
		"zip, large total": zipped(t, "a", strings.Repeat("x", 90), "b", strings.Repeat("x", 90)),
		"tar, climbs":      tarred(t, reg("../b", 1)),
		"tar, absolute":    tarred(t, reg("/b", 1)),
		"tar, link climbs": tarred(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "../b", Linkname: "/etc"}),
		"tar, many":        tarred(t, reg("a", 1), reg("b", 1), reg("c", 1), reg("d", 1)),
		"tar, large":       tarred(t, reg("a", 101)),
		"tar, cut":         tarred(t, reg("a", 90), reg("b", 20))[:60],
	} {
		t.Run(name, func(t *testing.T) {
			if found, err := names(t, archive); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "archive") {
				t.Errorf("entries %q, error %v; want ErrArchive", found, err)
			}
		})
	}
}

// Whatever the bytes, walking them ends, keeps to the limits and never hands
// out a path that leaves the folder.
func FuzzEntries(f *testing.F) {
	f.Add(tarred(f, tar.Header{Typeflag: tar.TypeReg, Name: "a/b", Size: 5}))
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("a/b.pth")
	w.Write([]byte("content"))
	z.Close()
	f.Add(b.Bytes())
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, archive []byte) {
		file := filepath.Join(dir, "archive")
		if err := os.WriteFile(file, archive, 0o644); err != nil {
			t.Fatal(err)
		}
		var total int64
		entries(file, limits{entries: 20, entry: 1000, total: 5000}, func(name string, size int64, r io.Reader) error {
			if !filepath.IsLocal(name) {
				t.Errorf("%q leaves the folder", name)
			}
			n, err := io.Copy(io.Discard, io.LimitReader(r, size+1))
			total += n
			return err
		})
		if total > 5020 {
			t.Errorf("%d bytes came out, the limit is 5000", total)
		}
	})
}
