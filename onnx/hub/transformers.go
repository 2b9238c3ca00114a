package hub

import (
	"encoding/json"
	"errors"
	"fmt"
)

// processorConfig is preprocessor_config.json of transformers, as far as it matters here.
type processorConfig struct {
	Type       string      `json:"image_processor_type"`
	OldType    string      `json:"feature_extractor_type"`
	Resizes    *bool       `json:"do_resize"`
	Size       size        `json:"size"`
	Crops      *bool       `json:"do_center_crop"`
	CropSize   size        `json:"crop_size"`
	CropPct    float64     `json:"crop_pct"`
	Resample   *int        `json:"resample"`
	Rescales   *bool       `json:"do_rescale"`
	Factor     *float64    `json:"rescale_factor"`
	Offset     bool        `json:"rescale_offset"`
	Normalises *bool       `json:"do_normalize"`
	Mean       *[3]float64 `json:"image_mean"`
	Std        *[3]float64 `json:"image_std"`
	BGR        *bool       `json:"do_flip_channel_order"`
	Pads       bool        `json:"do_pad"`
	Top        *bool       `json:"include_top"`
}

// size is a number, or an object of numbers.
type size struct {
	Number   int
	Shortest int `json:"shortest_edge"`
	Height   int `json:"height"`
	Width    int `json:"width"`
}

// UnmarshalJSON takes either form.
func (s *size) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &s.Number) == nil {
		return nil
	}
	var pair []int
	if json.Unmarshal(data, &pair) == nil && len(pair) == 2 {
		s.Height, s.Width = pair[0], pair[1]
		return nil
	}
	type plain size
	return json.Unmarshal(data, (*plain)(s))
}

// pilFilters are Pillow's numbers of filters.
var pilFilters = map[int]string{1: "lanczos", 2: "bilinear", 3: "bicubic"}

// usual is what the classes of transformers do where the file does not say.
type usual struct {
	resample int
	square   bool // size as one number is a square, else the smaller side
	crops    bool
	bgr      bool
}

// classes are by the name of the class, without ImageProcessor, FeatureExtractor and Fast: the defaults of
// transformers 5.24.
var classes = map[string]usual{
	"ViT": {2, true, false, false}, "ViTHybrid": {3, true, true, false}, "DeiT": {3, true, true, false},
	"Beit": {3, true, false, false}, "CLIP": {3, false, true, false}, "ChineseCLIP": {3, false, true, false},
	"Siglip": {3, true, false, false}, "Bit": {3, false, true, false}, "ConvNext": {3, false, false, false},
	"DINOv3ViT": {2, true, false, false}, "MobileViT": {3, false, true, true}, "MobileNetV1": {2, false, true, false},
	"MobileNetV2": {2, false, true, false}, "Levit": {3, false, true, false}, "PoolFormer": {3, false, true, false},
	"Pvt": {3, true, false, false}, "Flava": {3, true, true, false}, "EfficientNet": {3, true, false, false},
}

func transformers(data []byte) (*Preprocessing, error) {
	var c processorConfig
	if err := decode(data, &c); err != nil {
		return nil, err
	}
	return c.preprocessing()
}

// processor reads processor_config.json, whose part for images lies one level down.
func processor(data []byte) (*Preprocessing, error) {
	var c struct {
		Image *processorConfig `json:"image_processor"`
	}
	if err := decode(data, &c); err != nil || c.Image == nil {
		return nil, err
	}
	return c.Image.preprocessing()
}

// className is the class without what all have.
func (c processorConfig) className() string {
	name := c.Type
	if name == "" {
		name = c.OldType
	}
	for _, end := range []string{"Fast", "ImageProcessor", "FeatureExtractor"} {
		if n := len(name) - len(end); n > 0 && name[n:] == end {
			name = name[:n]
		}
	}
	return name
}

func or(v *bool, def bool) bool {
	if v != nil {
		return *v
	}
	return def
}

func (c processorConfig) preprocessing() (*Preprocessing, error) {
	u, known := classes[c.className()]
	p := &Preprocessing{BGR: or(c.BGR, u.bgr), Floor: true}
	resample := u.resample
	if c.Resample != nil {
		resample = *c.Resample
	} else if !known {
		return nil, fmt.Errorf("no filter is named (resample), and the class %q is not known here", c.className())
	}
	var ok bool
	if p.Resample, ok = pilFilters[resample]; !ok {
		return nil, fmt.Errorf("resample %d of Pillow is not done here", resample)
	}
	if err := c.sizes(p, u); err != nil {
		return nil, err
	}
	if c.Pads && !or(c.Crops, u.crops) && !p.Squash {
		return nil, errors.New("photographs are padded (do_pad), which is not done here")
	}
	factor, offset := 1./255, 0.
	if c.Factor != nil {
		factor = *c.Factor
	}
	if !or(c.Rescales, true) {
		factor = 1
	}
	if c.Offset {
		offset = 1
	}
	mean, std := [3]float64{}, [3]float64{1, 1, 1}
	if or(c.Normalises, c.Mean != nil) && c.className() != "MobileViT" { // which does not know the word
		if c.Mean == nil || c.Std == nil {
			return nil, errors.New("do_normalize without image_mean and image_std")
		}
		mean, std = *c.Mean, *c.Std
	}
	if c.className() == "EfficientNet" && or(c.Top, true) && c.Std != nil { // divides once more, as Keras's weights need
		for i := range std {
			std[i] *= c.Std[i]
		}
	}
	for i := range 3 { // (255·x·factor - offset - mean) / std of x from 0 to 1
		p.Mean[i], p.Std[i] = float32((offset+mean[i])/(255*factor)), float32(std[i]/(255*factor))
	}
	return p, nil
}

// sizes are those of scaling and cropping.
func (c processorConfig) sizes(p *Preprocessing, u usual) error {
	s := c.Size
	if s.Number > 0 {
		if u.square {
			s.Height, s.Width = s.Number, s.Number
		} else {
			s.Shortest = s.Number
		}
	}
	if !or(c.Resizes, true) {
		return errors.New("photographs are not scaled (do_resize is false), which is not done here")
	}
	crop := c.CropSize
	if crop.Number > 0 {
		crop.Height, crop.Width = crop.Number, crop.Number
	}
	if s.Height != s.Width || crop.Height != crop.Width {
		return fmt.Errorf("inputs of %d × %d pixels are not square", max(s.Height, crop.Height), max(s.Width, crop.Width))
	}
	switch {
	case s.Shortest == 0 && s.Height == 0:
		return errors.New("the size is not given as shortest_edge, or as height and width")
	case c.className() == "ConvNext": // crops up to 384 pixels, squashes from there
		p.Size, p.Resize = max(s.Shortest, s.Height), max(s.Shortest, s.Height)
		if p.Size >= 384 {
			p.Squash = true
			return nil
		}
		pct := 224. / 256
		if c.CropPct > 0 {
			pct = c.CropPct
		}
		p.Resize = int(float64(p.Size) / pct)
	default:
		p.Resize, p.Squash = max(s.Shortest, s.Height), s.Shortest == 0
		switch name := c.className(); {
		case name == "Levit" && !p.Squash:
			p.Resize = p.Resize * 256 / 224
		case name == "PoolFormer" && !p.Squash:
			pct := 0.9
			if c.CropPct > 0 {
				pct = c.CropPct
			}
			p.Resize = int(float64(p.Resize) / pct)
		}
		if p.Size = p.Resize; or(c.Crops, u.crops && crop.Height > 0) {
			if crop.Height == 0 {
				return errors.New("do_center_crop without crop_size")
			}
			p.Size = crop.Height
		} else if !p.Squash {
			return errors.New("the smaller side is scaled and nothing is cropped: inputs that are not square")
		}
	}
	return nil
}
