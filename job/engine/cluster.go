package engine

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/store"
)

// Clusters are the engines that have a script of their own and a client that takes it.
var Clusters = []string{"slurm", "kubernetes", "spark"}

// Order is what a cluster is asked to do: start so many workers of a job.
type Order struct {
	Name    string   // of it, for people; letters, digits and hyphens
	Place   string   // of the job, as the workers find it
	Args    []string // a worker's command line, without its share and the place
	Workers int      // elements of the array, partitions
	Tasks   int      // of the job
	Threads int      // processors of a worker
	Image   string   // Kubernetes: the container image
}

// Script is an order in a cluster's own words, and the command that takes it on its
// standard input.
type Script struct {
	Text   string
	Submit []string
	Answer string // what the command prints, in words
}

// kinds are how a cluster is asked.
var kinds = map[string]struct {
	file   string
	submit []string
	share  func(o Order) []string // which tasks an element does
	most   int                    // workers; what Slurm takes unless it is configured otherwise
	answer string                 // what submit prints, in words
}{
	"slurm":      {"slurm.sbatch", []string{"sbatch", "--parsable"}, auto, 1000, "number of the array"},
	"kubernetes": {"kubernetes.yaml", []string{"kubectl", "apply", "-f", "-"}, outOf, 10000, "kubectl"},
	"spark":      {"spark.sql", []string{"spark-sql", "-f", "/dev/stdin"}, stream, 100000, "its last task"},
}

func auto(Order) []string    { return []string{"--shard", "auto"} }
func outOf(o Order) []string { return []string{"--shard", fmt.Sprintf("/%d", o.Workers)} }
func stream(Order) []string  { return []string{"--stream"} }

//go:embed templates
var files embed.FS

var scripts = template.Must(template.New("").Funcs(template.FuncMap{"json": jsonText, "sql": sqlText}).ParseFS(files,
	"templates/*"))

func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// sqlText quotes a text for Spark SQL, where a backslash escapes.
func sqlText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

var (
	plainName  = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,50}[a-z0-9])?$`)
	plainImage = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:@-]*$`)
)

// Write is the script of an order for a cluster. Errors are failure.Usage.
func (o Order) Write(cluster string) (Script, error) {
	k, ok := kinds[cluster]
	switch {
	case !ok:
		return Script{}, failure.Usage(fmt.Errorf("job: no engine %q; use local, %s", cluster, strings.Join(Clusters, ", ")))
	case !plainName.MatchString(o.Name):
		return Script{}, failure.Usage(fmt.Errorf("job: %q is no name; use small letters, digits and hyphens", o.Name))
	case o.Workers < 1 || o.Workers > k.most || o.Threads < 1:
		return Script{}, failure.Usage(fmt.Errorf("job: %s of %s; %s takes 1 to %s", plural.Count(o.Workers, "worker"),
			plural.Count(o.Threads, "thread"), cluster, plural.Count(k.most, "worker")))
	case cluster == "kubernetes" && !plainImage.MatchString(o.Image):
		return Script{}, failure.Usage(errors.New("job: kubernetes needs --image, a container image with finetune and " +
			"ONNX Runtime in it"))
	case slices.ContainsFunc(o.Args, lines) || lines(o.Place):
		return Script{}, failure.Usage(errors.New("job: a path with a line break in it; rename it"))
	case cluster == "slurm" && !store.IsURL(o.Place) && strings.ContainsAny(o.Place, " \\%\""):
		return Script{}, failure.Usage(fmt.Errorf("job: %s: Slurm takes no logs in a folder with blanks, quotes, percent "+
			"signs or backslashes; rename it", o.Place))
	}
	args := slices.Concat(o.Args, k.share(o), []string{"--", o.Place})
	data := struct {
		Order
		Last          int
		MaxFailed     int // elements; Kubernetes refuses more than there are
		Command, Logs string
		Args          []string
	}{o, o.Workers - 1, min(maxFailed, o.Workers), ShellLine(args), "", args}
	if !store.IsURL(o.Place) {
		data.Logs = filepath.Join(o.Place, "logs")
	}
	var text bytes.Buffer
	if err := scripts.ExecuteTemplate(&text, k.file, data); err != nil {
		return Script{}, fmt.Errorf("job: %w", err)
	}
	return Script{text.String(), k.submit, k.answer}, nil
}

func lines(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }

// Run hands the script over, and returns what the cluster answers.
func (s Script) Run(ctx context.Context) (string, error) {
	c := exec.CommandContext(ctx, s.Submit[0], s.Submit[1:]...)
	c.Stdin = strings.NewReader(s.Text)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", failure.Usage(fmt.Errorf("job: %s is not installed here; --dry-run prints the script, to be submitted "+
			"where it is", s.Submit[0]))
	case err != nil:
		return "", fmt.Errorf("job: %s: %w: %s", ShellLine(s.Submit), err, words(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// words are what a client said last, without the frames of Java's stacks.
func words(said string) string {
	lines := slices.DeleteFunc(strings.Split(said, "\n"), func(l string) bool { return strings.HasPrefix(l, "\tat ") })
	said = strings.TrimSpace(strings.Join(lines, "\n"))
	return strings.ToValidUTF8(said[max(0, len(said)-lastWords):], "")
}

// ShellLine quotes a command for a shell.
func ShellLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if quoted[i] = a; !plainArg.MatchString(a) {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

var plainArg = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)
