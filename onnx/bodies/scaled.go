package bodies

import (
	"fmt"
	"math"

	"finetune/onnx/forms"
	"finetune/onnx/graph"
)

// scaled sees to it that pixels are not normalised twice. A network whose input is uint8 takes the numbers 0 to 255,
// whatever its hub's files say of mean and deviation: those are within it. Of a float input that looks as if the network
// normalised it, the user is asked.
func (s *Spec) scaled(path string, m *graph.Model, o Override) error {
	takes := forms.Takes(m)
	if takes == 0 {
		return nil
	}
	std := 1 / float32(takes)
	if bare(o.Mean, 0) && bare(o.Std, std) {
		return nil
	}
	flags := fmt.Sprintf("--mean 0,0,0 --std %[1]g,%[1]g,%[1]g", float32(math.Round(float64(std)*1e7)/1e7))
	in, err := m.ImageAmong()
	if err != nil {
		return err
	}
	switch whole := in.Elem == graph.Uint8; {
	case whole && len(o.Mean) == 0 && len(o.Std) == 0:
		s.Mean, s.Std = [3]float32{}, [3]float32{std, std, std}
		return nil
	case whole:
		return fmt.Errorf("input %q takes the whole numbers 0 to 255, so the network normalises them itself; leave out "+
			"--mean and --std", in.Name)
	case len(o.Mean) > 0 || len(o.Std) > 0:
		return fmt.Errorf("the network scales its pixels itself, from 0 to %d; with this --mean and --std they would be "+
			"normalised twice: give %s, or, where the network does want them normalised before that, write mean and std "+
			"into %s", takes, flags, SpecPath(path))
	}
	return fmt.Errorf("the network scales its pixels itself, and seems to take them from 0 to %d; if that is so add %s, "+
		"else --mean and --std in %s", takes, flags, SpecPath(path))
}

// bare reports whether three numbers are all about v.
func bare(list []float32, v float32) bool {
	for _, x := range list {
		if math.Abs(float64(x-v)) > 1e-3*float64(v)+1e-6 {
			return false
		}
	}
	return len(list) == 3
}
