package fetch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/home"
)

// Trust says what a file's digest was compared with.
type Trust string

const (
	Pinned    Trust = "pinned"      // the digest that this program was built with
	Recorded  Trust = "recorded"    // the digest that was noted when the file was fetched
	Unchecked Trust = "not checked" // nothing: the file is the user's or the system's own
)

// WeightsDigest is the SHA-256 of the pinned weights called name, "" where none is known whole.
func WeightsDigest(name string) string {
	for _, it := range table() {
		if it.Name == name && it.pinsDir == "" && it.urlDir == "" && len(it.fileDigest) == 64 {
			return it.fileDigest
		}
	}
	return ""
}

// libraries are the pinned digests of the files in folders under runtime/, by FOLDER/FILE.
var libraries = sync.OnceValue(func() map[string]string {
	data, _ := pinned.ReadFile("pins/libraries.txt") // embedded; a test reads it
	known := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if sum, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			known[name] = sum
		}
	}
	return known
})

// pinOf is the digest pinned for a file of a folder under runtime/, "" for none.
func pinOf(folder, name string) string { return libraries()[filepath.Base(folder)+"/"+name] }

// CheckLibrary is asked before the library at path is loaded. One in
// $FINETUNE_HOME/runtime, or in lib beside the program, must have the digest that is pinned for it or, where
// this program knows none, the one that was recorded beside it. A library there
// without either is let through unless anybody may write to its folder.
//
// Errors are failure.Data, name the file and the command that repairs it.
func CheckLibrary(path string) (Trust, error) {
	folder, inside := runtimeFolder(path)
	if !inside {
		return Unchecked, nil
	}
	name := behindLink(path)
	if want := pinOf(folder, name); want != "" {
		return Pinned, remembered(folder, map[string]string{name: want})
	}
	if err := home.Open(path); err != nil {
		return "", failure.Data(fmt.Errorf("%w, so others could replace the library; take that right from them "+
			"(chmod o-w), or name a library that you trust with ONNXRUNTIME_LIB", err))
	}
	record, err := readSums(folder)
	if errors.Is(err, os.ErrNotExist) {
		return Unchecked, nil
	}
	if err != nil {
		return "", failure.Data(err)
	}
	if err := fetched(record, folder, name); err != nil {
		return "", err
	}
	return Recorded, remembered(folder, map[string]string{name: record[name]})
}

// fetched is an error where the folder's record lacks the file.
func fetched(record map[string]string, folder, name string) error {
	if record[name] != "" {
		return nil
	}
	return failure.Data(fmt.Errorf("fetch: %s: not one of the files that were fetched, which %s lists; remove it, or "+
		"name it with ONNXRUNTIME_LIB if it is yours", filepath.Join(folder, name), sums))
}

// behindLink is the name of the file that path leads to: a library is often
// called by a link without its version.
func behindLink(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err == nil && sameFolder(filepath.Dir(real), filepath.Dir(path)) {
		return filepath.Base(real)
	}
	return filepath.Base(path)
}

// CheckBeside is CheckLibrary for what a library loads from its own folder: the
// CUDA provider and NVIDIA's libraries, 2.4 GB.
func CheckBeside(path string) error {
	folder, inside := runtimeFolder(path)
	if !inside {
		return nil
	}
	record, err := readSums(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil // its own: CheckLibrary looked at the folder
	}
	if err != nil {
		return failure.Data(err)
	}
	beside, err := filepath.Glob(filepath.Join(folder, "*.so*"))
	for _, file := range beside {
		err = errors.Join(err, fetched(record, folder, behindLink(file)))
	}
	if err != nil {
		return err
	}
	for name := range record {
		if pin := pinOf(folder, name); pin != "" {
			record[name] = pin
		}
	}
	return remembered(folder, record)
}

// memory is the file in a folder of libraries that says which were compared, and
// with what. Who can write it could put another library beside it just as well.
const memory = ".checked"

// remembered compares the files of a folder with their digests. What was right
// once is not read again while its size, inode and times stay: 25 ms for ONNX
// Runtime, seconds for CUDA's libraries.
func remembered(folder string, want map[string]string) error {
	seen := map[string]string{}
	if data, err := os.ReadFile(filepath.Join(folder, memory)); err == nil {
		_ = json.Unmarshal(data, &seen) // a damaged one is written again
	}
	var wg sync.WaitGroup
	var mu sync.Mutex // guards failed and right; seen is only read meanwhile
	var failed error
	right := map[string]string{}
	for name, sum := range want {
		file := filepath.Join(folder, name)
		is := stamp(file)
		if is != "" && seen[name] == sum+" "+is {
			continue
		}
		wg.Go(func() {
			err := compare(file, sum)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
			} else if is != "" && is == stamp(file) {
				right[name] = sum + " " + is
			}
		})
	}
	wg.Wait()
	if failed != nil || len(right) == 0 {
		return failed
	}
	maps.Copy(seen, right)
	if text, err := json.Marshal(seen); err == nil {
		_ = durable.WriteFile(filepath.Join(folder, memory), text) // where it may not be written, all is read each time
	}
	return nil
}

// runtimeFolder is the folder of the library at path, and whether it is one of
// those under $FINETUNE_HOME/runtime, or under lib beside the program, by
// whatever name path has.
func runtimeFolder(path string) (folder string, inside bool) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", false
	}
	folder = filepath.Dir(abs)
	for _, top := range []string{home.Path("runtime"), home.Beside("lib")} {
		if filepath.Dir(folder) == top || sameFolder(filepath.Dir(folder), top) {
			return folder, true
		}
	}
	return folder, false
}

func sameFolder(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// compare is nil where the file has the digest.
func compare(file, want string) error {
	got, err := digest.File(file)
	var system *fs.PathError
	switch {
	case errors.As(err, &system):
		return fmt.Errorf("fetch: %w", err)
	case err != nil:
		return fmt.Errorf("fetch: %s: %w", file, err)
	case got != want:
		return failure.Data(fmt.Errorf("fetch: %s: damaged, or another file: its digest is %s, expected %s; run `finetune "+
			"fetch %s`, which fetches it again", file, got, want, itemOf(file)))
	}
	return nil
}

// itemOf is the name of the item whose folder holds the file.
func itemOf(file string) string {
	folder := filepath.Base(filepath.Dir(file))
	for _, it := range table() {
		if folder == it.pinsDir || folder == it.urlDir {
			return it.Name
		}
	}
	return "runtime"
}

// readSums reads the record that placeFolder left: file name -> digest.
func readSums(dir string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, sums))
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	record := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "  ")
		if !ok || filepath.Base(name) != name || len(sum) != 64 {
			return nil, fmt.Errorf("fetch: %s: damaged: line %q; run `finetune fetch %s`", filepath.Join(dir, sums), line,
				itemOf(filepath.Join(dir, sums)))
		}
		record[name] = sum
	}
	return record, nil
}
