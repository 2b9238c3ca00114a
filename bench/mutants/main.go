// Command mutants measures the tests: it changes one covered expression or
// statement of a package at a time and asks whether the package's own tests
// notice.
//
//	go run ./bench/mutants -n 25 -seed 1 ./dataset ./augment
//
// Each package's mutants are drawn by -seed from the lines that its short
// tests run, the kinds in turns. The tree stays as it is: a mutant reaches the
// compiler as an overlay. Mutants listed in bench/mutants/equivalent.txt
// change nothing that can be observed and are left out. It fails where a
// package catches less than -least of the others.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// packages are those whose tests are measured where none is named.
var packages = []string{
	"./activations", "./augment", "./augment/picture", "./dataset", "./head", "./internal/durable", "./internal/rng",
	"./metrics", "./onnx/batchnorm", "./onnx/gradient", "./onnx/graph", "./onnx/headgraph", "./onnx/quantize",
	"./onnx/shape", "./onnx/surgery", "./onnx/weights", "./schedule", "./scores",
}

// config is what the flags say.
type config struct {
	n       int           // mutants of each package
	seed    uint64        // draws them
	timeout time.Duration // of one package's tests; a test that hangs has noticed
	workers int           // mutants tried side by side
	least   float64       // share that must be caught
	at      string        // FILE.go:LINE of the only mutants wanted
	listed  string        // file of mutants known to change nothing
}

func main() {
	var c config
	flag.IntVar(&c.n, "n", 25, "mutants of each package")
	flag.Uint64Var(&c.seed, "seed", 1, "draws them")
	flag.DurationVar(&c.timeout, "timeout", 3*time.Minute, "limit of a package's tests")
	flag.IntVar(&c.workers, "workers", 2, "mutants tried side by side")
	flag.Float64Var(&c.least, "least", 0.9, "fail where a package catches a smaller share")
	flag.StringVar(&c.at, "at", "", "only the mutants at FILE.go:LINE")
	flag.StringVar(&c.listed, "equivalent", "bench/mutants/equivalent.txt", "mutants that change nothing")
	flag.Parse()
	names := flag.Args()
	if len(names) == 0 {
		names = packages
	}
	if err := run(c, names); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(c config, names []string) error {
	known, err := readEquivalent(c.listed)
	if err != nil {
		return err
	}
	var rows []string
	var weak []string
	for _, name := range names {
		all, err := collect(name)
		if err != nil {
			return err
		}
		chosen := choose(all, c, known)
		try(chosen, c)
		row, share := summary(name, chosen)
		rows = append(rows, row)
		if share < c.least {
			weak = append(weak, name)
		}
		fmt.Println(row)
	}
	fmt.Printf("\n%-20s %8s %7s %9s %6s %7s\n%s\n", "package", "mutants", "caught", "survived", "hung", "share",
		strings.Join(rows, "\n"))
	if len(weak) > 0 {
		return fmt.Errorf("less than %.0f %% caught in %s", 100*c.least, strings.Join(weak, ", "))
	}
	return nil
}

// try runs the tests on every mutant and prints the survivors as they come.
func try(chosen []*mutant, c config) {
	var wait sync.WaitGroup
	var print sync.Mutex
	queue := make(chan *mutant)
	for range max(1, c.workers) {
		wait.Go(func() {
			for m := range queue {
				m.test(c.timeout)
				print.Lock()
				fmt.Printf("  %s\n", m)
				print.Unlock()
			}
		})
	}
	for _, m := range chosen {
		queue <- m
	}
	close(queue)
	wait.Wait()
}

// summary is a package's row and the share of its valid mutants that were caught; those that hung are among the caught.
func summary(name string, chosen []*mutant) (string, float64) {
	count := map[verdict]int{}
	for _, m := range chosen {
		count[m.verdict]++
	}
	caught := count[killed] + count[hung]
	valid := caught + count[survived]
	share := 1.0
	if valid > 0 {
		share = float64(caught) / float64(valid)
	}
	return fmt.Sprintf("%-20s %8d %7d %9d %6d %6.1f%%", name, valid, caught, count[survived], count[hung], 100*share),
		share
}

// choose draws n of a package's mutants, the kinds in turns, so that frequent kinds do not crowd out rare ones.
func choose(all []*mutant, c config, known map[string]bool) []*mutant {
	byKind := map[string][]*mutant{}
	for _, m := range all {
		if known[m.key()] || c.at != "" && c.at != m.place() {
			continue
		}
		byKind[m.kind] = append(byKind[m.kind], m)
	}
	if c.at != "" {
		c.n = len(all)
	}
	var chosen []*mutant
	kinds := slices.Sorted(maps.Keys(byKind))
	random := rand.New(rand.NewPCG(c.seed, 0))
	for _, k := range kinds {
		random.Shuffle(len(byKind[k]), func(i, j int) { byKind[k][i], byKind[k][j] = byKind[k][j], byKind[k][i] })
	}
	for len(chosen) < c.n && len(byKind) > 0 {
		for _, k := range kinds {
			list := byKind[k]
			if len(list) == 0 {
				delete(byKind, k)
				continue
			}
			if len(chosen) < c.n {
				chosen = append(chosen, list[0])
			}
			byKind[k] = list[1:]
		}
	}
	slices.SortFunc(chosen, func(a, b *mutant) int {
		return cmp.Or(strings.Compare(a.file, b.file), a.from-b.from, strings.Compare(a.kind, b.kind))
	})
	return chosen
}
