package doctor_test

import (
	"os"

	"finetune/internal/doctor"
)

// What this machine has and what it lacks.
func Example() {
	findings := doctor.Check()
	doctor.Print(os.Stdout, findings)
	if doctor.Worst(findings) >= doctor.Missing {
		os.Exit(1)
	}
}
