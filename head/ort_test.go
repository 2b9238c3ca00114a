package head

import (
	"os"
	"os/exec"
	"testing"
)

// Before onnx.Start, which other tests of this process have called, there are no products. So a process of its own
// asks.
func TestORTBeforeStart(t *testing.T) {
	const alone = "HEAD_TEST_WITHOUT_RUNTIME"
	if os.Getenv(alone) == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestORTBeforeStart$")
		c.Env = append(os.Environ(), alone+"=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if o, err := NewORT(0); err == nil || o != nil {
		t.Errorf("products without a runtime: %v, %v", o, err)
	}
}
