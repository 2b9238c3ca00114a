// Package plots draws what a run learnt and where it is wrong: numbers in,
// picture out. A figure is a struct of numbers with a Draw method:
//
// and WriteReport binds all figures, galleries and tables of a run into one
// page that needs no network:
//
// Equal numbers give equal bytes. The package knows nothing of models: it takes
// log-probabilities and photographs.
package plots
