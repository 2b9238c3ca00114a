package runs

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"finetune/internal/tfevents"
)

// A training that is further begins with the events of one that is less far, so that a log
// can be added to; and each epoch follows its last step.
func TestCourseOnlyGrows(t *testing.T) {
	const batches, stride = 4, 3
	var steps []Step
	var epochs []Epoch
	var before []tfevents.Event
	now := time.Now()
	for step := range 20 {
		if step%stride == 0 {
			steps = append(steps, Step{Step: step, Epoch: step / batches, LR: []float64{1, 2}, Momentum: .9, Time: now})
		}
		if (step+1)%batches == 0 {
			epochs = append(epochs, Epoch{Epoch: len(epochs), Accuracy: .5})
		}
		var got []tfevents.Event
		for _, m := range course(steps, epochs, batches) {
			got = append(got, m.event([]string{"body", "head"}))
		}
		if len(got) != len(steps)+len(epochs) || len(before) > 0 && !reflect.DeepEqual(got[:len(before)], before) {
			t.Fatalf("after step %d: %v, before it %v", step, got, before)
		}
		for i := 1; i < len(got); i++ {
			if got[i].Step < got[i-1].Step {
				t.Fatalf("after step %d: steps go back: %v", step, got)
			}
		}
		before = got
	}
	if s := fmt.Sprint(before[0].Scalars); s != "[{step/loss 0} {step/lr_body 1} {step/lr_head 2} {step/momentum 0.9}]" {
		t.Error(s)
	}
	if e := before[2]; e.Step != 3 || e.Scalars[2] != (tfevents.Scalar{Tag: "epoch/accuracy", Value: .5}) {
		t.Errorf("end of the first epoch: %+v", e)
	}
}
