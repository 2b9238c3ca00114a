// Package plots draws the results of a run: losses, rates, mistakes. A figure is a struct
// of numbers with a Draw method:
//
// and WriteReport binds all figures, galleries and tables of a run into one
// page that needs no network:
//
// Equal numbers give equal bytes. The package knows nothing of models: it takes
// log-probabilities and photographs.
package plots
