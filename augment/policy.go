package augment

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"finetune/internal/failure"
	"finetune/internal/rng"
)

// Names of the policies and crops, as flags spell them.
var (
	Policies = []string{"none", "flips", "basic", "side-on", "top-down"}
	Crops    = []string{"random", "center", "no", "googlenet", "noop"}
)

// Policy says how training views of an image are made:
//
//	none      no transform but the crop
//	flips     mirror images left to right and top to bottom, each every second time, and nothing else:
//	          things without an upper end that always lie along the same axes
//	basic     rotation by up to 10 degrees (3 times of 4), brightness and contrast by up to 0.05
//	side-on   basic and a mirror image every second time: things that stand upright
//	top-down  basic and any of the eight turns and mirrors: things seen from above
//
// before it a scale to MaxZoom times the size at most (3 times of 4), and a
// reflected border; after it the crop.
type Policy struct {
	Name    string  // one of Policies
	MaxZoom float64 // 1 or more; 0: no random scale, and no draw for it
	Pad     int     // pixels on every side
	Crop    string  // one of Crops
}

// ParsePolicy checks the values of flags; an empty name is none, an empty crop random.
// Errors are usage errors.
func ParsePolicy(name string, maxZoom float64, pad int, crop string) (Policy, error) {
	p := Policy{Name: name, MaxZoom: maxZoom, Pad: pad, Crop: crop}
	if name == "" {
		p.Name = "none"
	}
	if crop == "" {
		p.Crop = "random"
	}
	if err := p.check(); err != nil {
		return Policy{}, failure.Usage(err)
	}
	return p, nil
}

func (p Policy) check() error {
	switch {
	case !slices.Contains(Policies, p.Name):
		return fmt.Errorf("augment: no augmentation %q; choose one of %s", p.Name, strings.Join(Policies, ", "))
	case p.MaxZoom != 0 && !(p.MaxZoom >= 1 && p.MaxZoom <= 4):
		return fmt.Errorf("augment: --max-zoom %v: must be from 1 to 4, or 0 for none", p.MaxZoom)
	}
	return checkCrop(p.Crop, p.Pad)
}

func checkCrop(crop string, pad int) error {
	switch {
	case !slices.Contains(Crops, crop):
		return fmt.Errorf("augment: no crop %q; choose one of %s", crop, strings.Join(Crops, ", "))
	case pad < 0 || pad > 1024:
		return fmt.Errorf("augment: --pad %d: must be from 0 to 1024 pixels", pad)
	}
	return nil
}

// String is the canonical form of p, which names its views in cache keys:
// "side-on/zoom1.1/pad0/random".
func (p Policy) String() string {
	return fmt.Sprintf("%s/zoom%s/pad%d/%s", p.Name, strconv.FormatFloat(p.MaxZoom, 'g', -1, 64), p.Pad, p.Crop)
}

// MinSide returns the Limits.MinSide that loses no detail any view of p shows:
// twice the largest scale, or 0 where a view may show a small part enlarged.
func (p Policy) MinSide(size int) int {
	if p.Crop == "googlenet" {
		return 0
	}
	return int(math.Ceil(2 * max(p.MaxZoom, 1) * float64(size)))
}

// target draws the size of the first scale: RandomScale of the reference.
// Draws, where MaxZoom is set: whether, then how much if so.
func (p Policy) target(size int, s *rng.Stream) int {
	if p.MaxZoom == 0 || s.Float64() >= zoomP {
		return size
	}
	return int(s.Uniform(1, p.MaxZoom) * float64(size))
}

// transforms lists what follows the scale, the crop last.
func (p Policy) transforms(size int) []transform {
	var t []transform
	if p.Pad > 0 {
		t = append(t, addPadding(p.Pad))
	}
	if p.Name != "none" && p.Name != "flips" {
		t = append(t, randomRotate(rotateDegrees, rotateP), randomLighting(lightingAmount, lightingAmount))
	}
	switch p.Name {
	case "flips":
		t = append(t, randomFlip(flipP), randomUpset(flipP))
	case "side-on":
		t = append(t, randomFlip(flipP))
	case "top-down":
		t = append(t, randomDihedral())
	}
	return append(t, cropTo(p.Crop, size)...)
}

func cropTo(crop string, size int) []transform {
	switch crop {
	case "random":
		return []transform{randomCrop(size)}
	case "center":
		return []transform{centerCrop(size)}
	case "no":
		return []transform{squash(size)}
	case "googlenet":
		return []transform{googleNetResize(size)}
	}
	return nil // noop: the picture must have the right size already
}
