//go:build unix

package cli

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"finetune/internal/hostile"
	"finetune/internal/onnxtest"
	"finetune/internal/photos"
)

// TestHostilePhotographs scores and precomputes some hundred hostile files: one
// row each, no panic, bounded memory. bench/hostile does it with thousands.
func TestHostilePhotographs(t *testing.T) {
	dir := t.TempDir()
	onnxtest.Home(t, "cpu", filepath.Join(dir, "home"))
	check(t, photos.Write(filepath.Join(dir, "photos"), []string{"ants", "bees"}, 10))
	check(t, os.MkdirAll(filepath.Join(dir, "trial"), 0o777))
	writeTinyBody(t, filepath.Join(dir, "tiny.onnx"))
	seeds, err := hostile.Seeds(hostile.Folders()...)
	check(t, err)
	var sound bytes.Buffer
	check(t, png.Encode(&sound, photos.Draw(0, 0, 40, 40)))
	r, err := hostile.Trial{
		Program: "finetune", Dir: filepath.Join(dir, "trial"), Train: filepath.Join(dir, "photos"),
		Body: filepath.Join(dir, "tiny.onnx"),
	}.Run(hostile.Images(seeds, 300, 7), sound.Bytes())
	check(t, err)
	for _, c := range r.Complaints {
		t.Error(c)
	}
	// two photographs at a time, each of at most 50 million pixels in 8 bytes (a
	// PNG of 16 bits), and as much again before the collector has run
	const most = 2*2*400 + 300 // MB
	if r.ScoreMB > most || r.PrecomputeMB > most {
		t.Errorf("score took %d MB and precompute %d, more than %d", r.ScoreMB, r.PrecomputeMB, most)
	}
	t.Logf("%d files, %d MB: %v; score %.1f s and %d MB, precompute %.1f s and %d MB",
		r.Files, r.Bytes>>20, r.Status, r.Score.Seconds(), r.ScoreMB, r.Cache.Seconds(), r.PrecomputeMB)
}
