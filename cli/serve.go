package cli

import (
	"context"
	"log"
	"net"

	"github.com/urfave/cli/v2"

	"finetune/learner"
	"finetune/serve"
)

type serveOptions struct {
	model, addr string
	serve       serve.Options
	machine     learner.Machine
	quiet, json bool
}

func serveCommand(s Streams) *cli.Command {
	var o serveOptions
	v := &o.serve
	return &cli.Command{
		Name: "serve", Usage: "answer photographs over HTTP: POST /predict, GET /healthz, GET /metrics", ArgsUsage: "MODEL.onnx|RUN",
		Description: "curl --data-binary @photo.jpg http://127.0.0.1:8080/predict\nThere is no authentication: put a proxy before it where others can reach it.",
		Flags: join([]cli.Flag{
			&cli.StringFlag{Name: "addr", Usage: "`ADDRESS` to listen on", Value: "127.0.0.1:8080", Destination: &o.addr},
			&cli.IntFlag{Name: "batch", Usage: "at most `N` photographs predicted together", Value: 16, Destination: &v.Batch},
			&cli.DurationFlag{Name: "delay", Usage: "longest `WAIT` for a batch to fill", Value: 2e6, Destination: &v.Delay},
			&cli.Int64Flag{Name: "max-body", Usage: "largest request in `BYTES`", Value: 32 << 20, Destination: &v.MaxBody},
			&cli.DurationFlag{Name: "timeout", Usage: "longest `TIME` for a request, its upload included", Value: 30e9, Destination: &v.Timeout},
		}, inferenceFlags(&o.machine), outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usagef("serve takes one MODEL.onnx that `finetune export` wrote, or a RUN")
			}
			o.model = c.Args().First()
			return runServe(c.Context, o, &console{Streams: s, quiet: o.quiet, json: o.json})
		},
	}
}

func runServe(ctx context.Context, o serveOptions, out *console) error {
	o.machine.OneRun = true
	c, err := learner.OpenClassifier(o.model, o.machine, out)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SelfTest(ctx); err != nil {
		return err
	}
	o.serve.MaxPixels = o.machine.MaxPixels
	o.serve.Classes, o.serve.Multi, o.serve.Decoders, o.serve.Log = c.Classes, c.Multi, c.Machine.Workers, log.New(out.Err, "", log.LstdFlags)
	s := serve.New(c, o.serve)
	return s.ListenAndServe(ctx, o.addr, func(a net.Addr) { out.print("serving %s on http://%s", o.model, a) })
}
