package train

import (
	"context"
	"fmt"

	"finetune/audit"
	"finetune/internal/failure"
	"finetune/learner/features"
)

// plane is that of the training photographs' features. It does not depend on the head, so the audit before the
// training, or the training before this one, may have it already.
func (tr *training) plane(ctx context.Context) (*audit.Plane, error) {
	train := tr.features.Train
	if kept := tr.KeptPlane(train.Items); kept != nil {
		return kept, nil
	}
	fast, err := features.NewProducts(tr.Config.Machine.Threads)
	if err != nil {
		return nil, err
	}
	defer fast.Close()
	p, err := audit.NewPlane(train.Rows, fast.Multiply)
	if err != nil {
		return nil, failure.Data(fmt.Errorf("learner: oddness: %w", err))
	}
	if err := tr.KeepPlane(train.Items, p); err != nil {
		return nil, err
	}
	return p, ctx.Err()
}
