//go:build unix

// Command samebytes says whether the present tree still makes what an earlier
// commit made, byte for byte, and reads what that one left.
//
//	go run ./bench/samebytes -old COMMIT [-photos FOLDER] [-may GLOB=REASON]
//
// Both programs are built under one version and one path, and work in turns in
// the same folder, with a FINETUNE_HOME that begins with the downloads alone.
// They precompute, train heads, fine-tune, are killed and go on, score, export;
// then the present one works on copies of what the old one left. Every file is
// compared by its digest. What may differ stands in tables (changed.go, compare.go), with
// what is left out of it and why; -may adds to it what a release changes on
// purpose. It fails on any other difference.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// config is what the flags say.
type config struct {
	old    string      // the commit
	photos string      // folder with train and valid; "" draws some
	may    []exception // further files that may differ
	keep   string      // folder in which everything stays, new or of an earlier call; "" for a temporary one
	epochs int         // of the runs that are killed
	tags   string      // build tags
}

func main() {
	var c config
	flag.StringVar(&c.old, "old", "", "the earlier commit")
	flag.StringVar(&c.photos, "photos", "", "folder with train/CLASS and valid/CLASS; small ones are drawn without it")
	flag.Func("may", "GLOB=REASON: files that may differ besides those of the table, again for more", c.allow)
	flag.StringVar(&c.keep, "keep", "", "leave everything in this folder; where an earlier call did, compare that again")
	flag.IntVar(&c.epochs, "epochs", 600, "length of the runs that are killed; more for a machine that ends them sooner")
	flag.StringVar(&c.tags, "tags", "nodynamic", "build tags of both programs")
	flag.Parse()
	if c.old == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "samebytes: name the earlier commit: make same-bytes OLD=COMMIT")
		os.Exit(2)
	}
	if err := run(c); err != nil {
		fmt.Fprintln(os.Stderr, "samebytes:", err)
		os.Exit(1)
	}
}

// allow reads a value of -may.
func (c *config) allow(text string) error {
	glob, reason, _ := strings.Cut(text, "=")
	if reason == "" {
		return errors.New("give a reason: GLOB=REASON")
	}
	c.may = append(c.may, exception{glob, reason, nil})
	return nil
}

func run(c config) error {
	dir, err := folder(c.keep)
	if err != nil {
		return err
	}
	if c.keep == "" {
		defer os.RemoveAll(dir)
	}
	programs := [2]string{filepath.Join(dir, "finetune-old"), filepath.Join(dir, "finetune-new")}
	t := trial{dir: filepath.Join(dir, "work"), photos: filepath.Join(dir, "photos"), epochs: c.epochs}
	if c.photos != "" {
		if t.photos, err = filepath.Abs(c.photos); err != nil {
			return err
		}
	}
	sides := [2]string{filepath.Join(dir, "old"), filepath.Join(dir, "new")}
	if _, err := os.Stat(sides[1]); err != nil { // else -keep names what an earlier comparison left
		if err := makeBoth(c, t, programs, sides); err != nil {
			return err
		}
	}
	fmt.Printf("== old beside new\n")
	intended, err := inForce(sides[0])
	if err != nil {
		return err
	}
	differ := compare(os.Stdout, sides[0], sides[1], exceptions(append(c.may, intended...)))
	fmt.Printf("== the new program on what the old one left\n")
	t.may = intended
	unread, err := t.readsBack(programs[1], sides[0])
	return errors.Join(differ, unread, err)
}

// makeBoth has both programs built and do their work, each in the folder of its side.
func makeBoth(c config, t trial, programs, sides [2]string) error {
	if err := buildBoth(c, filepath.Dir(t.dir), programs); err != nil {
		return err
	}
	if c.photos == "" {
		if err := drawPhotographs(t.photos); err != nil {
			return err
		}
	}
	for i, side := range sides {
		fmt.Printf("== %s\n", filepath.Base(programs[i]))
		if err := t.begin(programs[i]); err != nil {
			return err
		}
		if err := t.work(); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(programs[i]), err)
		}
		if err := os.Rename(t.dir, side); err != nil {
			return err
		}
	}
	return nil
}

func folder(keep string) (string, error) {
	if keep == "" {
		return os.MkdirTemp("", "samebytes")
	}
	keep, err := filepath.Abs(keep)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(keep, "new")); err == nil {
		return keep, os.RemoveAll(filepath.Join(keep, "work")) // of the reading
	}
	return keep, os.Mkdir(keep, 0o777)
}

// buildBoth builds the commit, in a work tree of its own below dir, and the
// present tree, changes that are not committed included.
func buildBoth(c config, dir string, programs [2]string) error {
	tree := filepath.Join(dir, "tree")
	if err := command(".", "git", "worktree", "add", "--quiet", "--detach", tree, c.old); err != nil {
		return err
	}
	defer command(".", "git", "worktree", "remove", "--force", tree)
	if err := build(tree, programs[0], c.tags); err != nil {
		return fmt.Errorf("%s: %w", c.old, err)
	}
	return build(".", programs[1], c.tags)
}

// build gives both programs one version, which runs and exported files name.
func build(tree, program, tags string) error {
	list := exec.Command("go", "list", "-m")
	list.Dir = tree
	module, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list -m: %w", err)
	}
	version := "-X " + strings.TrimSpace(string(module)) + "/cli.Version=v0.0.0-same-bytes"
	return command(tree, "go", "build", "-trimpath", "-buildvcs=false", "-tags", tags, "-ldflags", "-s -w "+version,
		"-o", program, ".")
}

// command runs a program in dir; its error holds what it said.
func command(dir, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
