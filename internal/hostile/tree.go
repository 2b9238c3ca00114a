//go:build unix

package hostile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// names mean something to a shell, a terminal, a browser, a spreadsheet or a
// path, or are no UTF-8.
var names = []string{
	"line\nbreak.jpg", "tab\tand\rreturn.jpg", "bell\a and \x1b[31mred.jpg", "\u202egpj.exe.jpg",
	"<script>alert(1)<script>.jpg",
	"=HYPERLINK(\"x\")&\"\".jpg", "+1+1.jpg", "-o.jpg", "@SUM(1).jpg", "--help.png", "quote\"s, and 'commas'.jpg",
	"$(reboot).jpg", "`id`.png",
	"%00%2e%2e.jpg", "jpg..jpg", " leading space.jpg", "trailing space .jpg ", "e\u0301 and é.jpg", "not\xff\xfeutf8.jpg",
	"zero\u200bwidth.jpg", "🐜.jpg",
	strings.Repeat("n", 240) + ".jpg", "NUL.jpg", "a;b.jpg", "semi\\colon.jpg", "#hash?.jpg", "percent%s%d%n.jpg",
}

// WriteTree writes files below the folders of dir in turn, and beside them sound
// under hostile names, a folder and a pipe called like photographs, links in a
// circle, to nothing and out of dir. It returns the paths that are to be read,
// sorted: all but folders, pipes and links to folders.
func WriteTree(dir string, folders []string, files []File, sound []byte) ([]string, error) {
	var paths []string
	var errs []error
	put := func(rel string, data []byte) {
		file := filepath.Join(dir, rel)
		errs = append(errs, os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, data, 0o666))
		paths = append(paths, filepath.ToSlash(rel))
	}
	for i, f := range files {
		put(filepath.Join(folders[i%len(folders)], f.Name), f.Data)
	}
	first := folders[0]
	for _, n := range names {
		put(filepath.Join(first, n), append(slices.Clone(sound), n...))
	}
	deep := filepath.Join(first, strings.Repeat("d/", 50), "deep.jpg")
	put(deep, append(slices.Clone(sound), "deep"...))
	link := func(target, rel string, read bool) {
		errs = append(errs, os.Symlink(target, filepath.Join(dir, rel)))
		if read {
			paths = append(paths, filepath.ToSlash(rel))
		}
	}
	link(".", filepath.Join(first, "circle"), false)
	link("circle", filepath.Join(first, "second-circle.jpg"), false)
	link("nowhere", filepath.Join(first, "broken.jpg"), true)
	link("self.jpg", filepath.Join(first, "self.jpg"), true)
	link("/etc/passwd", filepath.Join(first, "passwd.jpg"), true)
	link("/dev/zero", filepath.Join(first, "endless.jpg"), false)
	errs = append(errs, os.Mkdir(filepath.Join(dir, first, "folder.jpg"), 0o777),
		syscall.Mkfifo(filepath.Join(dir, first, "pipe.jpg"), 0o666))
	slices.Sort(paths)
	return paths, errors.Join(errs...)
}

// Size is the number of bytes of all files below dir.
func Size(dir string) (n int64, err error) {
	return n, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		n += info.Size()
		return err
	})
}
