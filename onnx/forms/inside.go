package forms

import (
	"fmt"
	"math"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Bare sees to it that pixels are not normalised twice. Mean and std are what the user says, nil for nothing;
// sidecar is the description beside the file, where everything can be said. The answer is the deviation, beside a mean
// of 0, of a network whose input is uint8: it takes the numbers 0 to 255 whatever its hub's files say. It is 0 where
// mean and deviation are those that were given. Of a float input that looks as if the network normalised it the user
// is asked.
func Bare(m *graph.Model, mean, std []float32, sidecar string) (float32, error) {
	takes := Takes(m)
	if takes == 0 {
		return 0, nil
	}
	by := 1 / float32(takes)
	if about(mean, 0) && about(std, by) {
		return 0, nil
	}
	flags := fmt.Sprintf("--mean 0,0,0 --std %[1]g,%[1]g,%[1]g", float32(math.Round(float64(by)*1e7)/1e7))
	in, err := m.ImageAmong()
	if err != nil {
		return 0, err
	}
	said := len(mean) > 0 || len(std) > 0
	switch whole := in.Elem == graph.Uint8; {
	case whole && !said:
		return by, nil
	case whole:
		return 0, fmt.Errorf("input %q takes the whole numbers 0 to 255, so the network normalises them itself; "+
			"leave out --mean and --std", in.Name)
	case said:
		return 0, fmt.Errorf("the network scales its pixels itself, from 0 to %d; with this --mean and --std they would be "+
			"normalised twice: give %s, or, where the network does want them normalised before that, write mean and std "+
			"into %s", takes, flags, sidecar)
	}
	return 0, fmt.Errorf("the network scales its pixels itself, and seems to take them from 0 to %d; "+
		"if that is so add %s, else write mean and std into %s", takes, flags, sidecar)
}

// about reports whether three numbers are all about v.
func about(list []float32, v float32) bool {
	for _, x := range list {
		if math.Abs(float64(x-v)) > 1e-3*float64(v)+1e-6 {
			return false
		}
	}
	return len(list) == 3
}

// Takes is the largest colour that a network's image input takes where the network itself scales colours and takes the
// mean off: 255, or 1. It is 0 where nothing says so: then photographs are normalised in front of it.
//
// An input of uint8 takes 0 to 255. A float input does if all that happens to it before the first layer is a product
// with less than 1/20 (1/255, 1/127.5, 1/58.4). It takes 0 to 1 if that gives what a mean from 0.3 to 0.6 and a
// deviation from 0.15 to 0.55 give.
func Takes(m *graph.Model) int {
	in, err := m.ImageAmong()
	switch {
	case err != nil:
		return 0
	case in.Elem == graph.Uint8:
		return 255
	}
	scale, offset, found := scaling(m, in.Name)
	if !found {
		return 0
	}
	times := 255
	for i, a := range scale {
		mean, deviation := -offset[i]/a, 1/a // no numbers where a is none
		switch {
		case a > 0 && a < 0.05:
		case mean > 0.3 && mean < 0.6 && deviation > 0.15 && deviation < 0.55:
			times = 1
		default:
			return 0
		}
	}
	return times
}

// scaling follows the image to its first layer: what reaches it is scale·x + offset, by channel. False where nothing is
// multiplied or added.
func scaling(m *graph.Model, image string) (scale, offset [3]float64, found bool) {
	readers, constants := map[string][]*onnxpb.NodeProto{}, m.Initializers()
	for _, n := range m.Graph.Node {
		for _, in := range graph.Reads(n) {
			readers[in] = append(readers[in], n)
		}
		if m.Op(n).Standard() == "Constant" {
			if t := graph.ConstantOf(n); t != nil {
				constants[n.Output[0]] = t
			}
		}
	}
	scale = [3]float64{1, 1, 1}
	for at := image; len(readers[at]) == 1; {
		n := readers[at][0]
		op := m.Op(n).Standard()
		switch op {
		case "Cast", "Identity", "Transpose":
		case "Add", "Sub", "Mul", "Div":
			first := n.Input[0] == at
			other := n.Input[1]
			if !first {
				other = n.Input[0]
			}
			v, ok := colours(constants[other])
			if !ok || !first && (op == "Sub" || op == "Div") {
				return scale, offset, found
			}
			found = true
			for i, c := range v {
				switch op {
				case "Add":
					offset[i] += c
				case "Sub":
					offset[i] -= c
				case "Mul":
					scale[i], offset[i] = scale[i]*c, offset[i]*c
				case "Div":
					scale[i], offset[i] = scale[i]/c, offset[i]/c
				}
			}
		default:
			return scale, offset, found
		}
		at = n.Output[0]
	}
	return scale, offset, found
}

// colours are the numbers of a constant for red, green and blue: one for all, or three.
func colours(t *onnxpb.TensorProto) (v [3]float64, ok bool) {
	if t == nil {
		return v, false
	}
	list, err := graph.FloatsOf(t)
	if err != nil || len(list) != 1 && len(list) != 3 {
		return v, false
	}
	for i := range v {
		v[i] = float64(list[min(i, len(list)-1)])
	}
	return v, true
}
