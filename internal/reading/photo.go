package reading

import (
	"io"
	"io/fs"
	"os"

	"finetune/internal/tarshard"
)

// Stat describes a photograph: a file, or a member of a tar, whose path is SHARD.tar/member.
func Stat(path string) (fs.FileInfo, error) {
	if shard, member, ok := tarshard.Within(path); ok {
		return tarshard.Stat(shard, member)
	}
	return os.Stat(path)
}

// Open opens what Stat describes.
func Open(path string) (io.ReadCloser, error) {
	if shard, member, ok := tarshard.Within(path); ok {
		return tarshard.Open(shard, member)
	}
	return os.Open(path)
}
