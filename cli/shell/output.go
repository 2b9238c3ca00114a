package shell

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/remote"
	"finetune/internal/store"
)

// Output is the file that -o names, looked at before any work is done: the one
// that a symbolic link leads to. Folders, pipes, devices and buckets are refused.
func Output(path string) (string, error) {
	if store.IsURL(path) {
		return "", failure.Usagef("-o %s: this command writes to a disk; name a file, and copy it from there", path)
	}
	to, err := durable.Target(path)
	return to, failure.Usage(err)
}

// Outgoing is Output for commands whose file may go to a bucket, which remote.Send does.
func Outgoing(path string) (string, error) {
	if store.IsURL(path) {
		return remote.Outgoing(path)
	}
	return Output(path)
}

// Beside refuses to replace a file that a command writes beside the one that -o
// names, and whose name nobody gave, unless ours knows it as one of its own.
func Beside(path string, ours func(path string) error) error {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := ours(path); err != nil {
		return failure.Usage(fmt.Errorf("%s exists and was not written by this command (%w); move it, or give -o "+
			"another name", path, err))
	}
	return nil
}

// StartsWith knows a file by its first bytes.
func StartsWith(text string) func(path string) error {
	return func(path string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		head := make([]byte, len(text))
		if n, err := io.ReadFull(f, head); err != nil || !bytes.Equal(head, []byte(text)) {
			return fmt.Errorf("it begins with %q, not with %q", head[:n], text)
		}
		return nil
	}
}
