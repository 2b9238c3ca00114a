// Command score_load asks a running `finetune serve` from many clients at once
// and prints throughput, latencies and every answer that was not 200.
//
//	go run ./bench/score_load -clients 64 -for 60s http://127.0.0.1:8080 photos/*.jpg
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

func main() {
	clients := flag.Int("clients", 64, "clients that each wait for their answer")
	length := flag.Duration("for", time.Minute, "how long they ask")
	flag.Parse()
	if flag.NArg() < 2 {
		log.Fatal("score_load: give the address and photographs")
	}
	var photos [][]byte
	for _, name := range flag.Args()[1:] {
		data, err := os.ReadFile(name)
		if err != nil {
			log.Fatal(err)
		}
		photos = append(photos, data)
	}
	run(flag.Arg(0)+"/predict", photos, *clients, *length)
}

func run(url string, photos [][]byte, clients int, length time.Duration) {
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = clients
	var mu sync.Mutex
	var times []time.Duration
	codes := map[string]int{}
	var wg sync.WaitGroup
	start := time.Now()
	for c := range clients {
		wg.Go(func() {
			for k := c; time.Since(start) < length; k += clients {
				asked := time.Now()
				code := ask(url, photos[k%len(photos)])
				mu.Lock()
				codes[code]++
				times = append(times, time.Since(asked))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(times)
	at := func(q float64) time.Duration { return times[int(q*float64(len(times)-1))].Round(time.Millisecond) }
	fmt.Printf("%d clients, %d photographs in %s: %.1f/s, p50 %s, p99 %s, largest %s, answers %v\n", clients, len(times),
		length,
		float64(len(times))/time.Since(start).Seconds(), at(.5), at(.99), at(1), codes)
}

func ask(url string, photo []byte) string {
	r, err := http.Post(url, "image/jpeg", bytes.NewReader(photo))
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err.Error()
	}
	return r.Status
}
