// Package audit looks for what is wrong with a data set, in numbers that are at hand once
// its photographs have gone through a frozen body: one row of features a photograph, the
// labels, the splits, and a few facts of each file.
//
//	WrongLabels, WrongTags  labels that the other photographs contradict
//	Copies                  photographs that are there twice, and leak between splits
//	Sequences, Clusters     series of photographs that a random split tears apart
//	Metadata                classes that show in a file's size or format alone
//	Odd, Basics             photographs unlike the others; dark, blurred, empty ones
//	Balance                 classes that are small or missing
//
// Nothing here is drawn at random that a seed does not name: the same rows give the same
// answer. Matrix products are gonum's unless a faster Product is handed in.
//
// Memory, beyond the features themselves (4 bytes a number): WrongLabels holds two square
// matrices of float64 of the smaller of the number of photographs and of features, plus
// a thousand standardised rows: at most 250 MB for 50,000 photographs of 2,560 features.
package audit
