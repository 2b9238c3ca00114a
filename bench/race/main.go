// Command race runs finetune and what a user would take instead side by side:
// the same work on the same machine, in turns, so that a machine that drifts
// drifts for all. It prints medians and spread, and writes them into a page.
//
//	go run ./bench/race -photos PHOTOS -only head,step -rounds 3 -docs ''
//
// table.go lists who races whom in what. Python's contestants live in virtual
// environments that it makes from bench/peers.txt and bench/ort-training.txt in
// $FINETUNE_HOME, or in those that FINETUNE_PEERS and FINETUNE_ORT_TRAINING name.
// A contestant that cannot run is listed with the reason.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.photos, "photos", "", "`FOLDER` of photographs (default: the solar cells of finetune demo)")
	flag.IntVar(&o.count, "n", 200, "photographs of it")
	flag.IntVar(&o.rounds, "rounds", 3, "turns of each contestant")
	flag.StringVar(&o.body, "body", "efficientnet-lite0", "frozen `BODY`")
	flag.IntVar(&o.batch, "step-batch", 8, "`N` images of the fine-tuning step")
	flag.StringVar(&o.stepBody, "step-body", "resnet34", "`BODY` of the fine-tuning step")
	flag.IntVar(&o.rows, "rows", 25000, "rows of the head's epoch")
	flag.IntVar(&o.threads, "threads", runtime.NumCPU(), "of every contestant")
	flag.DurationVar(&o.patience, "patience", 4*time.Minute, "what a contestant may take to be ready")
	flag.StringVar(&o.binary, "finetune", "bin/finetune", "the program")
	flag.StringVar(&o.docs, "docs", "docs/lab/side-by-side.md", "page to write into; empty: none")
	only := flag.String("only", "", "parts to race, with commas between (default: all): "+strings.Join(partNames(), ", "))
	turn := flag.String("turn", "", "be a contestant: "+strings.Join(workNames(), ", "))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *turn != "" {
		err = takeTurns(o, *turn, flag.Args())
	} else if o.only, err = parseOnly(*only); err == nil {
		err = race(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "race:", err)
		os.Exit(1)
	}
}

type options struct {
	photos, body, stepBody, binary, docs string
	count, rounds, rows, threads, batch  int
	patience                             time.Duration
	only                                 []string
}

func parseOnly(text string) ([]string, error) {
	if text == "" {
		return partNames(), nil
	}
	only := strings.Split(text, ",")
	for _, name := range only {
		if !slices.Contains(partNames(), name) {
			return nil, fmt.Errorf("no part is called %q; there are %s", name, strings.Join(partNames(), ", "))
		}
	}
	return only, nil
}

func race(ctx context.Context, o options) error {
	s, err := newSetup(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Printf("%s\n\n", s.machine())
	var results []result
	for _, p := range parts {
		if !slices.Contains(o.only, p.name) {
			continue
		}
		r, err := s.part(ctx, p)
		if err != nil {
			return err
		}
		fmt.Println(r.markdown())
		results = append(results, r)
		if o.docs != "" { // after each part: an interrupted race keeps what it has
			if err := writeDocs(o.docs, results); err != nil {
				return err
			}
		}
	}
	return nil
}
