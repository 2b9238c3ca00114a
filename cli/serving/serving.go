// Package serving has the command serve: who may ask, by which limits, and where it listens.
package serving

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/internal/guard"
	"finetune/internal/reading"
	"finetune/learner"
	"finetune/serve"
)

// Shared are flags that other commands have too.
type Shared struct {
	Output    func(quiet, json *bool) []cli.Flag
	Inference func(m *learner.Machine) []cli.Flag
	Raw       func(raw *bool) cli.Flag
	Coverage  func(coverage *float64) cli.Flag
}

type serveOptions struct {
	model, addr string
	tokenFile   string
	anonymous   bool
	hosts       string
	drain       time.Duration
	serve       serve.Options
	machine     learner.Machine
	raw         bool
	quiet, json bool
}

// Command is serve.
func Command(s term.Streams, shared Shared) *cli.Command {
	var o serveOptions
	return &cli.Command{
		Name: "serve", Usage: "predict over HTTP: POST /predict, GET /readyz, /livez, /metrics, /openapi.json, and a page",
		ArgsUsage: "MODEL.onnx|RUN",
		Description: "On an address that other machines can reach, clients need a token.\nLimits, probes and a " +
			"systemd unit: docs/serving.md.",
		Flags: shell.Join(serveFlags(&o), serveLimits(&o.serve), []cli.Flag{shared.Coverage(&o.serve.Coverage),
			shared.Raw(&o.raw)}, shared.Inference(&o.machine), shared.Output(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return failure.Usagef("serve takes one MODEL.onnx that `finetune export` wrote, or a RUN")
			}
			o.model = c.Args().First()
			return runServe(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

// tokenVariable holds a token where there is no --token-file.
const tokenVariable = "FINETUNE_TOKEN"

func serveFlags(o *serveOptions) []cli.Flag {
	return shell.InCategory("Access",
		&cli.StringFlag{Name: "addr", Usage: "listen on `ADDRESS`", Value: "127.0.0.1:8080", Destination: &o.addr},
		&cli.StringFlag{Name: "token-file", Usage: "answer only requests with Authorization: Bearer TOKEN, where TOKEN is " +
			"a line of `FILE` (or of the variable " + tokenVariable + ")", Destination: &o.tokenFile},
		&cli.BoolFlag{Name: "allow-anonymous", Usage: "answer without a token, even on an address that other machines can " +
			"reach", Destination: &o.anonymous},
		&cli.StringFlag{Name: "allow-host", Usage: "host `NAMES` of this server, separated by commas, besides localhost " +
			"and IP addresses; * allows any", Destination: &o.hosts},
		&cli.BoolFlag{Name: "page", Usage: "show a page at / on which photographs can be tried in a browser",
			Destination: &o.serve.Page},
		&cli.BoolFlag{Name: "trust-proxy", Usage: "take a client's address from the last X-Forwarded-For; only behind a " +
			"proxy that sets it", Destination: &o.serve.TrustProxy},
		&cli.StringFlag{Name: "metrics-addr", Usage: "answer GET /metrics on `ADDRESS`, without a token (default: on " +
			"--addr)", Destination: &o.serve.MetricsAddr},
		&cli.DurationFlag{Name: "drain", Usage: "after SIGTERM, answer requests for this `TIME` while /readyz says 503; " +
			"Ctrl-C does not wait", Value: 5 * time.Second, Destination: &o.drain},
	)
}

func serveLimits(v *serve.Options) []cli.Flag {
	return shell.InCategory("Limits",
		&cli.IntFlag{Name: "batch", Usage: "predict at most `N` photographs together", Value: 16, Destination: &v.Batch},
		&cli.DurationFlag{Name: "delay", Usage: "wait at most `TIME` for a batch to fill", Value: 2e6,
			Destination: &v.Delay},
		&cli.Int64Flag{Name: "max-body", Usage: "largest request in `BYTES`", Value: 32 << 20, Destination: &v.MaxBody},
		&cli.IntFlag{Name: "max-images", Usage: "at most `N` photographs per request", Value: 64, Destination: &v.MaxImages},
		&cli.Int64Flag{Name: "max-uploads", Usage: "largest sum of all open requests in `BYTES`; one client may hold half",
			Value: 512 << 20, Destination: &v.Uploads},
		&cli.Int64Flag{Name: "min-rate", Usage: "least `BYTES` per second of an upload, after its first 5 s",
			Value: 16 << 10, Destination: &v.MinRate},
		&cli.Float64Flag{Name: "rate", Usage: "at most `N` requests for predictions a second and client (default: no limit)",
			Destination: &v.Rate},
		&cli.DurationFlag{Name: "timeout", Usage: "longest `TIME` of a request, with its upload", Value: 30e9,
			Destination: &v.Timeout},
	)
}

// check refuses limits that are none, and an open door.
func (o *serveOptions) check() error {
	v := o.serve
	if v.Uploads < 2*v.MaxBody {
		return failure.Usagef("--max-uploads %d: must be at least twice --max-body, %d", v.Uploads, v.MaxBody)
	}
	if len(o.serve.Tokens) > 0 || o.anonymous || loopback(o.addr) {
		return nil
	}
	return failure.Usagef("serve: other machines can reach %s: require a token with --token-file FILE (or %s), or add "+
		"--allow-anonymous if a firewall or a proxy keeps others out", o.addr, tokenVariable)
}

// loopback reports whether only this machine can reach addr. One that cannot be
// resolved fails when it is listened on.
func loopback(addr string) bool {
	a, err := net.ResolveTCPAddr("tcp", addr)
	return err != nil || a.IP.IsLoopback()
}

const (
	maxTokens   = 64 << 10 // bytes of the file
	shortest    = 16       // letters of a token
	tokenAdvice = "make one with `openssl rand -hex 32`"
)

// tokens reads one token a line; several make it possible to change them.
func tokens(file, variable string) ([]string, error) {
	text, from := variable, tokenVariable
	if file != "" {
		data, err := reading.File(file, maxTokens)
		if err != nil {
			return nil, failure.Usagef("serve: --token-file: %w", err)
		}
		text, from = string(data), file
	}
	var list []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if len(line) < shortest || strings.ContainsAny(line, " \t") {
			return nil, failure.Usagef("serve: %s: a token has at least %d characters and no spaces; %s",
				from, shortest, tokenAdvice)
		}
		list = append(list, line)
	}
	if file != "" && len(list) == 0 {
		return nil, failure.Usagef("serve: %s: no token in it; %s", file, tokenAdvice)
	}
	return list, nil
}

func runServe(ctx context.Context, o serveOptions, out *term.Console) (err error) {
	if o.serve.Tokens, err = tokens(o.tokenFile, os.Getenv(tokenVariable)); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	o.machine.OneRun = true
	c, err := learner.OpenClassifier(o.model, o.machine, out)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SelfTest(ctx); err != nil {
		return err
	}
	if o.raw {
		c.Raw()
	}
	v := &o.serve
	v.MaxPixels = o.machine.MaxPixels
	v.Classes, v.Multi, v.Decoders, v.Log = c.Classes, c.Multi, c.Machine.Workers, log.New(out.Err, "", log.LstdFlags)
	if v.Page && v.Coverage == 0 && !c.Multi && c.Known.Limits != nil {
		v.Coverage = usualCoverage
	}
	if v.Limit, err = c.Limit(v.Coverage); err != nil {
		return err
	}
	v.Hosts = strings.FieldsFunc(o.hosts, func(r rune) bool { return r == ',' || r == ' ' })
	if !o.quiet {
		v.Access = slog.New(slog.NewJSONHandler(out.Err, nil))
	}
	v.Drain = func() time.Duration { return o.patience(ctx) }
	return serve.New(c, *v).ListenAndServe(ctx, o.addr, func(a, metrics net.Addr) {
		out.Print("serving %s on http://%s", o.model, a)
		if v.Page {
			out.Print("page at %s", o.pageAddress(a))
		}
		if metrics != nil {
			out.Print("metrics on http://%s/metrics", metrics)
		}
	})
}

// pageAddress is where a browser finds the page. A token of a file is not shown: it is in others' hands too.
func (o *serveOptions) pageAddress(a net.Addr) string {
	if len(o.serve.Tokens) > 0 {
		return guard.Address(a, "") + "?token=TOKEN, with a token of yours"
	}
	return guard.Address(a, "")
}

// usualCoverage is that of the prediction sets on the page.
const usualCoverage = 0.9

// patience is how long a server that is told to end still listens: a person at
// the keyboard does not wait.
func (o *serveOptions) patience(ctx context.Context) time.Duration {
	var by shell.Signalled
	if errors.As(context.Cause(ctx), &by) && by.Signal == os.Interrupt {
		return 0
	}
	return o.drain
}
