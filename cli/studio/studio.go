// Package studio is the command that opens the page beside the command line.
package studio

import (
	"context"
	"fmt"
	"html"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/internal/guard"
	"finetune/learner"
	"finetune/studio"
)

// Shared are flags that the commands of other packages have too.
type Shared struct {
	Output  func(quiet, json *bool) []cli.Flag
	Data    func(*learner.Config) []cli.Flag
	Body    func(*learner.Config) []cli.Flag
	Machine func(*learner.Config) []cli.Flag
}

type options struct {
	studio      studio.Options
	addr        string
	classes     string
	noOpen      bool
	quiet, json bool
}

// Command is studio.
func Command(s term.Streams, shared Shared) *cli.Command {
	o := options{}
	c := &o.studio.Config
	*c = learner.DefaultConfig()
	return &cli.Command{
		Name: "studio", Usage: "label photographs in the browser: the most useful first, with live accuracy",
		ArgsUsage: "DATA|FOLDER",
		Description: "Opens a page of this machine alone. Labels are appended to labels.csv, which " +
			"`finetune train --labels`\nreads; photographs are not changed. Names of class folders are labels already. " +
			"How to: docs/how-to/studio.md.",
		Flags: shell.Join([]cli.Flag{
			&cli.StringFlag{Name: "classes", Usage: "`NAMES` of classes, separated by commas, in the order of their keys; " +
				"more can be added on the page", Destination: &o.classes},
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "write labels.csv and classes.txt to folder `DIR` " +
				"(default: the photographs')", Destination: &o.studio.Output},
			&cli.BoolFlag{Name: "unlabelled", Usage: "take no labels from names of folders",
				Destination: &o.studio.Unlabelled},
			&cli.StringFlag{Name: "addr", Usage: "listen on `ADDRESS`; port 0 is any that is free", Value: "127.0.0.1:0",
				Destination: &o.addr},
			&cli.BoolFlag{Name: "no-open", Usage: "do not open a browser: print the address alone", Destination: &o.noOpen},
		}, without(shared.Data(c), "exclude", "group", "max-bad", "valid-pct"),
			without(shared.Body(c), "body-precision"), without(shared.Machine(c), "batch-size"),
			shared.Output(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return failure.Usagef("studio takes one DATA, a folder of photographs")
			}
			o.studio.Config.Data.Path = c.Args().First()
			o.studio.Classes = strings.FieldsFunc(o.classes, func(r rune) bool { return r == ',' })
			return run(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

// without are the flags but those of these names.
func without(flags []cli.Flag, names ...string) []cli.Flag {
	return slices.DeleteFunc(flags, func(f cli.Flag) bool { return slices.Contains(names, f.Names()[0]) })
}

func run(ctx context.Context, o options, out *term.Console) (err error) {
	if err := o.studio.Config.Validate(); err != nil {
		return err
	}
	st, err := studio.Open(o.studio, out)
	if err != nil {
		return err
	}
	defer st.Close()
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return failure.Usage(fmt.Errorf("studio: %w; choose another --addr", err))
	}
	token := guard.NewToken()
	address := guard.Address(l.Addr(), token)
	if at, ok := l.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		out.Warn("other machines can reach %s, unencrypted: who has read the token on its way can label; an SSH tunnel to "+
			"127.0.0.1 is safer", l.Addr())
	}
	if err := out.Object(map[string]any{"address": address, "labels": st.Session.State().File}); err != nil {
		return err
	}
	out.Print("open       %s", address)
	out.Say("Ctrl-C ends it; every label is kept at once")
	if !o.noOpen {
		defer browse(address, out)()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	learned := make(chan error, 1)
	go func() { learned <- failure.Guard(func() error { return st.Learn(ctx) }) }()
	served := make(chan error, 1)
	go func() { served <- st.Serve(ctx, l, token) }()
	for {
		select {
		case err := <-learned:
			if err != nil { // the page cannot do anything without features
				stop()
				<-served
				return err
			}
			learned = nil
		case err := <-served:
			stop()
			if learned != nil {
				<-learned // ONNX Runtime is in use until then
			}
			return err
		}
	}
}

// browse opens the address where there is a browser. The token does not become an argument, which other users could
// list: the browser gets a file that leads there. The result removes it.
func browse(address string, out *term.Console) (done func()) {
	done = func() {}
	program := opener()
	if program == nil {
		return done
	}
	f, err := os.CreateTemp("", "finetune-studio-*.html") // mode 0600
	if err != nil {
		return done
	}
	done = func() { _ = os.Remove(f.Name()) }
	_, err = fmt.Fprintf(f, "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=\"0;url=%s\">",
		html.EscapeString(address))
	if e := f.Close(); err != nil || e != nil {
		return done
	}
	c := exec.Command(program[0], append(program[1:], f.Name())...)
	if c.Start() != nil {
		out.Say("no browser could be opened: open the address by hand")
		return done
	}
	go func() { _ = c.Wait() }()
	return done
}

// opener is the program that opens files in a browser, nil where there is no screen.
func opener() []string {
	switch runtime.GOOS {
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	case "darwin":
		return []string{"open"}
	}
	path, err := exec.LookPath("xdg-open")
	if err != nil || os.Getenv("DISPLAY")+os.Getenv("WAYLAND_DISPLAY") == "" {
		return nil
	}
	return []string{path}
}
