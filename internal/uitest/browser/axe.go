package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/chromedp/chromedp"
)

// axe-core from npm: a tool of tests, of which nothing is in the program.
const (
	axeVersion = "4.14.1"
	axeDigest  = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==" // SHA-512
)

// Fault is what axe-core found.
type Fault struct {
	ID     string   // of its rule
	Impact string   // minor, moderate, serious or critical
	Help   string   // what is wrong
	Nodes  []string // the elements, as HTML
}

// Faults are what hinders people on the page as it is now, by the rules of axe-core; of WCAG 2.2 AA and
// best practices. Where npm is missing it logs that, and finds none.
func (p *Tab) Faults() []Fault {
	p.t.Helper()
	source, err := axe()
	if errors.Is(err, exec.ErrNotFound) {
		p.t.Log("accessibility is not checked: no npm in PATH, which brings axe-core")
		return nil
	}
	if err != nil {
		p.t.Fatalf("axe-core %s: %v", axeVersion, err)
	}
	list, err := chromedp.Run(p, chromedp.Evaluate[[]Fault](source+`;
		axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(
			v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map(n => n.html)})))`, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("axe-core: %v", err)
	}
	return list
}

// axe is the source of axe-core, kept where the user's caches are.
func axe() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "finetune-tests")
	path := filepath.Join(dir, "axe-core-"+axeVersion+".tgz")
	data, err := os.ReadFile(path)
	if err != nil {
		npm, err := exec.LookPath("npm")
		if err != nil {
			return "", exec.ErrNotFound
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return "", err
		}
		fetch := exec.Command(npm, "pack", "axe-core@"+axeVersion, "-s")
		fetch.Dir = dir
		if out, err := fetch.CombinedOutput(); err != nil {
			return "", errors.New("npm pack: " + string(out))
		}
		if data, err = os.ReadFile(path); err != nil {
			return "", err
		}
	}
	if sum := sha512.Sum512(data); base64.StdEncoding.EncodeToString(sum[:]) != axeDigest {
		return "", errors.New(path + " is not what is pinned; remove it")
	}
	return member(data, "package/axe.min.js")
}

// member is a file of a compressed tar.
func member(data []byte, name string) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err != nil {
			return "", err
		}
		if h.Name == name {
			text, err := io.ReadAll(files)
			return string(text), err
		}
	}
}
