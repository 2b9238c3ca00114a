package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/home"
	"finetune/internal/reading"
	"finetune/internal/store"
)

const (
	mostFiles = 10_000   // of a model or a run
	mostBytes = 64 << 30 // likewise
)

// Fetch brings a file or a folder of a bucket here, and returns where it is; a path is
// returned as it is. What was brought before and has not changed in the bucket, by sizes and
// times, is not brought again. It is not removed: it lies in fetched of FINETUNE_HOME.
//
// Errors: an address that is none, or where nothing is, is failure.Usage.
func Fetch(place string) (string, error) {
	if !store.IsURL(place) {
		return place, nil
	}
	if err := home.Check(); err != nil {
		return "", err
	}
	files, name, err := openAt(place)
	if err != nil {
		return "", err
	}
	defer files.Close()
	ctx := context.Background()
	var list []store.Entry
	single := false
	err = reading.Steadily(place, func() error {
		e, err := store.Entry{}, fs.ErrNotExist
		if name != "" {
			e, err = files.Stat(ctx, name)
		}
		if single = err == nil; single {
			list = []store.Entry{e}
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		list, err = folderOf(ctx, files, place, name)
		return err
	})
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", failure.Usage(fmt.Errorf("remote: %s: nothing is there; check the address", place))
	}
	base := path.Base(name)
	if name == "" {
		base = "bucket"
	}
	h := sha256.New()
	for _, e := range list {
		fmt.Fprintf(h, "%q %d %d\n", e.Name, e.Size, e.Modified.UnixNano())
	}
	dir := home.Path("fetched", digest.Of(place, hex.EncodeToString(h.Sum(nil)))[:16])
	local := filepath.Join(dir, base)
	if _, err := os.Stat(local); err == nil {
		return local, nil
	}
	return local, bring(ctx, files, list, name, single, dir)
}

// openAt opens the bucket of an address, and says what the address names in it.
func openAt(place string) (store.Store, string, error) {
	at, prefix, err := store.Divide(place)
	if err != nil {
		return nil, "", err
	}
	s, err := store.Open(context.Background(), at)
	return s, strings.TrimSuffix(prefix, "/"), err
}

// folderOf lists a folder that is to be brought.
func folderOf(ctx context.Context, files store.Store, place, name string) (list []store.Entry, err error) {
	if name != "" {
		name += "/"
	}
	var bytes int64
	err = files.List(ctx, name, func(e store.Entry) error {
		if bytes += e.Size; len(list) == mostFiles || bytes > mostBytes {
			return failure.Usage(fmt.Errorf("remote: %s: more than %d files or %d GB; is this a model or a run?", place,
				mostFiles, mostBytes>>30))
		}
		list = append(list, e)
		return nil
	})
	return list, err
}

// bring writes files into a folder of another name, which then gets the name of dir: another
// process may do the same.
func bring(ctx context.Context, files store.Store, list []store.Entry, name string, single bool, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return fmt.Errorf("remote: %w", err)
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), ".part-")
	if err != nil {
		return fmt.Errorf("remote: %w", err)
	}
	defer os.RemoveAll(part) // what was renamed is gone from there
	for _, e := range list {
		rel := strings.TrimPrefix(e.Name, name+"/")
		if single {
			rel = ""
		}
		to, err := filepath.Localize(path.Join(path.Base("/"+name), rel))
		if err != nil {
			return fmt.Errorf("remote: %s: no name of a file on this system: %w", e.Name, err)
		}
		if name == "" {
			to = filepath.Join("bucket", to)
		}
		err = reading.Steadily(e.Name, func() error {
			r, err := files.Open(ctx, e.Name, 0, -1)
			if err != nil {
				return err
			}
			defer r.Close()
			to := filepath.Join(part, to)
			if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
				return err
			}
			return durable.Write(to, func(w io.Writer) error { _, err := io.Copy(w, r); return err })
		})
		if err != nil {
			return fmt.Errorf("remote: %w", err)
		}
	}
	err = os.Rename(part, dir)
	if _, there := os.Stat(dir); err != nil && there == nil { // another process was faster
		err = nil
	}
	return err
}

// Outgoing is where a file is made that then goes to place (Send): a path stays what it is,
// for an address in a bucket it is a path of FINETUNE_HOME, the same for the same address, so
// that a command that was killed finds there what it had.
func Outgoing(place string) (string, error) {
	if !store.IsURL(place) {
		return place, nil
	}
	if err := home.Check(); err != nil {
		return "", err
	}
	_, prefix, err := store.Divide(place)
	if err != nil {
		return "", err
	}
	if prefix == "" || strings.HasSuffix(strings.SplitN(place, "?", 2)[0], "/") {
		return "", failure.Usage(fmt.Errorf("remote: %s: a folder; name a file in it", place))
	}
	local := home.Path("outgoing", digest.Of(place)[:16], path.Base(prefix))
	if err := os.MkdirAll(filepath.Dir(local), 0o777); err != nil {
		return "", fmt.Errorf("remote: %w", err)
	}
	return local, nil
}

// Send uploads the file that was made at local (Outgoing) to place, where it appears whole or
// not at all, and removes it here. A path is left alone.
func Send(ctx context.Context, local, place string) error {
	if !store.IsURL(place) {
		return nil
	}
	err := Put(ctx, place, func(w io.Writer) error {
		f, err := os.Open(local)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
	if err != nil {
		return fmt.Errorf("remote: %w; the file is kept as %s: run the command again, or copy it", err, local)
	}
	return errors.Join(os.Remove(local), removeEmpty(filepath.Dir(local)))
}

func removeEmpty(dir string) error {
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return err
	}
	return os.Remove(dir)
}

// Put writes what fill writes to an address in a bucket.
func Put(ctx context.Context, place string, fill store.Fill) error {
	s, name, err := openAt(place)
	if err != nil {
		return err
	}
	return errors.Join(s.Put(ctx, name, fill), s.Close())
}

// Sibling is the address, or the path, of a file beside place, whose name change makes of
// that of place.
func Sibling(place string, change func(string) string) string {
	if !store.IsURL(place) {
		return change(place)
	}
	at, query, asked := strings.Cut(place, "?")
	if at = change(at); asked {
		at += "?" + query
	}
	return at
}
