// Package tfevents writes the event files that TensorBoard reads: records of scalars,
// each with its checksums, to which more are appended.
//
// Sources: tensorflow/core/lib/io/record_writer.h for the records, event.proto and
// summary.proto for what is in them.
package tfevents

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"finetune/internal/durable"
)

// FileName is the name of a log in its folder. TensorBoard knows event files by ".tfevents.".
const FileName = "events.out.tfevents.0.finetune"

// Scalar is a value under a name.
type Scalar struct {
	Tag   string
	Value float64 // kept as float32, which is all that the format has
}

// Event are the scalars of a step.
type Event struct {
	Step    int
	Time    time.Time
	Scalars []Scalar
}

const (
	version    = "brain.Event:2" // of the format, in the first record
	mostBytes  = 1 << 20         // of a record
	headBytes  = 12              // length and its checksum
	tailBytes  = 4               // checksum of the content
	maskOffset = 0xa282ead8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Log is an event file that grows. What is in it is never written again, so that who
// reads it meanwhile misses nothing.
type Log struct {
	path string
	ends []int // where each ends, the file's version first
}

// Open opens the log in dir and makes it where there is none. After a kill in
// the middle of an event, the events before it are there. A file that is none of
// finetune's is replaced; a link is not followed.
func Open(dir string) (*Log, error) {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("tfevents: %s is not a folder; move it away", dir)
	}
	l := &Log{path: filepath.Join(dir, FileName)}
	info, err := os.Lstat(l.path)
	switch {
	case err == nil && info.Mode().IsRegular():
		if l.ends, err = ends(l.path); err != nil {
			return nil, fmt.Errorf("tfevents: %w", err)
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("tfevents: %w", err)
	}
	if len(l.ends) == 0 {
		first := frame(fileVersion(time.Now()))
		if err := durable.WriteFile(l.path, first); err != nil {
			return nil, fmt.Errorf("tfevents: %w", err)
		}
		l.ends = []int{len(first)}
	}
	return l, nil
}

// Len is the number of events in the log.
func (l *Log) Len() int { return len(l.ends) - 1 }

// Extend makes the log hold n events. Those that it has stay; at is asked for
// the others. Events beyond n, of a training that was further, are cut off.
func (l *Log) Extend(n int, at func(i int) Event) error {
	kept := min(n, l.Len())
	fresh, ends := []byte{}, l.ends[:kept+1:kept+1]
	for i := kept; i < n; i++ {
		fresh = append(fresh, frame(encode(at(i)))...)
		ends = append(ends, l.ends[kept]+len(fresh))
	}
	if err := l.append(int64(l.ends[kept]), fresh); err != nil {
		return fmt.Errorf("tfevents: %s: %w", l.path, err)
	}
	l.ends = ends
	return nil
}

// append writes data at an offset, behind which nothing stays.
func (l *Log) append(at int64, data []byte) error {
	f, err := os.OpenFile(l.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() == at && len(data) == 0 {
		return err
	}
	if err := errors.Join(f.Truncate(at), durable.Before(durable.Data, l.path)); err != nil {
		return err
	}
	if _, err := f.WriteAt(data, at); err != nil {
		return err
	}
	if err := durable.Before(durable.Sync, l.path); err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// ends are where the whole records of an event file end; none where it is no such file.
func ends(path string) (list []int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in, at := bufio.NewReader(f), 0
	for {
		content, err := record(in)
		if errors.Is(err, errNoRecord) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		if len(list) == 0 && !bytes.HasSuffix(content, []byte(version)) {
			return nil, nil
		}
		at += headBytes + len(content) + tailBytes
		list = append(list, at)
	}
}

// errNoRecord ends a file: at its end, or where its last record is not whole.
var errNoRecord = errors.New("no whole record")

// record reads the content of the next record.
func record(r io.Reader) ([]byte, error) {
	head := make([]byte, headBytes)
	if err := whole(r, head); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(head)
	if binary.LittleEndian.Uint32(head[8:]) != masked(head[:8]) || n > mostBytes {
		return nil, errNoRecord
	}
	body := make([]byte, n+tailBytes)
	if err := whole(r, body); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(body[n:]) != masked(body[:n]) {
		return nil, errNoRecord
	}
	return body[:n], nil
}

func whole(r io.Reader, p []byte) error {
	_, err := io.ReadFull(r, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNoRecord
	}
	return err
}

// masked is the checksum of TFRecord: CRC-32C, turned and moved, since the
// checksum of bytes that hold their own checksum would be always the same.
func masked(p []byte) uint32 {
	c := crc32.Checksum(p, castagnoli)
	return (c>>15 | c<<17) + maskOffset
}

// frame makes a record of content.
func frame(content []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(content)))
	out = binary.LittleEndian.AppendUint32(out, masked(out))
	out = append(out, content...)
	return binary.LittleEndian.AppendUint32(out, masked(content))
}

// Field numbers of event.proto and summary.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary

	summaryValue     = 1 // repeated Value
	valueTag         = 1 // string
	valueSimpleValue = 2 // float
)

func wallTime(out []byte, t time.Time) []byte {
	out = protowire.AppendTag(out, eventWallTime, protowire.Fixed64Type)
	return protowire.AppendFixed64(out, math.Float64bits(float64(t.UnixMicro())/1e6))
}

func fileVersion(t time.Time) []byte {
	out := protowire.AppendTag(wallTime(nil, t), eventFileVersion, protowire.BytesType)
	return protowire.AppendString(out, version)
}

func encode(e Event) []byte {
	var summary []byte
	for _, s := range e.Scalars {
		value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, s.Tag)
		value = protowire.AppendTag(value, valueSimpleValue, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(s.Value)))
		summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
	}
	out := wallTime(nil, e.Time)
	if e.Step != 0 { // which is what no number stands for
		out = protowire.AppendTag(out, eventStep, protowire.VarintType)
		out = protowire.AppendVarint(out, uint64(e.Step))
	}
	out = protowire.AppendTag(out, eventSummary, protowire.BytesType)
	return protowire.AppendBytes(out, summary)
}
