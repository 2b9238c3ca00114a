package serve_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"finetune/augment/picture"
	"finetune/serve"
)

// always answers that every photograph shows a cat.
type always struct{}

func (always) Len() int { return 3 * 8 * 8 }

func (always) Load([]float32, []byte, picture.Limits) error { return nil }

func (always) PredictOdd(_ context.Context, _ []float32, n int) (logp, odd []float32, err error) {
	logp = make([]float32, 2*n)
	for i := range n {
		logp[2*i+1] = -20
	}
	return logp, nil, nil
}

// A server runs until its context ends and then finishes the requests it has.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	s := serve.New(always{}, serve.Options{Classes: []string{"cat", "dog"}})
	err := s.ListenAndServe(ctx, "127.0.0.1:0", func(at, metrics net.Addr) {
		fmt.Println("listening on", at.(*net.TCPAddr).IP)
		stop()
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: listening on 127.0.0.1
}
