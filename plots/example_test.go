package plots_test

import (
	"log"

	"finetune/plots"
)

// A figure as a file.
func Example() {
	rates, losses := []float64{1e-4, 1e-3, 1e-2, 1e-1}, []float64{0.7, 0.6, 0.3, 0.9}
	search := plots.RateSearch{Rates: rates, Losses: losses, Suggestion: 0.01, Rule: "steepest fall"}
	figure, err := search.Draw(plots.Wide)
	if err != nil {
		log.Fatal(err)
	}
	if err := figure.Write("lr.png"); err != nil {
		log.Fatal(err)
	}
}
