package fetch

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/home"
	"finetune/internal/plural"
)

// sums is the file beside a library that records the digests of its folder, in
// the form of sha256sum(1): `sha256sum -c SHA256SUMS` checks it without us.
const sums = "SHA256SUMS"

// installed returns where the item is and its digest, having verified it.
// Errors: os.ErrNotExist for an item that is not there, another for a damaged one.
func (it Item) installed() (path, digest string, err error) {
	switch {
	case it.keep == nil:
		return it.archive()
	case it.pinsDir == "":
		return it.verifyWeights()
	}
	for _, dir := range []string{it.pinsDir, it.urlDir} {
		if dir == "" {
			continue
		}
		path, digest, err = it.verifyFolder(home.Path("runtime", dir))
		if !errors.Is(err, os.ErrNotExist) {
			return path, digest, err
		}
	}
	return "", "", err
}

// kept reports whether the packages of a folder are all among the downloads.
func (it Item) kept() bool {
	pins, err := it.requirements()
	if err != nil || it.pinsDir == "" {
		return false
	}
	for _, r := range pins {
		if _, err := r.downloaded(); err != nil {
			return false
		}
	}
	return true
}

// removeDamaged takes away what another build of the same item stands in for now.
func (it Item) removeDamaged(log func(string, ...any)) error {
	for _, dir := range []string{it.pinsDir, it.urlDir} {
		if dir == "" {
			continue
		}
		folder := home.Path("runtime", dir)
		if _, err := os.Stat(folder); err != nil {
			continue
		}
		if _, _, err := it.verifyFolder(folder); err == nil {
			continue
		}
		log("%s: damaged; removed", folder)
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
	}
	return nil
}

// place puts what the item keeps of the archives or the file under its final name.
func (it Item) place(files []string, dir string) error {
	switch {
	case it.keep == nil:
		return it.placeArchive(files[0])
	case dir == "":
		return it.placeWeights(files[0])
	}
	return it.placeFolder(files, home.Path("runtime", dir))
}

// archive finds the item's one archive among the downloads.
func (it Item) archive() (path, digest string, err error) {
	pins, err := it.requirements()
	if err != nil {
		return "", "", err
	}
	path, err = pins[0].downloaded()
	return path, pins[0].digest, err
}

func (it Item) placeArchive(file string) error {
	pins, err := it.requirements()
	if err != nil {
		return err
	}
	if filepath.Dir(file) == home.Path("downloads") {
		return nil
	}
	return copyFile(file, home.Path("downloads", pins[0].stem()+"-py3-none-any.whl"))
}

// weights is where the item's state dict lies.
func (it Item) weights() string {
	return home.Path("weights", it.Name+cmp.Or(filepath.Ext(it.url), ".pth"))
}

// unpinned reports whether the item is weights of an address whose digest this program does not know.
func (it Item) unpinned() bool { return it.url != "" && it.urlDigest == "" && it.fileDigest == "" }

// recorded is the digest that was noted when the weights were fetched, "" if none was.
func (it Item) recorded() string {
	record, err := os.ReadFile(it.weights() + ".sha256")
	if err != nil {
		return ""
	}
	sum, _, _ := strings.Cut(string(record), " ")
	return sum
}

func (it Item) verifyWeights() (path, sum string, err error) {
	path = it.weights()
	sum, err = digest.File(path)
	if err != nil {
		return "", "", fmt.Errorf("fetch: %w", err)
	}
	want := it.fileDigest
	if record := it.recorded(); record != "" && len(want) < len(sum) {
		want = record // the pin is a beginning alone
	}
	if want == "" {
		return "", "", fmt.Errorf("fetch: %s: not from this command: no digest of it was recorded", path)
	}
	if sum != want || !strings.HasPrefix(sum, it.fileDigest) {
		return "", "", fmt.Errorf("fetch: %s: damaged: digest is %s, expected %s", path, sum, want)
	}
	return path, sum, nil
}

func (it Item) placeWeights(file string) error {
	path := it.weights()
	digest, err := digest.File(file)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	switch {
	case file == path:
	case strings.HasPrefix(digest, it.fileDigest):
		err = copyFile(file, path)
	default:
		digest, err = it.unpackOne(file, path)
	}
	if err != nil {
		return err
	}
	if !strings.HasPrefix(digest, it.fileDigest) {
		return fmt.Errorf("fetch: %s: the weights in it have digest %s, expected %s", file, digest, it.fileDigest)
	}
	return durable.WriteFile(path+".sha256", []byte(digest+"  "+filepath.Base(path)+"\n"))
}

// unpackOne writes the one kept entry of the archive to path and returns its digest.
func (it Item) unpackOne(archive, path string) (digest string, err error) {
	err = Entries(archive, func(name string, size int64, r io.Reader) error {
		if it.keep(name) == "" || digest != "" {
			return nil
		}
		digest, err = writeEntry(path, size, r)
		return err
	})
	if err == nil && digest == "" {
		err = fmt.Errorf("fetch: %s: %w: no weights in it", archive, ErrArchive)
	}
	return digest, err
}

// verifyFolder checks every file that the folder's SHA256SUMS lists and returns
// the main one.
func (it Item) verifyFolder(dir string) (path, sum string, err error) {
	record, err := readSums(dir)
	if err != nil {
		return "", "", err
	}
	for _, name := range slices.Sorted(maps.Keys(record)) {
		want := record[name]
		if pin := pinOf(dir, name); pin != "" {
			want = pin
		}
		if err := compare(filepath.Join(dir, name), want); errors.Is(err, os.ErrNotExist) {
			return "", "", fmt.Errorf("fetch: %s: damaged: %v", dir, err) // not absent: a part of it is gone
		} else if err != nil {
			return "", "", err
		}
		if path == "" && strings.HasPrefix(name, it.main) {
			path, sum = filepath.Join(dir, name), want
		}
	}
	if path == "" {
		return "", "", fmt.Errorf("fetch: %s: damaged: no %s* among its files", dir, it.main)
	}
	return path, sum, nil
}

// placeFolder unpacks the kept files of all archives beside the downloads,
// records their digests and renames the folder into place.
func (it Item) placeFolder(archives []string, dir string) error {
	staging := home.Path("downloads", "unpack-"+it.Name)
	if err := os.RemoveAll(staging); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	defer os.RemoveAll(staging)
	var lines []string
	for _, a := range archives {
		if err := durable.Room(home.Dir(), 3*size(a)); err != nil { // libraries shrink to a third when packed
			return fmt.Errorf("fetch: %s: %w", a, err)
		}
		err := Entries(a, func(name string, size int64, r io.Reader) error {
			base := it.keep(name)
			if base == "" {
				return nil
			}
			digest, err := writeEntry(filepath.Join(staging, base), size, r)
			lines = append(lines, digest+"  "+base+"\n")
			return err
		})
		if err != nil {
			return err
		}
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i][64:] < lines[j][64:] })
	if err := durable.WriteFile(filepath.Join(staging, sums), []byte(strings.Join(lines, ""))); err != nil {
		return err
	}
	if _, _, err := it.verifyFolder(staging); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	if err := durable.ReplaceFolder(dir, staging); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	return nil
}

// writeEntry writes exactly size bytes of r to path and returns their digest.
func writeEntry(path string, size int64, r io.Reader) (digest string, err error) {
	h := sha256.New()
	err = durable.Write(path, func(w io.Writer) error {
		n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(r, size+1))
		if err == nil && n != size {
			err = fmt.Errorf("%s where the archive declares %d", plural.Count(n, "byte"), size)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	defer f.Close()
	if err := durable.Room(filepath.Dir(to), size(from)); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	return durable.Write(to, func(w io.Writer) error { _, err := io.Copy(w, f); return err })
}
