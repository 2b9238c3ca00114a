// Command finetune trains image classifiers on folders of photographs.
package main

import (
	"context"
	"os"

	"finetune/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
