package failure_test

import (
	"errors"
	"fmt"

	"finetune/internal/failure"
)

// An error of bad data, which ends the program with exit code 3.
func Example() {
	err := failure.Data(errors.New("dataset: photos: no photographs; see README"))
	fmt.Println(failure.KindOf(err) == failure.DataKind, err)
	// Output: true dataset: photos: no photographs; see README
}
