package kinds

import (
	"regexp"
	"strings"
	"unicode"
)

// Role is which part of a data set a folder's name speaks of.
type Role int

// The roles.
const (
	NoRole Role = iota
	TrainRole
	ValidRole
	TestRole
)

// roleWords are the usual names of the parts, in lower case.
var roleWords = map[string]Role{
	"train": TrainRole, "training": TrainRole, "trn": TrainRole, "trainval": TrainRole,
	"valid": ValidRole, "val": ValidRole, "validation": ValidRole, "validate": ValidRole, "validating": ValidRole,
	"dev": ValidRole, "devel": ValidRole, "development": ValidRole, "eval": ValidRole, "evaluation": ValidRole,
	"holdout": ValidRole,
	"test":    TestRole, "tests": TestRole, "testing": TestRole, "tst": TestRole,
}

// roleFillers are words that may stand beside a role without changing it: train_images, seg_test.
var roleFillers = Words("set sets data dataset images image imgs img photos photo pictures picture pics pic " +
	"split dir folder files samples seg jpg jpeg png")

// RoleOf tells the part of a data set that a name speaks of, in any case:
// train, Training, train_images, TrainSet, images-train, test2019.
func RoleOf(name string) Role {
	found := NoRole
	for _, word := range strings.FieldsFunc(strings.ToLower(name),
		func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		r := roleOfWord(word)
		switch {
		case r != NoRole && found == NoRole:
			found = r
		case r != NoRole, !roleFillers[word] && (found != TestRole || strings.Trim(word, "0123456789") != ""):
			return NoRole
		}
	}
	return found
}

// roleOfWord knows a word alone, with a filler behind or before it, and a numbered test set.
func roleOfWord(word string) Role {
	if r := roleWords[word]; r != NoRole {
		return r
	}
	if r := roleWords[strings.TrimRight(word, "0123456789")]; r == TestRole {
		return r
	}
	for filler := range roleFillers {
		for _, rest := range []string{strings.TrimSuffix(word, filler), strings.TrimPrefix(word, filler)} {
			if r := roleWords[rest]; r != NoRole {
				return r
			}
		}
	}
	return NoRole
}

// TestName is what marks a test set beside class folders: a class may well be
// called "testudo", so only test, test1, test-… and test_… count, and the usual names.
var TestName = regexp.MustCompile(`^test([0-9]+|[-_].*)?$`)

// LooseName begins with the name of a part, but not as a part of a longer word.
var LooseName = regexp.MustCompile(
	`^([Tt]rain|TRAIN|[Vv]al|VAL|[Tt]est|TEST)(?:ing|ING|id|ID|idation|IDATION)?(?:$|[^a-z])`)

// BesideClasses reports whether a folder beside class folders is a test set by its name.
func BesideClasses(name string) bool { return RoleOf(name) == TestRole || TestName.MatchString(name) }

// BesideTrain reports whether a folder beside train/ is a test set by its name.
func BesideTrain(name string) bool {
	return RoleOf(name) == TestRole || strings.HasPrefix(strings.ToLower(name), "test")
}

// RoleOfValue is the part that a cell of a split column names.
func RoleOfValue(text string) Role {
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
	names := map[Role]string{TrainRole: TrainPart, ValidRole: ValidPart, TestRole: TestPart}
	for _, word := range strings.FieldsFunc(path, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if name := names[RoleOfValue(word)]; name != "" {
			part = name
		}
	}
	return part
}
