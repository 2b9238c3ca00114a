package learner_test

import (
	"context"
	"fmt"
	"log"

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

// A head is trained on the photographs below photos/train/CLASS and
// photos/valid/CLASS, and tells the class of one photograph.
func Example() {
	ctx, config := context.Background(), learner.DefaultConfig()
	config.Data.Path = "photos"
	summary, err := learner.Train(ctx, config, learner.TrainOptions{Dir: "runs/first"}, console{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f %% right\n", 100*summary.Valid.Accuracy)

	c, err := learner.OpenClassifier("runs/first", config.Machine, console{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	logp, err := c.PredictFile(ctx, "photo.jpg")
	if err != nil {
		log.Fatal(err)
	}
	for k, class := range c.Classes {
		fmt.Printf("%s %.3f\n", class, logp[k])
	}
}
