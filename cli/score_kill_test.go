package cli

import (
	"fmt"
	"testing"
	"time"
)

// A score that is killed at any moment and started again ends in the bytes of
// one that was not, in each format, with a cache and without.
func TestKilledScoreEndsInTheSameTable(t *testing.T) {
	n, k := kills(t), newKiller(t)
	k.run("train", "data", "--body=seed:resnet18:7", "--size=64", "--run", "r", "--epochs", "1", "--no-report")
	for i, format := range []string{"csv", "jsonl", "parquet"} {
		whole, killed := "whole."+format, "killed."+format
		score := []string{"score", "r", "data", "--workers", fmt.Sprint(1 + i%2), "--no-cache", "-o"}
		start := time.Now()
		k.run(append(score, whole)...)
		took := time.Since(start)
		for range n {
			k.kill(took, append(score, killed)...)
		}
		k.run(append(score, killed)...)
		if k.sum(whole) != k.sum(killed) {
			t.Errorf("%s differs between an uninterrupted run and one after %d kills", format, n)
		}
	}
}
