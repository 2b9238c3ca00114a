package serve

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// parse is what a request of JSON gives, however its bytes arrive.
func parse(r io.Reader, most int) ([]photo, error) {
	j := &images{r: bufio.NewReaderSize(r, 16), most: most, bytes: io.ReadAll}
	return j.read()
}

// reference is encoding/json's answer, with what is stricter here.
func reference(data []byte, most int) ([][]byte, error) {
	var in struct {
		Images []string `json:"images"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the object")
	}
	if string(bytes.TrimSpace(data)) == "null" {
		return nil, errors.New("no object")
	}
	if len(in.Images) > most {
		return nil, errors.New("too many")
	}
	list := make([][]byte, len(in.Images))
	for i, text := range in.Images {
		if _, letters, ok := strings.Cut(text, ";base64,"); ok && strings.HasPrefix(text, "data:") {
			text = letters
		}
		var err error
		if list[i], err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, err
		}
	}
	return list, nil
}

var requests = []string{
	`{"images":["YQ==","YWI=","YWJj"]}`, ` { "images" : [ "YQ==" , null ] } `, `{"IMAGES":["YQ=="]}`, `{"images":null}`,
	`{}`, `{"images":[]}`,
	`{"images":["data:image/png;base64,YWJj"]}`, `{"images":["data:YWJj"]}`, `{"images":["data:;base64,"]}`,
	`{"images":["dataYQ=="]}`,
	`{"images":["YQ\u003d=","\/\/8="]}`, `{"images":["YW\nJj\r\n"]}`, "{\"images\":[\"YW\nJj\"]}",
	`{"images":["YQ==YQ=="]}`, `{"images":["YWJjYQ==\nYWJj"]}`,
	`{"images":["YQ"]}`, `{"images":["YQ="]}`, `{"images":["Y==="]}`, `{"images":["===="]}`, `{"images":["%"]}`,
	`{"images":["é"]}`, `{"images":["\ud800"]}`, `{"images":["\x"]}`, `{"images":["\u00"]}`,
	`{"images":[1]}`, `{"images":"YQ=="}`, `{"images":{}}`, `{"images":[["YQ=="]]}`, `{"images":["YQ=="],"x":1}`,
	`{"x":1}`, `{"images":["YQ=="],}`, `{"images":["YQ==",]}`, `{"images":[,]}`,
	`{"images":["YQ=="]}{}`, `{"images":["YQ=="]} x`, `[]`, `null`, `"images"`, ``, `{`, `{"images"`, `{"images":[`,
	`{"images":["YQ`, `{"images":["YQ=="`, `{"images":["YQ=="]`, `{"images":[nul]}`, `{"images":nULL}`,
	`{"images" ["YQ=="]}`,
	`{"images":["YQ==" "YQ=="]}`, `{"imagesimagesimagesimages":[]}`,
	`{"images":["data:image/png;charset=\"é\";base64,YQ=="]}`,
}

// agree compares a request with encoding/json, read at once and byte by byte.
func agree(t *testing.T, text []byte) {
	t.Helper()
	want, wrong := reference(text, 3)
	for how, r := range map[string]io.Reader{"at once": bytes.NewReader(text),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(text))} {
		got, err := parse(r, 3)
		if strict := wrong == nil && bytes.Count(bytes.ToLower(text), []byte("images")) > 1; strict && err != nil {
			continue // the field twice: its last value there, an error here
		}
		if wrong == nil && bytes.Contains(text, []byte("data:")) && len(text) > 1<<10 && err != nil {
			continue // a type of more than 1 kB
		}
		if (err == nil) != (wrong == nil) || len(got) != len(want) && err == nil {
			t.Errorf("%q, %s: %d photographs, %v; encoding/json: %d, %v", text, how, len(got), err, len(want), wrong)
			return
		}
		for i := range want {
			if err == nil && !bytes.Equal(got[i].data, want[i]) {
				t.Errorf("%q, %s: photograph %d is %q, want %q", text, how, i, got[i].data, want[i])
			}
		}
	}
}

func TestImagesAgreeWithEncodingJSON(t *testing.T) {
	for _, text := range requests {
		agree(t, []byte(text))
	}
	if _, err := parse(strings.NewReader(`{"images":["YQ=="],"images":["YQ=="]}`), 3); err == nil {
		t.Error("the field twice was taken")
	}
}

func FuzzImages(f *testing.F) {
	for _, text := range requests {
		f.Add([]byte(text))
	}
	f.Fuzz(agree)
}

// endless is a list of empty photographs that never ends.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	k := copy(p, `"",`)
	e.n += k
	return k, nil
}

func TestImagesStopAtTheLimit(t *testing.T) {
	list := &endless{}
	_, err := parse(io.MultiReader(strings.NewReader(`{"images":[`), list), 64)
	var r *refusal
	if !errors.As(err, &r) || r.code != 413 || list.n > 1000 {
		t.Errorf("%v after %d bytes, want 413 at the 65th photograph", err, list.n)
	}
}

func TestImagesPassErrorsOn(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, head := range []string{``, `{`, `{"ima`, `{"images":`, `{"images":["`, `{"images":["YW`, `{"images":["YQ=="`,
		`{"images":["YQ=="]`, `{"images":["YQ=="]}`, `{"images":[n`, `{"images":["\u0`} {
		_, err := parse(io.MultiReader(strings.NewReader(head), iotest.ErrReader(fmt.Errorf("read: %w", broken))), 3)
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v, want the error of reading", head, err)
		}
	}
}
