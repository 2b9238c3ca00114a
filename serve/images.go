package serve

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"finetune/internal/plural"
)

// images reads {"images": ["BASE64", …]} as it arrives: strings become bytes
// without being kept as text, and nothing is read past the first photograph too
// many. encoding/json would hold the whole list, and each text three times.
type images struct {
	r     *bufio.Reader
	most  int
	bytes func(io.Reader) ([]byte, error) // keeps one photograph
	list  []photo
}

var errJSON = errors.New(`the body is not JSON of the form {"images": ["BASE64", …]}`)

func (j *images) bad(what string) error { return fmt.Errorf("%w: %s", errJSON, what) }

// read returns the photographs of the one object.
func (j *images) read() ([]photo, error) {
	if err := j.expect('{'); err != nil {
		return nil, err
	}
	c, err := j.next()
	if err != nil {
		return nil, err
	}
	if c == '"' {
		if err := j.field(); err != nil {
			return nil, err
		}
		c, err = j.next()
	}
	switch {
	case err != nil:
		return nil, err
	case c == ',':
		return nil, j.bad("one field, images, is known")
	case c != '}':
		return nil, j.bad("the object does not end")
	}
	if c, err := j.next(); err == nil {
		return nil, j.bad(fmt.Sprintf("%q after the object", c))
	} else if !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return j.list, nil
}

// field reads the one field, its opening quote gone.
func (j *images) field() error {
	name := make([]byte, 16)
	text := &stringReader{j: j}
	n, err := io.ReadFull(text, name)
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || text.err != io.EOF {
		return cause(text.err, j.bad("one field, images, is known"))
	}
	if !strings.EqualFold(string(name[:n]), "images") {
		return j.bad(fmt.Sprintf("the field is called %q", name[:n]))
	}
	if err := j.expect(':'); err != nil {
		return err
	}
	switch c, err := j.next(); {
	case err != nil:
		return err
	case c == 'n':
		return j.null()
	case c != '[':
		return j.bad("images is not a list")
	}
	return j.elements()
}

// elements reads the list behind its bracket.
func (j *images) elements() error {
	c, err := j.next()
	if err != nil || c == ']' {
		return err
	}
	for {
		if len(j.list) == j.most {
			return refuse(http.StatusRequestEntityTooLarge, "more than %s in one request", plural.Count(j.most, "photograph"))
		}
		if err := j.element(c); err != nil {
			return err
		}
		if c, err = j.next(); err != nil || c == ']' {
			return err
		}
		if c != ',' {
			return j.bad(fmt.Sprintf("%q in the list", c))
		}
		if c, err = j.next(); err != nil {
			return err
		}
	}
}

// element reads a photograph that begins with c.
func (j *images) element(c byte) error {
	switch c {
	case 'n':
		j.list = append(j.list, photo{})
		return j.null()
	case '"':
	default:
		return j.bad(fmt.Sprintf("images[%d] is not a string", len(j.list)))
	}
	text := &stringReader{j: j}
	data, err := j.bytes(base64.NewDecoder(base64.StdEncoding, &padded{r: dataURL(text)}))
	var r *refusal
	switch {
	case errors.As(err, &r):
		return err
	case text.err != nil && text.err != io.EOF:
		return text.err
	case err != nil:
		return refuse(http.StatusBadRequest, "images[%d] is not base64: %v", len(j.list), err)
	}
	j.list = append(j.list, photo{data: data})
	return nil
}

// padded refuses letters behind the padding, which base64.NewDecoder takes for
// the beginning of another text.
type padded struct {
	r    io.Reader
	seen bool
}

// Read implements io.Reader.
func (p *padded) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	for i, c := range b[:n] {
		if p.seen && c != '=' && c != '\r' && c != '\n' {
			return i, errors.New("text behind its end")
		}
		p.seen = p.seen || c == '='
	}
	return n, err
}

func (j *images) null() error {
	rest := make([]byte, 3)
	if _, err := io.ReadFull(j.r, rest); err != nil {
		return ended(err)
	}
	if string(rest) != "ull" {
		return j.bad("a word that is not null")
	}
	return nil
}

// next is the first byte that is no blank.
func (j *images) next() (byte, error) {
	for {
		c, err := j.r.ReadByte()
		if err != nil {
			return 0, ended(err)
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, nil
		}
	}
}

func (j *images) expect(want byte) error {
	c, err := j.next()
	if err == nil && c != want {
		err = j.bad(fmt.Sprintf("%q where %q is expected", c, want))
	}
	return err
}

// ended makes the end of the body an error.
func ended(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: it ends too early (%w)", errJSON, io.ErrUnexpectedEOF)
	}
	return err
}

// cause is the error of reading, or otherwise err.
func cause(reading, err error) error {
	if reading != nil && reading != io.EOF {
		return reading
	}
	return err
}

// stringReader reads the text of a JSON string to its closing quote.
type stringReader struct {
	j    *images
	err  error
	rest []byte // of an escape, not yet given
}

// Read implements io.Reader.
func (s *stringReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(s.rest) > 0 {
			k := copy(p[n:], s.rest)
			s.rest, n = s.rest[k:], n+k
			continue
		}
		if s.err != nil || n > 0 && s.j.r.Buffered() == 0 {
			break
		}
		n += s.plain(p[n:])
	}
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, s.err
}

// plain copies one byte, or takes an escape apart.
func (s *stringReader) plain(p []byte) int {
	c, err := s.j.r.ReadByte()
	switch {
	case err != nil:
		s.err = ended(err)
	case c == '"':
		s.err = io.EOF
	case c < ' ':
		s.err = s.j.bad("a control character in a string")
	case c == '\\':
		s.escape()
	default:
		p[0] = c
		return 1
	}
	return 0
}

var escapes = map[byte]string{'"': `"`, '\\': `\`, '/': "/", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t"}

func (s *stringReader) escape() {
	c, err := s.j.r.ReadByte()
	if err != nil {
		s.err = ended(err)
		return
	}
	if text, ok := escapes[c]; ok {
		s.rest = []byte(text)
		return
	}
	hex := make([]byte, 4)
	if c != 'u' {
		s.err = s.j.bad("an unknown escape in a string")
		return
	}
	if _, err := io.ReadFull(s.j.r, hex); err != nil {
		s.err = ended(err)
		return
	}
	v, err := strconv.ParseUint(string(hex), 16, 16)
	if err != nil {
		s.err = s.j.bad("an unknown escape in a string")
		return
	}
	s.rest = utf8.AppendRune(nil, rune(v)) // halves of pairs become U+FFFD, no letter of base64 either
}

// dataURL passes over "data:TYPE;base64," before the letters.
func dataURL(r io.Reader) io.Reader {
	const most = 1 << 10
	head := make([]byte, 0, most)
	for len(head) < most {
		n, err := r.Read(head[len(head):min(len(head)+5, most)])
		head = head[:len(head)+n]
		if len(head) >= 5 && !strings.HasPrefix(string(head), "data:") {
			break
		}
		if _, letters, ok := strings.Cut(string(head), ";base64,"); ok {
			return io.MultiReader(strings.NewReader(letters), r)
		}
		if err != nil {
			break
		}
	}
	return io.MultiReader(strings.NewReader(string(head)), r)
}
