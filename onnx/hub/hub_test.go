package hub_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/onnx/hub"
)

// lay writes files of a folder as a hub has it.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestWhereAFolderKeepsItsNetwork: the image tower goes before the whole; of several files none is guessed.
func TestWhereAFolderKeepsItsNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  string // the file, or with a blank in front what the error says
	}{
		"as optimum writes it": {[]string{"model.onnx"}, "model.onnx"},
		"as the hub has it":    {[]string{"onnx/model.onnx", "onnx/model_quantized.onnx"}, "onnx/model.onnx"},
		"two towers": {[]string{"onnx/model.onnx", "onnx/text_model.onnx", "onnx/vision_model.onnx"},
			"onnx/vision_model.onnx"},
		"one file": {[]string{"net.onnx"}, "net.onnx"},
		"several":  {[]string{"a.onnx", "onnx/b.onnx"}, " name one"},
		"none":     {[]string{"model.safetensors"}, " without an .onnx file"},
	} {
		files := map[string]string{}
		for _, f := range c.files {
			files[f] = "x"
		}
		dir := lay(t, files)
		got, err := hub.Model(dir)
		rel, _ := filepath.Rel(dir, got)
		switch {
		case c.want[0] == ' ' && (err == nil || !strings.Contains(err.Error(), c.want[1:]) ||
			failure.KindOf(err) != failure.UsageKind):
			t.Errorf("%s: %q, %v", name, got, err)
		case c.want[0] != ' ' && (err != nil || filepath.ToSlash(rel) != c.want):
			t.Errorf("%s: %q, %v", name, rel, err)
		}
	}
}

// TestWhichFileIsRead: beside the network, or in the folder above onnx/; one that says nothing of photographs is
// passed over.
func TestWhichFileIsRead(t *testing.T) {
	vit := `{"image_processor_type": "ViTImageProcessor", "size": 224, "image_mean": [0.5, 0.5, 0.5],
		"image_std": [0.5, 0.5, 0.5]}`
	timm := `{"pretrained_cfg": {"input_size": [3, 160, 160], "mean": [0, 0, 0], "std": [1, 1, 1], "license": "mit"}}`
	for name, c := range map[string]struct {
		files map[string]string
		model string
		size  int
	}{
		"beside":         {map[string]string{"preprocessor_config.json": vit}, "net.onnx", 224},
		"above onnx":     {map[string]string{"preprocessor_config.json": vit}, "onnx/model.onnx", 224},
		"above another":  {map[string]string{"preprocessor_config.json": vit}, "nets/model.onnx", 0},
		"of the network": {map[string]string{"config.json": `{"model_type": "vit"}`}, "net.onnx", 0},
		"of timm":        {map[string]string{"config.json": timm}, "net.onnx", 160},
		"one level down": {map[string]string{"processor_config.json": `{"image_processor": ` + vit + `}`}, "net.onnx", 224},
		"of text":        {map[string]string{"processor_config.json": `{"tokenizer": {}}`}, "net.onnx", 0},
		"both":           {map[string]string{"preprocessor_config.json": vit, "config.json": timm}, "net.onnx", 224},
	} {
		p, err := hub.Read(filepath.Join(lay(t, c.files), filepath.FromSlash(c.model)))
		if err != nil || (p == nil) != (c.size == 0) || p != nil && p.Size != c.size {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestWhatCannotBePrepared is refused with the file's name and what it asks for.
func TestWhatCannotBePrepared(t *testing.T) {
	of := func(text string) string {
		return `{"image_processor_type": "ViTImageProcessor", "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], ` +
			text + `}`
	}
	for want, text := range map[string]string{
		"not the JSON":           `{"size": "large"`,
		"resample 0":             of(`"size": 224, "resample": 0`),
		"not square":             of(`"size": {"height": 224, "width": 448}`),
		"nothing is cropped":     of(`"size": {"shortest_edge": 224}`),
		"do_resize is false":     of(`"size": 224, "do_resize": false`),
		"the size is not given":  of(`"do_normalize": true`),
		"without crop_size":      of(`"size": {"shortest_edge": 224}, "do_center_crop": true`),
		"without image_mean":     `{"image_processor_type": "ViTImageProcessor", "size": 224, "do_normalize": true}`,
		`"Strange" is not known`: `{"image_processor_type": "StrangeImageProcessor", "size": 224}`,
		"with a border":          of(`"size": {"shortest_edge": 200}, "do_center_crop": true, "crop_size": 224`),
		"an input of size 99999": of(`"size": 99999`),
	} {
		_, err := hub.Read(filepath.Join(lay(t, map[string]string{"preprocessor_config.json": text}), "net.onnx"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "preprocessor_config.json") ||
			failure.KindOf(err) != failure.DataKind {
			t.Errorf("%s: %v", want, err)
		}
	}
	for want, text := range map[string]string{
		"crop_mode":   `{"pretrained_cfg": {"input_size": [3, 8, 8], "crop_mode": "border", "mean": [0,0,0], "std": [1,1,1]}}`,
		"input_size":  `{"pretrained_cfg": {"input_size": [1, 8, 8], "mean": [0,0,0], "std": [1,1,1]}}`,
		"are missing": `{"pretrained_cfg": {"input_size": [3, 8, 8]}}`,
	} {
		_, err := hub.Read(filepath.Join(lay(t, map[string]string{"config.json": text}), "net.onnx"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
