package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"finetune/internal/home"
	"finetune/internal/onnxtest"
	"finetune/internal/photos"
	findings "finetune/learner/check"
)

const tutorialPage = "../docs/tutorial.md"

// Whoever follows the tutorial reads what it prints: each command of the page, in order and in one folder, gives the
// output that stands below it. Words are compared, not numbers. Here the solar cells are 32 pictures of discs;
// `make tutorial` sets FINETUNE_TUTORIAL and takes the real ones.
func TestTutorial(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: ten seconds of processor time")
	}
	w := newTutorial(t)
	page, err := os.ReadFile(tutorialPage)
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, c := range transcript(string(page)) {
		commands++
		if name, value, ok := strings.Cut(c.command, "="); ok && !strings.Contains(name, " ") {
			w.env = append(w.env, name+"="+w.shell(t, "printf %s "+value))
			continue
		}
		if !w.real && c.command == "bin/finetune demo" { // which would fetch the photographs
			c.command = "bin/finetune train " + filepath.Join(w.home, "data", "solar-cells")
		}
		got := w.shell(t, c.command)
		if want := c.output; !w.alike(got, want) {
			t.Errorf("%s: $ %s\nprints\n%s\nand in the page stands\n%s", tutorialPage, c.command, got, want)
		}
	}
	if commands < 8 {
		t.Errorf("only %d commands were found", commands)
	}
}

// exchange is a command of a page and what it prints.
type exchange struct{ command, output string }

// transcript are the commands of a page's console blocks.
func transcript(page string) []exchange {
	var out []exchange
	for _, block := range fence.FindAllStringSubmatch(page, -1) {
		if block[1] != "console" {
			continue
		}
		for _, line := range strings.SplitAfter(block[2], "\n") {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				out = append(out, exchange{command: strings.TrimSpace(command)})
			} else if len(out) > 0 {
				out[len(out)-1].output += line
			}
		}
	}
	return out
}

// tutorial is the folder, the shared folder and the environment in which a page is followed.
type tutorial struct {
	dir, home string
	env       []string
	real      bool
}

func newTutorial(t *testing.T) *tutorial {
	t.Helper()
	libraries := onnxtest.Libraries(t, "cpu")
	w := &tutorial{dir: t.TempDir(), real: os.Getenv("FINETUNE_TUTORIAL") != ""}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(w.dir, "bin"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(w.dir, "bin", "finetune")); err != nil {
		t.Skipf("skipped: %v", err)
	}
	w.home = home.Dir()
	if !w.real {
		w.home = t.TempDir()
		w.lend(t, home.Dir())
	}
	w.env = append(os.Environ(), "FINETUNE_HOME="+w.home)
	for name, value := range libraries {
		w.env = append(w.env, name+"="+value)
	}
	return w
}

// lend gives the folder of the test the weights of the default body, and small pictures in place of the solar cells.
func (w *tutorial) lend(t *testing.T, from string) {
	t.Helper()
	for _, dir := range []string{"weights", "bodies"} {
		if err := os.Mkdir(filepath.Join(w.home, dir), 0o777); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(from, dir, "efficientnet-lite0.*"))
		if len(files) == 0 {
			t.Skipf("skipped: no %s of efficientnet-lite0 in %s; `make fetch` brings them", dir, from)
		}
		for _, f := range files {
			if err := os.Symlink(f, filepath.Join(w.home, dir, filepath.Base(f))); err != nil {
				t.Skipf("skipped: %v", err)
			}
		}
	}
	for part, n := range map[string]int{"train": 12, "valid": 4} {
		dir := filepath.Join(w.home, "data", "solar-cells", part)
		if err := photos.Write(dir, []string{"defective", "functional"}, n); err != nil {
			t.Fatal(err)
		}
	}
}

// shell returns what a command line prints on both streams.
func (w *tutorial) shell(t *testing.T, line string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Env = w.dir, w.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("$ %s\n%v\n%s", line, err, out)
	}
	return string(out)
}

var (
	progressLine = regexp.MustCompile(`(?m)^[a-z-]+ +\d+/\d+.*\n`)
	creditLine   = regexp.MustCompile(`(?m)^(?:Photographs: |Buerhop-Lutz, |Deitsch, ).*\n`)
	findingLine  = regexp.MustCompile(`(?m)^(?:(?:` + strings.Join(findings.Kinds, "|") + `) +.*| +look at the data with .*)\n`)
	epochLine    = regexp.MustCompile(`(?m)^ +\d+ +[\d.]+ +[\d.]+ +[\d.]+ *\n`)
	numberIn     = regexp.MustCompile(`[0-9a-f]{12}|[0-9]+(?:[.:-][0-9]+)*(?:e[-+]?[0-9]+)?`)
	signIn       = regexp.MustCompile(`[-+]#`)
	photoIn      = regexp.MustCompile(`[\w/]*#\.png`)
	spaces       = regexp.MustCompile(`[ \t]+`)
)

// words leaves of an output what does not depend on machine, weights or photographs.
func (w *tutorial) words(text string) string {
	text = strings.NewReplacer(w.home, "HOME", "/home/you/.cache/finetune", "HOME").Replace(text)
	text = progressLine.ReplaceAllString(text, "")
	if !w.real {
		text = creditLine.ReplaceAllString(text, "")
	}
	if !w.real { // discs have other faults than solar cells
		text = findingLine.ReplaceAllString(text, "")
	}
	text = epochLine.ReplaceAllString(text, "")
	text = signIn.ReplaceAllString(numberIn.ReplaceAllString(text, "#"), "#")
	if !w.real {
		text = photoIn.ReplaceAllString(text, "PHOTO")
	}
	return strings.TrimSpace(spaces.ReplaceAllString(text, " "))
}

// alike reports whether two outputs say the same. Pictures of discs are not solar cells: as which class a photograph is
// predicted, and what follows from it, may differ there.
func (w *tutorial) alike(got, want string) bool {
	g, p := strings.Split(w.words(got), "\n"), strings.Split(w.words(want), "\n")
	if !w.real {
		g, p = first(g), first(p)
	}
	return fmt.Sprint(g) == fmt.Sprint(p)
}

// first keeps the first word of each line, once.
func first(lines []string) []string {
	var out []string
	for _, l := range lines {
		word, _, _ := strings.Cut(strings.TrimSpace(l), " ")
		word, _, _ = strings.Cut(word, ",")
		if word == "warning:" || len(out) > 0 && out[len(out)-1] == word {
			continue
		}
		out = append(out, word)
	}
	return out
}

// The commands of the README run, in the order of the page, on small pictures.
func TestCommandsOfReadmeRun(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: half a minute of processor time")
	}
	w := newTutorial(t)
	if w.real {
		t.Skip("skipped: TestTutorial is the one that takes the real photographs")
	}
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(w.home, "data", "solar-cells"), filepath.Join(w.dir, "PHOTOS")); err != nil {
		t.Fatal(err)
	}
	w.shell(t, `ln -s PHOTOS/valid/functional FOLDER && cp "$FINETUNE_HOME/bodies/efficientnet-lite0.onnx" NET.onnx
mkdir NETWORK && ln -s ../NET.onnx NETWORK/model.onnx
echo '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": {"height": 64, "width": 64}, "resample": 2}' \
  > NETWORK/preprocessor_config.json`)
	commands := 0
	for _, c := range shellCommands(string(page)) {
		if !strings.HasPrefix(c, "bin/finetune ") {
			continue
		}
		commands++
		if strings.Contains(c, " PHOTOS") && !strings.Contains(c, "--size") {
			c += " --size 64" // in seconds
		}
		w.shell(t, strings.Replace(c, " RUN ", ` "$(ls -d runs/* | tail -1)" `, 1))
	}
	if commands < 8 {
		t.Errorf("only %d commands were found", commands)
	}
}
