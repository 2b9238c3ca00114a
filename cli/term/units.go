package term

import (
	"fmt"
	"strconv"
	"strings"
)

// Size shows a number of bytes.
func Size(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// ParseSize reads a number of bytes as people write it, such as 500MB or 2GB.
func ParseSize(text string) (int64, error) {
	units := []struct {
		suffix string
		bytes  float64
	}{{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}, {"", 1}}
	upper := strings.ToUpper(strings.ReplaceAll(text, " ", ""))
	for _, u := range units {
		if number, ok := strings.CutSuffix(upper, u.suffix); ok {
			if v, err := strconv.ParseFloat(number, 64); err == nil && v >= 0 {
				return int64(v * u.bytes), nil
			}
		}
	}
	return 0, fmt.Errorf("%s: write a size such as 500MB or 2GB", text)
}
