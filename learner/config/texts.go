package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"finetune/internal/plural"
)

// Widths are those of the head's hidden layers, in units; a text such as "512,256" in
// config.json and at the command line, "" or "none" for no hidden layer.
type Widths []int

// Shares are probabilities, from 0 to below 1; a text such as "0.25,0.5" in
// config.json and at the command line.
type Shares []float64

// Channels are values of red, green and blue, in units of the largest sample; a text
// such as "0.485,0.456,0.406". Empty: the body's own.
type Channels []float32

// OneCycle is the shape of the schedules CLR and CLRBeta: two numbers in config.json,
// or four where the momentum moves too.
type OneCycle struct {
	Div float64 // a cycle begins at the rate over Div
	Cut float64 // CLR: it rises in the first 1/Cut of a cycle. CLRBeta: percent of the cycle that are its tail

	Moves                    bool // the momentum, from the largest to the least and back
	MomentumMax, MomentumMin float64
}

// most is how many numbers a text may have: layers of a head.
const most = 16

// split reads a text of numbers with commas or blanks between.
func split[T any](text, kind string, parse func(string) (T, error)) ([]T, error) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	if len(parts) > most {
		return nil, fmt.Errorf("%s; at most %d", plural.Count(len(parts), "number"), most)
	}
	var out []T
	for _, p := range parts {
		v, err := parse(p)
		if err != nil {
			return nil, fmt.Errorf("%q is not a %s", p, kind)
		}
		out = append(out, v)
	}
	return out, nil
}

func join[T any](list []T, text func(T) string) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = text(v)
	}
	return strings.Join(parts, ",")
}

func float(bits int) func(text string) (float64, error) {
	return func(text string) (float64, error) { return strconv.ParseFloat(text, bits) }
}

func digits(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// String is what UnmarshalText reads.
func (w Widths) String() string { return join(w, strconv.Itoa) }

// MarshalText implements encoding.TextMarshaler.
func (w Widths) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *Widths) UnmarshalText(text []byte) (err error) {
	if string(text) == "none" {
		*w = nil
		return nil
	}
	*w, err = split(string(text), "whole number", strconv.Atoi)
	return err
}

// String is what UnmarshalText reads.
func (s Shares) String() string { return join(s, digits) }

// MarshalText implements encoding.TextMarshaler.
func (s Shares) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Shares) UnmarshalText(text []byte) (err error) {
	*s, err = split(string(text), "number", float(64))
	return err
}

// String is what UnmarshalText reads.
func (c Channels) String() string {
	return join(c, func(v float32) string { return strconv.FormatFloat(float64(v), 'g', -1, 32) })
}

// MarshalText implements encoding.TextMarshaler.
func (c Channels) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Channels) UnmarshalText(text []byte) error {
	list, err := split(string(text), "number", float(32))
	if err != nil {
		return err
	}
	if len(list) != 3 {
		return errors.New("three numbers are needed, as in 0.485,0.456,0.406")
	}
	*c = Channels{float32(list[0]), float32(list[1]), float32(list[2])}
	return nil
}

// numbers are those that are written: none of a zero OneCycle.
func (c OneCycle) numbers() []float64 {
	switch {
	case c == OneCycle{}:
		return nil
	case c.Moves:
		return []float64{c.Div, c.Cut, c.MomentumMax, c.MomentumMin}
	}
	return []float64{c.Div, c.Cut}
}

func (c *OneCycle) set(list []float64) error {
	switch len(list) {
	case 0:
		*c = OneCycle{}
	case 2:
		*c = OneCycle{Div: list[0], Cut: list[1]}
	case 4:
		*c = OneCycle{Div: list[0], Cut: list[1], Moves: true, MomentumMax: list[2], MomentumMin: list[3]}
	default:
		return fmt.Errorf("%s; two or four are needed", plural.Count(len(list), "number"))
	}
	return nil
}

// String is what UnmarshalText reads.
func (c OneCycle) String() string { return join(c.numbers(), digits) }

// UnmarshalText reads numbers with commas between, as a flag has them.
func (c *OneCycle) UnmarshalText(text []byte) error {
	list, err := split(string(text), "number", float(64))
	if err != nil {
		return err
	}
	return c.set(list)
}

// MarshalJSON writes a list of numbers.
func (c OneCycle) MarshalJSON() ([]byte, error) { return json.Marshal(c.numbers()) }

// UnmarshalJSON reads a list of numbers.
func (c *OneCycle) UnmarshalJSON(data []byte) error {
	var list []float64
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	return c.set(list)
}

// UnmarshalText reads a layout in either case.
func (l *Layout) UnmarshalText(text []byte) error {
	*l = Layout(strings.ToLower(string(text)))
	return nil
}

// String is the layout's name.
func (l Layout) String() string { return string(l) }
