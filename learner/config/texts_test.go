package config

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// The file is one that the version before typed fields wrote, with the fields added
// that it writes for a foreign body, 16-bit photographs and layer groups. It is read,
// and what is written again has the same bytes.
func TestConfigOfBefore(t *testing.T) {
	data, err := os.ReadFile("testdata/config.json")
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	if got := c.Train.Hidden; len(got) != 2 || got[0] != 256 || got[1] != 128 {
		t.Errorf("hidden %v", got)
	}
	if want := (OneCycle{20, 10, true, .95, .85}); c.Train.CLR != want {
		t.Errorf("clr %+v, want %+v", c.Train.CLR, want)
	}
	if got := c.Body.Std; len(got) != 3 || got[1] != .224 || c.Body.Layout != "nhwc" || c.Images.DepthRange.Max != 4095 {
		t.Errorf("std %v, layout %s, depth %+v", got, c.Body.Layout, c.Images.DepthRange)
	}
	written, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if want := bytes.TrimSpace(data); !bytes.Equal(written, want) {
		t.Errorf("written again:\n%s\nwas\n%s", written, want)
	}
}

// What nobody gave is not written, or as the empty text that it was.
func TestNothingGiven(t *testing.T) {
	data, err := json.Marshal(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"clr", "mean", "std", "layout", "depth_range", "lrs", `"head"`} {
		if strings.Contains(string(data), field) {
			t.Errorf("%s is written: %s", field, data)
		}
	}
	if !strings.Contains(string(data), `"hidden":"","dropout":""`) {
		t.Errorf("no empty texts: %s", data)
	}
}

func TestTexts(t *testing.T) {
	for _, tt := range []struct {
		into        interface{ UnmarshalText([]byte) error }
		text, shown string // shown "": the error holds says
		says        string
	}{
		{new(Widths), "512, 256", "512,256", ""},
		{new(Widths), "none", "", ""},
		{new(Widths), "512.5", "", `"512.5" is not a whole number`},
		{new(Widths), strings.Repeat("1,", 17), "", "17 numbers; at most 16"},
		{new(Shares), ".25 0.50", "0.25,0.5", ""},
		{new(Shares), "1e-3", "0.001", ""},
		{new(Shares), "a", "", `"a" is not a number`},
		{new(Channels), "0.485, 0.456,0.406", "0.485,0.456,0.406", ""},
		{new(Channels), "123.675,116.28,103.53", "123.675,116.28,103.53", ""},
		{new(Channels), "1,2", "", "three numbers are needed"},
		{new(Channels), "", "", "three numbers are needed"},
		{new(OneCycle), "20,10", "20,10", ""},
		{new(OneCycle), "20,10,0.95,0.85", "20,10,0.95,0.85", ""},
		{new(OneCycle), "20,10,0,0", "20,10,0,0", ""},
		{new(OneCycle), "20,10,1", "", "3 numbers; two or four are needed"},
		{new(Layout), "NHWC", "nhwc", ""},
	} {
		err := tt.into.UnmarshalText([]byte(tt.text))
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%T %q: %v, want %q", tt.into, tt.text, err, tt.says)
			}
			continue
		}
		if got := tt.into.(interface{ String() string }).String(); err != nil || got != tt.shown {
			t.Errorf("%T %q: %q, %v; want %q", tt.into, tt.text, got, err, tt.shown)
		}
	}
}
