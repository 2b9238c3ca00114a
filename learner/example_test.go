package learner_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"finetune/learner"
)

// console prints what the learner says.
type console struct{}

func (console) Say(format string, a ...any)  { fmt.Printf(format+"\n", a...) }
func (console) Warn(format string, a ...any) { fmt.Printf("warning: "+format+"\n", a...) }
func (console) Progress(string, string) (func(done, of int), func()) {
	return func(int, int) {}, func() {}
}
func (console) Header(...string) {}
func (console) Row(...string)    {}

// A head is trained on the photographs below photos/train/CLASS and photos/valid/CLASS.
func Example() {
	ctx, config := context.Background(), learner.Defaults()
	config.Data.Path = "photos"
	l, err := learner.Open(ctx, config, console{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	features, err := l.Precompute(ctx) // the frozen body, once a photograph
	if err != nil {
		log.Fatal(err)
	}
	run, err := learner.CreateRun("runs/first", learner.RunOptions{}, l.Config)
	if err != nil {
		log.Fatal(err)
	}
	defer run.Close()
	summary, err := l.Train(ctx, run, features, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f %% right\n", 100*summary.Valid.Accuracy)
}
