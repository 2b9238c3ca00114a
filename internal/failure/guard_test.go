package failure

import (
	"errors"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	var list []int
	err := Guard(func() error { return errors.New(string(rune(list[3]))) })
	if err == nil || KindOf(err) != Other || !strings.Contains(err.Error(), "index out of range") ||
		!strings.Contains(err.Error(), "TestGuard") {
		t.Errorf("%v", err)
	}
	if err := Guard(func() error { return nil }); err != nil {
		t.Error(err)
	}
}
