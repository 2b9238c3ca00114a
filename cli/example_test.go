package cli_test

import (
	"context"
	"os"

	"finetune/cli"
)

// The program, as main calls it.
func Example() {
	streams := cli.Streams{Out: os.Stdout, Err: os.Stderr}
	os.Exit(cli.Main(context.Background(), []string{"finetune", "train", "photos"}, streams))
}
