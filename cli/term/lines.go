package term

import "strings"

// ErrorText is the text of an error, a line for each of those that errors.Join made
// one: a line break of a name, as a folder may have, is shown and breaks no line.
func ErrorText(err error) string {
	const end = "\x00" // which no name has
	return strings.ReplaceAll(strings.ReplaceAll(joined(err, end), "\n", `\n`), end, "\n")
}

// joined is the text of err with end between the errors that were joined.
func joined(err error, end string) string {
	text := err.Error()
	switch e := err.(type) {
	case interface{ Lines() []string }:
		return strings.Join(e.Lines(), end)
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return strings.Replace(text, inner.Error(), joined(inner, end), 1)
		}
	case interface{ Unwrap() []error }:
		var texts, parts []string
		for _, inner := range e.Unwrap() {
			texts, parts = append(texts, inner.Error()), append(parts, joined(inner, end))
		}
		if text == strings.Join(texts, "\n") {
			return strings.Join(parts, end)
		}
		for i := range texts {
			text = strings.Replace(text, texts[i], parts[i], 1)
		}
	}
	return text
}
