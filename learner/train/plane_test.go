package train_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"finetune/internal/home"
	"finetune/internal/learnertest"
	"finetune/learner/runs"
)

func TestMain(m *testing.M) { learnertest.Main(m) }

// TestPlaneIsKept: a second training on the same photographs takes the plane of the first, and has its
// bytes; one that is damaged is made again, and other features have one of their own.
func TestPlaneIsKept(t *testing.T) {
	first, m := learnertest.Trained(t)
	config, err := runs.ReadConfig(first)
	if err != nil {
		t.Fatal(err)
	}
	config.Machine = m
	planes := func() []string {
		list, err := filepath.Glob(home.Path("planes", "*.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	kept := planes()
	if len(kept) != 1 {
		t.Fatalf("%d planes are kept", len(kept))
	}
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	want, plane := read(filepath.Join(first, runs.CalibrationFile)), read(kept[0])
	again := func(name string, c runs.Config) []byte {
		run := filepath.Join(t.TempDir(), name)
		learnertest.TrainOn(t, run, c)
		return read(filepath.Join(run, runs.CalibrationFile))
	}
	before, err := os.Stat(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := again("again", config); !bytes.Equal(got, want) {
		t.Error("the second training has another calibration")
	}
	if after, err := os.Stat(kept[0]); err != nil || !os.SameFile(before, after) {
		t.Errorf("the plane was made again: %v", err)
	}
	if err := os.WriteFile(kept[0], plane[:len(plane)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	if got := again("damaged", config); !bytes.Equal(got, want) || !bytes.Equal(read(kept[0]), plane) {
		t.Error("a damaged plane was used, or not made again")
	}
	config.Images.Size = 48
	if got := again("other", config); bytes.Equal(got, want) || len(planes()) != 2 {
		t.Errorf("other features: the same calibration, or %d planes", len(planes()))
	}
}
