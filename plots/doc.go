// Package plots draws what a run learnt and where it is wrong: numbers in,
// picture out. A figure is a struct of numbers with a Draw method:
//
//	f, err := plots.RateSearch{Rates: rates, Losses: losses, Suggestion: 0.01, Rule: "steepest fall"}.Draw(plots.Wide)
//	err = f.Write("lr.png")
//
// and WriteReport binds all figures, galleries and tables of a run into one
// page that needs no network:
//
//	err := plots.WriteReport("runs/bees/report", plots.Report{Classes: classes, Valid: predictions, Load: open})
//
// Equal numbers give equal bytes. The package knows nothing of models: it takes
// log-probabilities and photographs.
package plots
