package tarshard

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"finetune/internal/failure"
)

type vector struct {
	File    string
	Samples []struct {
		Key, Label string
		Photos     map[string]string // extension -> SHA-256
	}
}

func vectors(t testing.TB) (list struct{ Shards []vector }) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "reference", "vectors.json"))
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// found is what a shard holds, in webdataset's words.
func found(samples []Sample) map[string]string {
	m := map[string]string{}
	for _, s := range samples {
		_, extension, _ := Split(s.Photo.Name)
		sum := sha256.Sum256(s.Data)
		m[s.Key+"|"+extension] = hex.EncodeToString(sum[:]) + "|" + s.Label
	}
	return m
}

func stream(data []byte) (list []Sample, err error) {
	err = Stream(bytes.NewReader(data), func(s Sample) error { list = append(list, s); return nil })
	return list, err
}

// indexed are the samples of a shard read by offset.
func indexed(t testing.TB, data []byte) ([]Sample, error) {
	t.Helper()
	r := bytes.NewReader(data)
	members, err := Index(t.Context(), r, int64(len(data)))
	if err != nil {
		return nil, err
	}
	list, err := Samples(members, func(m Member) ([]byte, error) { return Read(r, m) })
	for i := range list {
		if list[i].Data, err = Read(r, list[i].Photo); err != nil {
			return nil, err
		}
	}
	return list, err
}

func TestSamplesAreWebdatasets(t *testing.T) {
	n := 0
	for _, v := range vectors(t).Shards {
		data, err := os.ReadFile(filepath.Join("testdata", "reference", v.File))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, s := range v.Samples {
			for extension, sum := range s.Photos {
				want[s.Key+"|"+extension] = sum + "|" + s.Label
			}
		}
		n += len(want)
		one, err := stream(data)
		if err != nil || !reflect.DeepEqual(found(one), want) {
			t.Errorf("%s in a stream: %v, want %v, %v", v.File, found(one), want, err)
		}
		two, err := indexed(t, data)
		if err != nil || !reflect.DeepEqual(one, two) {
			t.Errorf("%s by offset: %v, want %v, %v", v.File, two, one, err)
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(data); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		three, err := stream(packed.Bytes())
		if err != nil || !reflect.DeepEqual(one, three) {
			t.Errorf("%s compressed: %v, %v", v.File, three, err)
		}
		if _, err := Index(t.Context(), bytes.NewReader(packed.Bytes()), int64(packed.Len())); err == nil ||
			!strings.Contains(err.Error(), "gzip") || failure.KindOf(err) != failure.DataKind {
			t.Errorf("%s compressed, by offset: %v", v.File, err)
		}
	}
	if n != 26 {
		t.Errorf("%d photographs in the vectors", n)
	}
}

// shard makes a tar of names and texts.
func shard(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		err := w.WriteHeader(&tar.Header{Name: pairs[i], Size: int64(len(pairs[i+1])), Mode: 0o644})
		if err == nil {
			_, err = io.WriteString(w, pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLabels(t *testing.T) {
	for _, tt := range []struct{ extension, text, want, fault string }{
		{"cls", "3\n", "3", ""}, {"cls", "golden retriever", "golden retriever", ""}, {"cls", " ", "", "empty"},
		{"cls", "a\nb", "", "UTF-8"}, {"cls", "\xff", "", "UTF-8"},
		{"json", `{"label":"ants","class":"x"}`, "ants", ""}, {"json", `{"class": 12}`, "12", ""},
		{"json", `{"cls": " b "}`, "b", ""}, {"json", `{"label": null, "cls": 1}`, "1", ""}, {"json", `{"caption":"x"}`, "", ""},
		{"json", `[1]`, "", "object"}, {"json", `{"label": [1]}`, "", "neither"}, {"json", `{"label": true}`, "", "neither"},
		{"json", `{`, "", "object"}, {"txt", "a caption", "", ""},
	} {
		list, err := stream(shard(t, "k.jpg", "photo", "k."+tt.extension, tt.text))
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v: %v, %v", tt, list, err)
		}
		s := list[0]
		if s.Label != tt.want || (s.LabelErr != nil) != (tt.fault != "") {
			t.Errorf("%+v: %q, %v", tt, s.Label, s.LabelErr)
		}
		if tt.fault != "" && (!strings.Contains(s.LabelErr.Error(), tt.fault) || !strings.Contains(s.LabelErr.Error(), `"k"`) ||
			failure.KindOf(s.LabelErr) != failure.DataKind) {
			t.Errorf("%+v: %v", tt, s.LabelErr)
		}
	}
	list, err := stream(shard(t, "k.json", `{"label":"json"}`, "k.cls", "cls", "k.jpg", ""))
	if err != nil || len(list) != 1 || list[0].Label != "cls" {
		t.Errorf("both: %v, %v", list, err)
	}
}

// Wherever a shard ends early, the byte is named; whole samples before it were visited.
func TestTruncatedShards(t *testing.T) {
	whole := shard(t, "a.jpg", strings.Repeat("a", 700), "b.jpg", strings.Repeat("b", 700))
	for _, n := range []int{1, 100, 511, 513, 600, 1100, 1537, 2048, 2049, 2560, 2747} {
		for way, read := range map[string]func() ([]Sample, error){
			"stream": func() ([]Sample, error) { return stream(whole[:n]) },
			"index":  func() ([]Sample, error) { return indexed(t, whole[:n]) },
		} {
			list, err := read()
			if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), "byte ") {
				t.Errorf("%s of %d bytes: %d samples, %v", way, n, len(list), err)
			}
		}
	}
	if _, err := stream(nil); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := stream(bytes.Repeat([]byte("no tar"), 1000)); failure.KindOf(err) != failure.DataKind {
		t.Errorf("something else: %v", err)
	}
}

func TestRefusedShards(t *testing.T) {
	var sparse bytes.Buffer
	w := tar.NewWriter(&sparse)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "a.jpg", Mode: 0o644}), w.Close()); err != nil {
		t.Fatal(err)
	}
	old := sparse.Bytes()
	old[156] = 'S'                     // GNU's sparse file
	copy(old[257:], "ustar  \x00")     // in GNU's format
	copy(old[483:], "00000000000\x00") // its real size
	copy(old[148:], "        ")        // and checksum
	sum := 0
	for _, c := range old[:512] {
		sum += int(c)
	}
	copy(old[148:], fmt.Sprintf("%06o\x00 ", sum))
	for what, data := range map[string][]byte{
		"sparse": old, "twice": shard(t, "a.jpg", "1", "a.JPG", "2"),
		"for a label": shard(t, "a.cls", strings.Repeat("1", MaxLabel+1)),
	} {
		_, one := stream(data)
		_, two := indexed(t, data)
		for _, err := range []error{one, two} {
			if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func FuzzStream(f *testing.F) {
	for _, v := range vectors(f).Shards {
		data, err := os.ReadFile(filepath.Join("testdata", "reference", v.File))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(shard(f, "a.jpg", "x", "a.json", `{"label":1e9}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		one, err := stream(data)
		two, other := indexed(t, data)
		if err == nil && other == nil && !reflect.DeepEqual(one, two) && len(one)+len(two) > 0 {
			t.Errorf("a stream gives %v, offsets %v", one, two)
		}
		for _, e := range []error{err, other} {
			if e != nil && failure.KindOf(e) != failure.DataKind {
				t.Errorf("%v is not marked", e)
			}
		}
	})
}
