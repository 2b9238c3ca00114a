// Package plural counts things in words: 1 row, 2 rows.
package plural

import (
	"fmt"
	"strings"
)

type integer interface{ ~int | ~int64 | ~uint64 }

// Count is a number and what is counted, named by its singular, of which the last
// word changes: Count(1, "class weight") is "1 class weight", Count(0, "copy") "0 copies".
func Count[N integer](n N, one string) string { return Of(n, one, Noun(2, one)) }

// Of is Count where more than one word changes: Of(n, "task is", "tasks are").
func Of[N integer](n N, one, many string) string { return fmt.Sprintf("%d %s", n, Form(n, one, many)) }

// Noun is the form alone that belongs to a number, which is written otherwise.
func Noun[N integer](n N, one string) string {
	word := one[strings.LastIndexAny(one, " -")+1:]
	consonant := len(word) > 1 && !strings.ContainsRune("aeiou", rune(word[len(word)-2]))
	switch {
	case strings.HasSuffix(word, "y") && consonant:
		return Form(n, one, strings.TrimSuffix(one, "y")+"ies")
	case strings.HasSuffix(word, "s"), strings.HasSuffix(word, "x"),
		strings.HasSuffix(word, "ch") && word != "epoch":
		return Form(n, one, one+"es")
	}
	return Form(n, one, one+"s")
}

// Form chooses between words that belong to one and to any other number.
func Form[N integer](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
