package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/plural"
)

// Download is one file to bring here over HTTP.
//
// SHA256 is the digest in hexadecimal, whole or its first eight digits or more
// (torchvision writes eight into its file names), or "" with Unverified. The file appears under Path
// only after its digest was found right; until then its bytes are in Path.part,
// where a later Run continues. Proxies are taken from the environment
// (HTTPS_PROXY, NO_PROXY).
type Download struct {
	URL    string
	Path   string
	SHA256 string
	// Unverified says that no digest is known, so that whatever the address gives is taken.
	Unverified bool
	Max        int64 // bytes; a longer answer is an error; 0 is 1 GiB

	Progress func(done, total int64) // may be nil; total is -1 where the server does not say
	Client   *http.Client            // nil is the usual one
	Tries    int                     // attempts in a row that bring nothing; 0 is 5
	Wait     time.Duration           // before the second attempt, doubled for each further one; 0 is 1 s
	Stall    time.Duration           // silence after which an attempt is given up; 0 is 60 s
}

// errRestart says that what is in Path.part cannot be continued.
var errRestart = errors.New("the server does not continue this download")

// permanentError is an answer that no further attempt will change.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Run downloads, resumes after a cut, verifies and returns the whole digest.
// Errors name the address, what was expected and what was found; nothing is
// left under Path after one.
func (d Download) Run(ctx context.Context) (sum string, err error) {
	d.fill()
	if len(d.SHA256) < 8 && !(d.Unverified && d.SHA256 == "") {
		return "", fmt.Errorf("fetch: %s: no digest to check it against", d.URL)
	}
	if err := os.MkdirAll(filepath.Dir(d.Path), 0o777); err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	part := d.Path + ".part"
	resumed := size(part) > 0
	for {
		if err := d.whole(ctx, part); err != nil {
			return "", fmt.Errorf("fetch: %s: %w", d.URL, err)
		}
		sum, err = digest.File(part)
		if err != nil {
			return "", fmt.Errorf("fetch: %w", err)
		}
		if strings.HasPrefix(sum, d.SHA256) {
			break
		}
		if err := os.Remove(part); err != nil {
			return "", fmt.Errorf("fetch: %w", err)
		}
		if !resumed { // the file may have changed between two halves: from the start, once
			return "", fmt.Errorf("fetch: %s: digest is %s, expected %s; nothing was kept: try again, and if the "+
				"digest stays the same, the server has another file", d.URL, sum, d.SHA256)
		}
		resumed = false
	}
	return sum, appear(part, d.Path)
}

func (d *Download) fill() {
	if d.Max == 0 {
		d.Max = 1 << 30
	}
	if d.Client == nil {
		d.Client = client
	}
	if d.Tries == 0 {
		d.Tries = 5
	}
	if d.Wait == 0 {
		d.Wait = time.Second
	}
	if d.Stall == 0 {
		d.Stall = time.Minute
	}
	if d.Progress == nil {
		d.Progress = func(int64, int64) {}
	}
}

// client goes through the environment's proxies and never from https to http:
// an eight-digit digest alone would not keep a forger out.
var client = &http.Client{
	Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   20 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
	},
	CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
			return permanentError{fmt.Errorf("redirected from https to %s", r.URL)}
		}
		if len(via) >= 10 {
			return permanentError{errors.New("redirected ten times")}
		}
		return nil
	},
}

// whole calls attempt until part is complete, giving up after d.Tries in a row
// that brought no byte.
func (d *Download) whole(ctx context.Context, part string) error {
	for idle := 0; ; {
		before := size(part)
		after, err := d.attempt(ctx, part)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var stop permanentError
		if errors.As(err, &stop) {
			return stop.error
		}
		if errors.Is(err, errRestart) {
			if err := os.Remove(part); err != nil {
				return err
			}
		}
		if size(part) > before {
			idle = 0
		}
		if idle++; idle >= d.Tries {
			return fmt.Errorf("given up after %s; the downloaded part is kept, and the next attempt "+
				"continues it: %w", plural.Count(idle, "attempt"), err)
		}
		pause := max(d.Wait<<(idle-1), after)
		pause += time.Duration(rand.Int64N(int64(pause)/4 + 1)) // many machines must not return at one moment
		select {
		case <-time.After(min(pause, time.Minute)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// attempt asks for what part lacks and appends it. It returns how long the
// server wants to be left alone, if it said so.
func (d *Download) attempt(ctx context.Context, part string) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL, nil)
	if err != nil {
		return 0, permanentError{err}
	}
	have := size(part)
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	req.Header.Set("Accept-Encoding", "identity") // ranges and sizes are those of the file itself
	res, err := d.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	start, total, err := d.position(res, have)
	if err != nil {
		after, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return time.Duration(after) * time.Second, err
	}
	if start == total {
		return 0, nil
	}
	if total > d.Max {
		return 0, permanentError{fmt.Errorf("%d MB, more than the %d MB this file may have", total>>20, d.Max>>20)}
	}
	if err := durable.Room(filepath.Dir(part), max(total-start, 0)); err != nil {
		return 0, permanentError{err}
	}
	return 0, d.copy(part, res.Body, start, total, cancel)
}

// position reads from an answer where its bytes belong and how long the file is.
func (d *Download) position(res *http.Response, have int64) (start, total int64, err error) {
	switch {
	case res.StatusCode == http.StatusOK: // also from a server that knows no ranges: from the start
		return 0, res.ContentLength, nil
	case res.StatusCode == http.StatusPartialContent:
		var from, to int64
		if n, _ := fmt.Sscanf(res.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total); n < 3 || from != have {
			return 0, 0, errRestart
		}
		return from, total, nil
	case res.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		if n, _ := fmt.Sscanf(res.Header.Get("Content-Range"), "bytes */%d", &total); n == 1 && total == have {
			return have, have, nil // killed between the last byte and the rename
		}
		return 0, 0, errRestart
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusRequestTimeout, res.StatusCode >= 500:
		return 0, 0, fmt.Errorf("the server answered %s", res.Status)
	}
	return 0, 0, permanentError{fmt.Errorf("the server answered %s", res.Status)}
}

// copy writes body to part from offset start. cancel ends the request when the
// server falls silent.
func (d *Download) copy(part string, body io.Reader, start, total int64, cancel func()) (err error) {
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return permanentError{err}
	}
	defer func() { err = errors.Join(err, f.Sync(), f.Close()) }()
	if err := f.Truncate(start); err != nil {
		return permanentError{err}
	}
	if _, err := f.Seek(start, io.SeekStart); err != nil {
		return permanentError{err}
	}
	silence := time.AfterFunc(d.Stall, cancel)
	defer silence.Stop()
	buf := make([]byte, 1<<17)
	for done := start; ; {
		n, err := body.Read(buf)
		silence.Reset(d.Stall)
		if done += int64(n); done > d.Max {
			return permanentError{fmt.Errorf("more than the %d MB this file may have", d.Max>>20)}
		}
		if _, err := f.Write(buf[:n]); err != nil {
			return permanentError{err}
		}
		d.Progress(done, total)
		if err == io.EOF {
			if total >= 0 && done != total {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// appear gives part its name for good: flushed, renamed, the folder flushed. A
// resumable download outlives its process, which durable.Write's files do not.
func appear(part, path string) error {
	if err := durable.Place(path, part); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	return nil
}

// size is the length of the file at path, 0 where there is none.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
