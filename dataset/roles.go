package dataset

import (
	"regexp"
	"strings"
	"unicode"

	"finetune/dataset/kinds"
)

// role is which part of a data set a folder's name speaks of.
type role int

const (
	noRole role = iota
	trainRole
	validRole
	testRole
)

// roleWords are the usual names of the parts, in lower case.
var roleWords = map[string]role{
	"train": trainRole, "training": trainRole, "trn": trainRole, "trainval": trainRole,
	"valid": validRole, "val": validRole, "validation": validRole, "validate": validRole, "validating": validRole,
	"dev": validRole, "devel": validRole, "development": validRole, "eval": validRole, "evaluation": validRole,
	"holdout": validRole,
	"test":    testRole, "tests": testRole, "testing": testRole, "tst": testRole,
}

// roleFillers are words that may stand beside a role without changing it: train_images, seg_test.
var roleFillers = kinds.Words("set sets data dataset images image imgs img photos photo pictures picture pics pic " +
	"split dir folder files samples seg jpg jpeg png")

// roleOf tells the part of a data set that a name speaks of, in any case:
// train, Training, train_images, TrainSet, images-train, test2019.
func roleOf(name string) role {
	found := noRole
	for _, word := range strings.FieldsFunc(strings.ToLower(name),
		func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		r := roleOfWord(word)
		switch {
		case r != noRole && found == noRole:
			found = r
		case r != noRole, !roleFillers[word] && (found != testRole || strings.Trim(word, "0123456789") != ""):
			return noRole
		}
	}
	return found
}

// roleOfWord knows a word alone, with a filler behind or before it, and a numbered test set.
func roleOfWord(word string) role {
	if r := roleWords[word]; r != noRole {
		return r
	}
	if r := roleWords[strings.TrimRight(word, "0123456789")]; r == testRole {
		return r
	}
	for filler := range roleFillers {
		for _, rest := range []string{strings.TrimSuffix(word, filler), strings.TrimPrefix(word, filler)} {
			if r := roleWords[rest]; r != noRole {
				return r
			}
		}
	}
	return noRole
}

// testName is what marks a test set beside class folders: a class may well be
// called "testudo", so only test, test1, test-… and test_… count, and the usual names.
var testName = regexp.MustCompile(`^test([0-9]+|[-_].*)?$`)

// looseName begins with the name of a part, but not as a part of a longer word.
var looseName = regexp.MustCompile(
	`^([Tt]rain|TRAIN|[Vv]al|VAL|[Tt]est|TEST)(?:ing|ING|id|ID|idation|IDATION)?(?:$|[^a-z])`)

// besideClasses reports whether a folder beside class folders is a test set by its name.
func besideClasses(name string) bool { return roleOf(name) == testRole || testName.MatchString(name) }

// besideTrain reports whether a folder beside train/ is a test set by its name.
func besideTrain(name string) bool {
	return roleOf(name) == testRole || strings.HasPrefix(strings.ToLower(name), "test")
}

// roleOfValue is the part that a cell of a split column names.
func roleOfValue(text string) role {
	return roleWords[strings.ToLower(strings.TrimSpace(text))]
}

// Parts of a data set, as PartOf names them.
const (
	TrainPart = "train"
	ValidPart = "valid"
	TestPart  = "test"
)

// PartOf is the part of a data set that a word of a path names, such as val in
// imagenet-val-0001.tar; the last such word counts, and "" stands for none.
func PartOf(path string) (part string) {
	names := map[role]string{trainRole: TrainPart, validRole: ValidPart, testRole: TestPart}
	for _, word := range strings.FieldsFunc(path, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if name := names[roleOfValue(word)]; name != "" {
			part = name
		}
	}
	return part
}
