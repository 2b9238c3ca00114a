package serve

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"finetune/internal/plural"
)

// client names who asks, for fairness: the address, or of IPv6 the network of
// one subscriber (/64). Behind a proxy that is trusted it is the address that
// the proxy saw, the last in X-Forwarded-For.
func (s *Server) client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if forwarded := r.Header.Values("X-Forwarded-For"); s.o.TrustProxy && len(forwarded) > 0 {
		last := forwarded[len(forwarded)-1]
		host = strings.TrimSpace(last[strings.LastIndex(last, ",")+1:])
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "" // all that cannot be told apart share one turn
	}
	addr = addr.Unmap()
	if addr.Is6() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

// newUpload is the body of a request, bounded in size, rate and memory.
func (s *Server) newUpload(w http.ResponseWriter, r *http.Request, client string) *upload {
	now := time.Now()
	return &upload{
		body: http.MaxBytesReader(w, r.Body, s.o.MaxBody), budget: s.uploads, client: client, most: s.o.MaxBody,
		deadline: http.NewResponseController(w).SetReadDeadline, start: now, end: now.Add(s.o.Timeout), rate: s.o.MinRate,
	}
}

// read takes the photographs out of a request; single says that it is the body itself.
func (s *Server) read(r *http.Request, u *upload) (photos []photo, single bool, err error) {
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case kind == "multipart/form-data":
		photos, err = s.multipart(multipart.NewReader(u, params["boundary"]), u)
	case kind == "application/json":
		keep := func(r io.Reader) ([]byte, error) { return u.all(r, -1) }
		j := &images{r: bufio.NewReaderSize(u, 32<<10), most: s.o.MaxImages, bytes: keep}
		photos, err = j.read()
	default:
		single = true
		photos = []photo{{}}
		photos[0].data, err = u.all(u, r.ContentLength)
	}
	if err != nil {
		return nil, false, unread(err)
	}
	if len(photos) == 0 {
		return nil, false, refuse(http.StatusBadRequest, "no photographs in the request")
	}
	return photos, single, nil
}

// unread gives an error of reading a request its status code.
func unread(err error) error {
	var r *refusal
	var large *http.MaxBytesError
	var slow net.Error
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, "more than %s", plural.Count(large.Limit, "byte"))
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return refuse(http.StatusRequestTimeout, "the upload took too long")
	}
	return refuse(http.StatusBadRequest, "the request cannot be read: %v", err)
}

// fields is how many parts of a form may be no files.
const fields = 100

func (s *Server) multipart(r *multipart.Reader, u *upload) ([]photo, error) {
	var photos []photo
	for others := 0; ; {
		part, err := r.NextPart()
		if err == io.EOF {
			return photos, nil
		}
		if err != nil {
			return nil, err
		}
		if part.FileName() == "" {
			if others++; others > fields {
				return nil, refuse(http.StatusRequestEntityTooLarge, "more than %d fields in one form that are no files", fields)
			}
			continue
		}
		if len(photos) == s.o.MaxImages {
			return nil, refuse(http.StatusRequestEntityTooLarge, "more than %s in one request",
				plural.Count(s.o.MaxImages, "photograph"))
		}
		data, err := u.all(part, -1)
		if err != nil {
			return nil, err
		}
		photos = append(photos, photo{part.FileName(), data})
	}
}
