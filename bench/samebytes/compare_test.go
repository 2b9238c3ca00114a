//go:build unix

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// state is a safetensors file of four bytes, with a history as checkpoints have it.
func state(seconds, checksum string, weights ...byte) []byte {
	header := fmt.Sprintf(`{"__metadata__":{"finetune.crc32c":"%s","finetune.state":"{\"step\":7,\"history\":[{`+
		`\"loss\":1,\"seconds\":%s}]}"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, checksum, seconds)
	header += strings.Repeat(" ", 7-(len(header)+7)%8)
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), weights...)
}

// Seconds, and the digests that cover them, may differ. Nothing else may.
func TestCompare(t *testing.T) {
	base := map[string][]byte{
		"run/summary.json":      []byte(`{"classes":["a"],"valid":{"loss":0.5},"seconds":{"total":1}}`),
		"run/history.csv":       []byte("epoch,loss,seconds\n0,0.5,1\n"),
		"run/state.safetensors": state("0.25", "0011aabb", 1, 2, 3, 4),
		"run/SHA256SUMS":        []byte("11  summary.json\n22  head.safetensors\n"),
		"run/head.safetensors":  []byte("weights"),
		"scores/head.csv":       []byte("path,p\na,1\n"),
		"home/weights/w.pth":    []byte("theirs"),
	}
	const other = "1 files differ"
	for name, c := range map[string]struct {
		file string
		data []byte
		may  []exception
		want string // in the error; "" for none
	}{
		"nothing": {},
		"seconds": {file: "run/summary.json",
			data: []byte(`{"seconds":{"total":22},"classes":["a"],"valid":{"loss":0.5}}`)},
		"loss": {file: "run/summary.json",
			data: []byte(`{"classes":["a"],"valid":{"loss":0.25},"seconds":{}}`), want: other},
		"seconds of epoch": {file: "run/history.csv", data: []byte("epoch,loss,seconds\n0,0.5,222\n")},
		"loss of epoch":    {file: "run/history.csv", data: []byte("epoch,loss,seconds\n0,0.25,1\n"), want: other},
		"column":           {file: "run/history.csv", data: []byte("epoch,lr,loss,seconds\n0,1,0.5,1\n"), want: other},
		"seconds in state": {file: "run/state.safetensors", data: state("123456.75", "ffffffff", 1, 2, 3, 4)},
		"weights in state": {file: "run/state.safetensors", data: state("0.25", "0011aabb", 1, 2, 3, 5), want: other},
		"no state":         {file: "run/state.safetensors", data: []byte("xyz"), want: "no safetensors"},
		"digest, seconds":  {file: "run/SHA256SUMS", data: []byte("33  summary.json\n22  head.safetensors\n")},
		"digest, weights":  {file: "run/SHA256SUMS", data: []byte("11  summary.json\n33  head.safetensors\n"), want: other},
		"one file fewer":   {file: "run/SHA256SUMS", data: []byte("11  summary.json\n"), want: other},
		"scores":           {file: "scores/head.csv", data: []byte("path,p\na,0.9\n"), want: other},
		"a file more":      {file: "scores/tta.csv", data: []byte("new"), want: other},
		"downloads":        {file: "home/weights/w.pth", data: []byte("other")},
		"allowed": {file: "scores/head.csv", data: []byte("path,probability\n"),
			may: []exception{{"scores/*.csv", "a new header", nil}}},
		"allowed elsewhere": {file: "scores/head.csv", data: []byte("path,probability\n"),
			may: []exception{{"tables/*.csv", "a new header", nil}}, want: other},
		"digest of what may": {file: "run/SHA256SUMS", data: []byte("11  summary.json\n33  head.safetensors\n"),
			may: []exception{{"head.safetensors", "a new layer", nil}}},
	} {
		t.Run(name, func(t *testing.T) {
			old, now := t.TempDir(), t.TempDir()
			write := func(dir, file string, data []byte) {
				path := filepath.Join(dir, file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, data, 0o666)); err != nil {
					t.Fatal(err)
				}
			}
			for file, data := range base {
				write(old, file, data)
				write(now, file, data)
			}
			if c.file != "" {
				write(now, c.file, c.data)
			}
			for _, sides := range [][2]string{{old, now}, {now, old}} {
				var out bytes.Buffer
				err := compare(&out, sides[0], sides[1], exceptions(c.may))
				if c.want == "" && err != nil {
					t.Errorf("%v\n%s", err, &out)
				}
				if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("%v, want %s\n%s", err, c.want, &out)
				}
				if strings.Contains(c.want, "differ") && !strings.Contains(out.String(), "DIFFERENT") {
					t.Errorf("the file is not named:\n%s", &out)
				}
			}
		})
	}
}

// A change is an exception beside programs from before it alone.
func TestChangesInForce(t *testing.T) {
	old := t.TempDir()
	covers := func(name string) bool {
		list, err := inForce(old)
		if err != nil {
			t.Fatal(err)
		}
		return covering(list, name) >= 0
	}
	write := func(name, text string) {
		path := filepath.Join(old, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	write(aPage, "right by always guessing ants")
	for name, want := range map[string]bool{"home/audits/1.json": true, "recipe/head.safetensors": true,
		"recipe/report/index.html": true, "recipe/lr.csv": false, "recipe/steps/head/head.safetensors": false,
		"tuned/report/scores.png": true, "tuned/report/loss.png": false, "head/head.safetensors": false,
		"head/audit.json": true, "head/calibration.safetensors": true, "head/predictions.csv": true,
		"tuned/steps.csv": false, "scores/head.csv": true, "tuned/report/most-correct-0.png": false,
		"head/report/most-correct-0.png": true, "exported/int8.onnx": true, "tuned/summary.json": false} {
		if covers(name) != want {
			t.Errorf("%s: may differ is %v", name, !want)
		}
	}
	write("home/cache/a/key.json", `{"body":"77"}`)
	write("home/cache/b/key.json", `{"body":"88"}`)
	write("recipe/body.json", `{"digest":"77"}`)
	if !covers("home/cache/a/*.arrow") || covers("home/cache/b/*.arrow") {
		t.Error("the cache of the recipe's body, and that alone, may differ")
	}
	write(aPage, "accuracy of always predicting ants")
	write(newStage, "{}")
	write("home/audits/1.json", "{}")
	write("head/audit.json", "{}")
	write("head/maps.csv", "path\n")
	write("head/predictions.csv", "path,oddness\n")
	for _, name := range []string{"home/audits/1.json", "recipe/head.safetensors", "recipe/recipe.csv", "head/audit.json",
		"head/predictions.csv", "head/calibration.safetensors", "scores/head.csv", "exported/int8.onnx",
		"tuned/report/scores.png", "home/cache/a/*.arrow"} {
		if covers(name) {
			t.Errorf("%s: may differ from a program that made it the same way", name)
		}
	}
}

// A recipe's run holds the files of one stage, or the trial fails.
func TestCopiesStage(t *testing.T) {
	trial := trial{dir: t.TempDir()}
	write := func(name, text string) {
		path := filepath.Join(trial.dir, "recipe", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	if trial.copiesStage() == nil {
		t.Error("a recipe without stages passes")
	}
	for folder, text := range map[string]string{"": "b", "steps/a": "a", "steps/b": "b"} {
		for _, name := range []string{"predictions.csv", "steps.csv", "neighbours.csv", "head.safetensors"} {
			write(filepath.Join(folder, name), text)
		}
	}
	if err := trial.copiesStage(); err != nil {
		t.Error(err)
	}
	write("head.safetensors", "a")
	if trial.copiesStage() == nil {
		t.Error("weights of one stage beside predictions of another pass")
	}
}

func TestProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.safetensors")
	if err := os.WriteFile(path, state("1", "00", 1, 2, 3, 4), 0o666); err != nil {
		t.Fatal(err)
	}
	if steps, done, err := progress(path); steps != 7 || done || err != nil {
		t.Errorf("%d steps, done %v, %v; want 7 and not done", steps, done, err)
	}
}

// shard writes rows of cached features, each a name and a number.
func shard(t *testing.T, rows ...any) []byte {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "path", Type: arrow.BinaryTypes.String},
		{Name: "label", Type: arrow.BinaryTypes.String}, {Name: "digest", Type: arrow.BinaryTypes.String},
		{Name: "features", Type: arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Float32)}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := 0; i < len(rows); i += 2 {
		for c := range 3 {
			b.Field(c).(*array.StringBuilder).Append(rows[i].(string))
		}
		list := b.Field(3).(*array.FixedSizeListBuilder)
		list.Append(true)
		list.ValueBuilder().(*array.Float32Builder).AppendValues([]float32{1, float32(rows[i+1].(float64))}, nil)
	}
	var out bytes.Buffer
	w, err := ipc.NewFileWriter(&out, ipc.WithSchema(schema))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(b.NewRecordBatch()), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A cache is its rows, however they fall into shards.
func TestRowsOfShards(t *testing.T) {
	digest := func(shards ...[]byte) string {
		dir := t.TempDir()
		for i, data := range shards {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("shard-%d.arrow", i)), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		all, err := digests(dir, nil)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all["*.arrow"]
	}
	whole := digest(shard(t, "a", 1., "b", 2., "c", 3.))
	if got := digest(shard(t, "c", 3., "a", 1.), shard(t, "b", 2.)); got != whole {
		t.Error("the same rows in two shards are taken for others")
	}
	for name, other := range map[string]string{
		"another number":    digest(shard(t, "a", 1., "b", 2., "c", 3.5)),
		"another name":      digest(shard(t, "a", 1., "b", 2., "d", 3.)),
		"a row fewer":       digest(shard(t, "a", 1., "b", 2.)),
		"a row twice":       digest(shard(t, "a", 1., "b", 2., "c", 3., "c", 3.)),
		"numbers exchanged": digest(shard(t, "a", 2., "b", 1., "c", 3.)),
	} {
		if other == whole {
			t.Errorf("%s is not noticed", name)
		}
	}
}

// What is left out of a page is that alone.
func TestStrips(t *testing.T) {
	for _, c := range []struct {
		strip func([]byte) ([]byte, error)
		a, b  []byte
		same  bool
	}{
		{stripPage, []byte("<dd>19 s</dd>"), []byte("<dd>2.5 s, of them 1 s</dd>"), true},
		{stripPage, []byte(`<img src="data:image/png;base64,A&#43;C">`), []byte(`<img src="data:image/png;base64,D" width="4" height="3">`),
			true},
		{stripPage, []byte("<dd>right by always guessing ants"), []byte("<dd>accuracy of always predicting ants"), true},
		{stripPage, []byte("<dd>right by always guessing ants"), []byte("<dd>accuracy of always predicting bees"), false},
		{stripStages, []byte("step,right,n,loss,seconds\nthe head,8,16,.5,1\n"),
			[]byte("step,right,n,loss,seconds\na head,8,16,.5,2\na linear head on cached features,1,16,.1,1\n"), true},
		{stripStages, []byte("step,right,n,loss,seconds\nthe head,8,16,.5,1\n"),
			[]byte("step,right,n,loss,seconds\nthe head,8,16,.6,1\n"), false},
		{stripPage, []byte("<dd>81.25 %</dd>"), []byte("<dd>81.24 %</dd>"), false},
		{stripOddness, []byte("path,p_a\nx,.5\n"), []byte("path,p_a,oddness\nx,.5,1.5\n"), true},
		{stripOddness, []byte("path,p_a\nx,.5\n"), []byte("path,p_a,oddness\nx,.6,1.5\n"), false},
		{stripOddness, []byte("path,p_a\nx,.5\n"), []byte("path,p_a,p_b\nx,.5,.5\n"), false},
		{stripOddnessJSON, []byte("{\"p\":1}\n{\"p\":2}\n"),
			[]byte("{\"p\":1,\"oddness\":3}\n{\"p\":2,\"oddness\":3}\n"), true},
		{stripOddnessJSON, []byte("{\"p\":1}\n"), []byte("{\"p\":2,\"oddness\":3}\n"), false},
		{stripProbabilities, []byte("path,predicted,logp_a\nx,a,-.5\n"),
			[]byte("path,predicted,logp_a,oddness\nx,a,-.6,1\n"), true},
		{stripProbabilities, []byte("path,predicted,logp_a\nx,a,-.5\n"), []byte("path,predicted,logp_a\nx,b,-.5\n"), false},
		{stripStageLosses, []byte("step,right,n,loss,seconds\nthe head,8,16,.5,1\nthe head x,8,16,.5,1\nfine,9,16,.7,1\n"),
			[]byte("step,right,n,loss,seconds\nthe head,8,16,.5,1\nthe head x,8,16,.6,2\nfine-tuning,9,16,.7,2\n"), true},
		{stripStageLosses, []byte("step,right,n,loss,seconds\nthe head x,8,16,.5,1\nfine,9,16,.7,1\n"),
			[]byte("step,right,n,loss,seconds\nthe head x,8,16,.5,1\nfine,9,16,.8,1\n"), false},
		{stripLosses, []byte(`{"valid":{"loss":1,"accuracy":1},"tta":null}`),
			[]byte(`{"valid":{"loss":2,"accuracy":1},"tta":null,"calibration":{"temperature":2}}`), true},
		{stripLosses, []byte(`{"valid":{"loss":1,"accuracy":1}}`), []byte(`{"valid":{"loss":1,"accuracy":2}}`), false},
		{stripLosses, []byte(`{"ensemble":{"loss":1}}`), []byte(`{"ensemble":{"loss":2}}`), false},
		{stripErrors, []byte(`{"loss":1,"ece":1}`), []byte(`{"loss":1,"ece":2,"ece_by_chance":1,"odd":0}`), true},
		{stripErrors, []byte(`{"loss":1,"ece":1}`), []byte(`{"loss":2,"ece":1}`), false},
		{stripCalibratedPage, []byte("<style>a</style><section id=x>8"), []byte("<style>b</style><section id=x>8"), true},
		{stripCalibratedPage, []byte(`<h3 id="even">8</h3>`),
			[]byte(`<h3 id="odd">Odd</h3><p>x</p><div>oddness 1.28</div><h3 id="even">8<div>oddness 1.28</div></h3>`), true},
		{stripCalibratedPage, []byte(`<h3 id="even">8</h3>`), []byte(`<h3 id="odd">Odd</h3><h3 id="even">9</h3>`), false},
		{stripOddnessParquet, table(t, "p", 1), table(t, "p", 1, "oddness", 2), true},
		{stripOddnessParquet, table(t, "p", 1), table(t, "p", 2, "oddness", 2), false},
		{stripOddnessParquet, table(t, "p", 1), table(t, "q", 1), false},
		{stripOddnessTensor, tensors("p", 1), tensors("oddness", 9, "p", 1), true},
		{stripOddnessTensor, tensors("p", 1), tensors("oddness", 9, "p", 2), false},
		{stripOddnessTensor, tensors("p", 1), tensors("oddness", 9, "q", 1), false},
		{stripPage, []byte("<dd>19 square</dd>"), []byte("<dd>20 square</dd>"), false},
	} {
		a, errA := c.strip(c.a)
		b, errB := c.strip(c.b)
		if errA != nil || errB != nil || bytes.Equal(a, b) != c.same {
			t.Errorf("%.60q and %.60q: %.60q and %.60q (%v, %v), want equal: %v", c.a, c.b, a, b, errA, errB, c.same)
		}
	}
}
