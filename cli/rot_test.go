package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/internal/rng"
)

// TestBitRot flips a bit in each kind of file that finetune leaves and runs the
// command that reads it. The damage is named and the command fails; or the file
// is made anew and the result is the same. FINETUNE_FAULTS=all flips 200 bits a file.
func TestBitRot(t *testing.T) {
	b := newFaultBench(t)
	b.start(t)
	b.run(t, "train", "data", "--body", "tiny.onnx", "--cache", "cache", "--run", "kept", "--epochs", "1", "--hidden", "8",
		"--no-report", "--save", "best")
	b.run(t, "export", "run", "--cache", "cache", "-o", "model.onnx")
	check(t, os.RemoveAll(b.base))
	check(t, os.Rename(b.dir, b.base))

	score := func(model string) []string {
		return []string{"score", model, "unlabelled", "--cache", "cache", "-o", "scores.csv"}
	}
	train := func(more ...string) []string {
		return append([]string{"train", "data", "--body", "tiny.onnx", "--cache", "cache", "--run", "again", "--epochs", "1",
			"--hidden", "8", "--no-report"}, more...)
	}
	ofMaps := func(file string) bool { // in the cache of maps, which a report shows
		key, err := os.ReadFile(filepath.Join(filepath.Dir(file), "key.json"))
		return err == nil && strings.Contains(string(key), "map of")
	}
	for _, c := range []struct {
		file, output string
		args         []string
		repaired     bool
	}{
		{"cache/*/shard-*.arrow", "again/head.safetensors", train(), true},
		{"cache/*/key.json", "again/head.safetensors", train(), true},
		{"cache/*/shard-*.arrow", "again/maps.csv", train("--no-report=false"), true},
		{"tiny.onnx", "again/head.safetensors", train(), false},
		{"tiny.json", "again/head.safetensors", train(), false},
		{"run/config.json", "run/report/index.html", []string{"report", "run"}, false},
		{"run/summary.json", "run/report/index.html", []string{"report", "run"}, false},
		{"run/history.csv", "run/report/index.html", []string{"report", "run"}, false},
		{"run/steps.csv", "run/report/index.html", []string{"report", "run"}, false},
		{"run/predictions.csv", "run/report/index.html", []string{"report", "run"}, false},
		{"run/skipped.csv", "run/report/index.html", []string{"report", "run"}, false},
		{"run/neighbours.csv", "run/report/index.html", []string{"report", "run"}, false},
		{"run/maps.csv", "run/report/index.html", []string{"report", "run"}, false},
		{"run/SHA256SUMS", "run/report/index.html", []string{"report", "run"}, false},
		{"run/head.safetensors", "scores.csv", score("run"), false},
		{"run/state.safetensors", "run/head.safetensors", []string{"train", "--run", "run", "--resume", "--no-report"},
			false},
		{"kept/saved/best.safetensors", "again/head.safetensors", train("--load", "kept/saved/best.safetensors"), false},
		{"model.onnx", "scores.csv", score("model.onnx"), false},
	} {
		t.Run(c.file+" "+c.output, func(t *testing.T) {
			b.start(t)
			paths, err := filepath.Glob(c.file)
			check(t, err)
			paths = slices.DeleteFunc(paths, func(p string) bool { return ofMaps(p) != (c.output == "again/maps.csv") })
			if len(paths) != 1 {
				t.Fatalf("%s: %d files", c.file, len(paths))
			}
			whole, err := os.ReadFile(paths[0])
			check(t, err)
			if !strings.HasPrefix(c.output, "run/report") {
				b.run(t, c.args...)
			}
			want, err := os.ReadFile(c.output)
			check(t, err)
			for _, bit := range chooseBits(c.file, len(whole)) {
				b.start(t)
				check(t, os.Remove(paths[0])) // some are links
				damaged := append([]byte(nil), whole...)
				damaged[bit/8] ^= 1 << (bit % 8)
				check(t, os.WriteFile(paths[0], damaged, 0o666))
				code, out := b.loud(c.args...)
				got, _ := os.ReadFile(c.output)
				switch {
				case strings.Contains(out, "panic"):
					t.Errorf("bit %d: %s", bit, out)
				// JSON reads "Dtype" as "dtype"
				case code == 0 && string(got) == string(want) && strings.EqualFold(string(damaged), string(whole)):
				// the line of a file that report does not read
				case c.file == "run/SHA256SUMS" && code == 0 && string(got) == string(want):
				case !strings.Contains(out, filepath.Base(paths[0])):
					t.Errorf("bit %d of byte %d of %d: exit code %d, and the file is not named:\n%s", bit%8, bit/8, len(whole), code,
						out)
				case c.repaired && (code != 0 || string(got) != string(want)):
					t.Errorf("bit %d: not repaired: exit code %d\n%s", bit, code, out)
				case !c.repaired && code == 0:
					t.Errorf("bit %d of byte %d of %d: not refused:\n%s", bit%8, bit/8, len(whole), out)
				}
			}
		})
	}
}

// chooseBits draws bits of a file of n bytes, the first and the last among them.
func chooseBits(name string, n int) []int {
	count := 3
	if os.Getenv("FINETUNE_FAULTS") == "all" {
		count = 200
	}
	bits := []int{0, 8*n - 1}
	draws := rng.New(rng.Text("rot"), rng.Text(name))
	for range count {
		bits = append(bits, draws.Intn(8*n))
	}
	return bits
}
