// Package hub reads what model hubs keep beside a network: how photographs become its input, and where in a folder its
// file lies.
//
//	preprocessor_config.json   Hugging Face transformers
//	config.json                timm, under "pretrained_cfg"
//	open_clip_config.json      open_clip, under "preprocess_cfg"
package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/reading"
)

// Preprocessing is how photographs become the input of a network.
type Preprocessing struct {
	File      string     // that said so
	Size      int        // height and width of the input, in pixels
	Resize    int        // what the smaller side becomes before the centre is cropped; Size where nothing is cropped
	Squash    bool       // scaled to a square whatever the proportions
	Resample  string     // bilinear, bicubic or lanczos, as Pillow does it
	Mean, Std [3]float32 // of red, green and blue from 0 to 1
	Floor     bool       // the offset of the crop is rounded down, else as torchvision does
	BGR       bool       // the network takes blue, green, red
	Licence   string
}

// maxConfig is the largest file read, in bytes.
const maxConfig = 4 << 20

// reader reads one of the files; nil without an error where the file says nothing of photographs.
type reader func(data []byte) (*Preprocessing, error)

// files are what is looked for, the first that speaks of photographs is taken.
var files = []struct {
	name string
	read reader
}{
	{"preprocessor_config.json", transformers}, {"processor_config.json", processor}, {"config.json", timm},
	{"open_clip_config.json", openCLIP},
}

// Read finds what is known of the preprocessing of a network's file: in its folder, or in the folder above, as in
// onnx/model.onnx. Nil without an error where there is nothing. Errors, of kind failure.Data, name the file and
// what it asks for that cannot be done.
func Read(model string) (*Preprocessing, error) {
	dir := filepath.Dir(model)
	above := filepath.Join(dir, "..")
	dirs := []string{dir}
	if filepath.Base(dir) == "onnx" {
		dirs = append(dirs, above)
	}
	for _, dir := range dirs {
		for _, f := range files {
			path := filepath.Join(dir, f.name)
			data, err := read(path)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			p, err := f.read(data)
			if err == nil && p != nil {
				err = p.check()
			}
			if err != nil {
				return nil, failure.Data(fmt.Errorf("hub: %s: %w; say it with flags (--size, --mean, --std, --resample), or in "+
					"a file of the network's name that ends in .json", path, err))
			}
			if p != nil {
				p.File = path
				return p, nil
			}
		}
	}
	return nil, nil
}

func read(path string) ([]byte, error) {
	data, err := reading.File(path, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	return data, nil
}

func (p *Preprocessing) check() error {
	switch {
	case p.Size < 1 || p.Size > 4096:
		return fmt.Errorf("an input of size %d", p.Size)
	case p.Resize < p.Size:
		return fmt.Errorf("photographs are scaled to %d and %d of that are cropped: with a border, which is not done here",
			p.Resize, p.Size)
	case p.Resize > 8192:
		return fmt.Errorf("photographs are scaled to size %d", p.Resize)
	}
	return nil
}

// onnxNames are looked for in a folder, the first that is there is taken.
var onnxNames = []string{"onnx/vision_model.onnx", "vision_model.onnx", "onnx/model.onnx", "model.onnx"}

// Model finds the network's file in a folder as a hub lays it out. Errors, of kind failure.Usage, list what is there.
func Model(dir string) (string, error) {
	for _, name := range onnxNames {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	var found []string
	for _, pattern := range []string{"*.onnx", "onnx/*.onnx"} {
		list, _ := filepath.Glob(filepath.Join(naming.Glob(dir), filepath.FromSlash(pattern)))
		found = append(found, list...)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", failure.Usage(fmt.Errorf("hub: %s: a folder without an .onnx file; export the network, such as with "+
			"`optimum-cli export onnx --model MODEL %s`, or name a file", dir, dir))
	}
	slices.Sort(found)
	return "", failure.Usage(fmt.Errorf("hub: %s: several .onnx files, none of them model.onnx; name one: %s", dir,
		strings.Join(found, ", ")))
}

// decode reads JSON into v; numbers of other types are errors.
func decode(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("not the JSON that was expected: %w", err)
	}
	return nil
}
