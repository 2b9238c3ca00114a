package fetch

import (
	"cmp"
	"path/filepath"

	"finetune/internal/home"
)

// Load opens the first library of an item that lies where Get puts it, in
// FOLDER-VERSION-PLATFORM of $FINETUNE_HOME/runtime, or of lib beside the program, and
// returns its path: "" where there is none. file is a pattern of its name. Each is asked
// of CheckLibrary first; where none could be opened, err says what is wrong with the first.
func Load(folder, file string, open func(path string) error) (path string, err error) {
	for _, top := range []string{home.Path("runtime"), home.Beside("lib")} {
		if top == "" { // and not the folder that the program was started in
			continue
		}
		found, _ := filepath.Glob(filepath.Join(top, folder+"-*-"+Platform(), file)) // a sound pattern
		for _, path := range found {
			_, wrong := CheckLibrary(path)
			if wrong == nil {
				wrong = open(path)
			}
			if wrong == nil {
				return path, nil
			}
			err = cmp.Or(err, wrong)
		}
	}
	return "", err
}
