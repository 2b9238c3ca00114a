package cli

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/internal/failure"
)

// everyFlag calls do with each flag of each command
// and the flags that the command cannot do without.
func everyFlag(do func(command []string, f cli.Flag, required []string)) {
	var walk func(above []string, list []*cli.Command)
	walk = func(above []string, list []*cli.Command) {
		for _, c := range list {
			name := append(above[:len(above):len(above)], c.Name)
			for _, f := range c.Flags {
				var required []string
				for _, other := range c.Flags {
					if r, ok := other.(cli.RequiredFlag); ok && r.IsRequired() && other != f {
						required = append(required, "--"+other.Names()[0]+"=2")
					}
				}
				do(name, f, required)
			}
			walk(name, c.Subcommands)
		}
	}
	walk(nil, newApp(Streams{Out: io.Discard, Err: io.Discard}).Commands)
}

func takesNumbers(f cli.Flag) bool {
	switch f.(type) {
	case *cli.IntFlag, *cli.Int64Flag, *cli.Uint64Flag, *cli.Float64Flag, *cli.DurationFlag:
		return true
	case *cli.GenericFlag:
		_, bounded := limits.Bounds[f.Names()[0]]
		return bounded
	}
	return false
}

func TestEveryNumberHasBounds(t *testing.T) {
	used := map[string]bool{}
	everyFlag(func(command []string, f cli.Flag, _ []string) {
		name := f.Names()[0]
		used[name], used[command[len(command)-1]+" "+name] = true, true
		_, ok := limits.Bounds[name]
		if _, own := limits.Bounds[command[len(command)-1]+" "+name]; takesNumbers(f) && !ok && !own {
			t.Errorf("%s --%s has no bounds", strings.Join(command, " "), name)
		}
	})
	for name := range limits.Bounds {
		if !used[name] {
			t.Errorf("bounds of --%s, which there is not", name)
		}
	}
	for name := range limits.Choices {
		if !used[name] {
			t.Errorf("words for --%s, which there is not", name)
		}
	}
}

// Values that no flag means are answered at once, as a mistake in the flag.
func TestHostileFlags(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	absent, seen := filepath.Join(t.TempDir(), "absent"), map[string]bool{}
	everyFlag(func(command []string, f cli.Flag, required []string) {
		name := f.Names()[0]
		if _, ok := f.(*cli.BoolFlag); ok {
			return
		}
		values := []string{"-1", "4611686018427387904", "0", "NaN", "Inf", "-Inf", "1e308", "-1s", "1e9h", "", "x"}
		if seen[name] { // of another command: it has the same bounds
			values = values[:1]
		}
		seen[name] = true
		for _, value := range values {
			var text bytes.Buffer
			args := append(append([]string{"finetune"}, command...), "--"+name+"="+value)
			args = append(args, required...)
			switch command[0] {
			case "score":
				args = append(args, absent, absent)
			case "cache", "demo", "doctor":
			default:
				args = append(args, absent)
			}
			fits := value == "0" || value == "4611686018427387904" && limits.Bounds[name].Most > 1<<62
			fits = fits || value == "" && (name == "hidden" || name == "dropout")
			if command[0] == "demo" && (fits || !takesNumbers(f)) {
				continue // it would fetch
			}
			start := time.Now()
			code := Main(t.Context(), args, Streams{In: strings.NewReader(""), Out: io.Discard, Err: &text})
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("%v: answered after %v", args[1:], d)
			}
			wrong := takesNumbers(f) && !fits || limits.Choices[name] != nil
			if strings.Contains(text.String(), "a fault of finetune") ||
				wrong && (code != int(failure.UsageKind) || !strings.Contains(text.String(), name)) {
				t.Errorf("%v: exit code %d: %.300s", args[1:], code, text.String())
			}
		}
	})
}
