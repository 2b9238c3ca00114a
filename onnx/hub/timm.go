package hub

import (
	"fmt"
	"math"
)

// names are the filters of timm and open_clip.
var names = map[string]string{"": "bicubic", "bicubic": "bicubic", "bilinear": "bilinear", "random": "bilinear",
	"lanczos": "lanczos"}

// timm reads config.json as timm writes it; one of transformers says nothing of photographs.
func timm(data []byte) (*Preprocessing, error) {
	var c struct {
		Pretrained *struct {
			Input         []int       `json:"input_size"`
			Mean          *[3]float64 `json:"mean"`
			Std           *[3]float64 `json:"std"`
			CropPct       *float64    `json:"crop_pct"`
			CropMode      string      `json:"crop_mode"`
			Interpolation string      `json:"interpolation"`
			Licence       string      `json:"license"`
		} `json:"pretrained_cfg"`
	}
	if err := decode(data, &c); err != nil || c.Pretrained == nil {
		return nil, err
	}
	t := c.Pretrained
	if len(t.Input) != 3 || t.Input[0] != 3 || t.Input[1] != t.Input[2] {
		return nil, fmt.Errorf("input_size %v is not [3, size, size]", t.Input)
	}
	p := &Preprocessing{Size: t.Input[1], Licence: t.Licence}
	pct := 0.875 // timm's DEFAULT_CROP_PCT
	if t.CropPct != nil && *t.CropPct > 0 {
		pct = *t.CropPct
	}
	p.Resize = int(math.Floor(float64(p.Size) / pct))
	switch t.CropMode {
	case "", "center":
	case "squash":
		p.Squash = true
	default:
		return nil, fmt.Errorf("crop_mode %q is not done here", t.CropMode)
	}
	if t.Mean == nil || t.Std == nil {
		return nil, fmt.Errorf("mean and std are missing")
	}
	return p, p.named(t.Interpolation, *t.Mean, *t.Std)
}

// openCLIP reads open_clip_config.json.
func openCLIP(data []byte) (*Preprocessing, error) {
	var c struct {
		Model struct {
			Vision struct {
				Size size `json:"image_size"`
			} `json:"vision_cfg"`
		} `json:"model_cfg"`
		Preprocess struct {
			Size          size        `json:"size"`
			Mean          *[3]float64 `json:"mean"`
			Std           *[3]float64 `json:"std"`
			Interpolation string      `json:"interpolation"`
			Mode          string      `json:"resize_mode"`
		} `json:"preprocess_cfg"`
	}
	if err := decode(data, &c); err != nil {
		return nil, err
	}
	p := &Preprocessing{Size: max(c.Preprocess.Size.Number, c.Preprocess.Size.Height)}
	if p.Size == 0 {
		p.Size = max(c.Model.Vision.Size.Number, c.Model.Vision.Size.Height)
	}
	p.Resize = p.Size
	switch c.Preprocess.Mode {
	case "", "shortest":
	case "squash":
		p.Squash = true
	default:
		return nil, fmt.Errorf("resize_mode %q is not done here", c.Preprocess.Mode)
	}
	mean, std := [3]float64{.48145466, .4578275, .40821073}, [3]float64{.26862954, .26130258, .27577711} // OpenAI's
	if c.Preprocess.Mean != nil && c.Preprocess.Std != nil {
		mean, std = *c.Preprocess.Mean, *c.Preprocess.Std
	}
	return p, p.named(c.Preprocess.Interpolation, mean, std)
}

// named sets a filter by its name, and the colours.
func (p *Preprocessing) named(filter string, mean, std [3]float64) error {
	var ok bool
	if p.Resample, ok = names[filter]; !ok {
		return fmt.Errorf("interpolation %q is not done here", filter)
	}
	for i := range 3 {
		p.Mean[i], p.Std[i] = float32(mean[i]), float32(std[i])
	}
	return nil
}
