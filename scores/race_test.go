package scores

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// One that waits for a journal's lock takes its turn when the other has finished
// and taken its journal away.
func TestJournalThatAnotherFinishes(t *testing.T) {
	for range 5 {
		out := filepath.Join(t.TempDir(), "scores.csv")
		first := openJournal(t, out)
		fillJournal(t, first, 2)
		opened := make(chan error, 1)
		go func() {
			second, err := OpenJournal(out, journalColumns, "another key", false)
			if err == nil {
				if err = second.Append([]Row{{{Text: "a.jpg"}, {Number: 1}}}); err == nil {
					err = second.Remove()
				}
			}
			opened <- err
		}()
		time.Sleep(50 * time.Millisecond) // it waits, as for a killed process
		if err := first.Remove(); err != nil {
			t.Error(err)
		}
		if err := <-opened; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(out + ".journal"); !os.IsNotExist(err) {
			t.Errorf("the journal is left: %v", err)
		}
	}
}
