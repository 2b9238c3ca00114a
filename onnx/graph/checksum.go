package graph

import (
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/internal/digest"
	"finetune/onnx/graph/onnxpb"
)

// checksumKey is the metadata key of a checksum over all bytes of the file before it.
const checksumKey = "finetune.crc32c"

// AddChecksum adds a checksum to the metadata, which Read then checks: a file that
// changes afterwards is refused. Nothing may be added after it but another seal,
// which takes its place. A model with functions stays without: they come behind
// the metadata in a file.
func (m *Model) AddChecksum() error {
	m.Unseal()
	if len(m.Functions) > 0 {
		return nil
	}
	data, err := m.Bytes()
	if err != nil {
		return err
	}
	m.SetMeta(checksumKey, checksum(data))
	checked, err := m.Bytes()
	if err != nil {
		return err
	}
	return m.verifyChecksum(checked)
}

// Unseal takes a checksum of what the model was out of its metadata.
func (m *Model) Unseal() {
	m.MetadataProps = slices.DeleteFunc(slices.Clone(m.MetadataProps),
		func(p *onnxpb.StringStringEntryProto) bool { return p.GetKey() == checksumKey })
}

// HasChecksum reports whether the model has a checksum, or can have none.
func (m *Model) HasChecksum() bool {
	_, ok := m.Meta(checksumKey)
	return ok || len(m.Functions) > 0
}

func checksum(data []byte) string {
	return fmt.Sprintf("%08x", digest.CRC32C(data))
}

// verifyChecksum compares data, from which m was parsed, with its checksum, if it has one.
func (m *Model) verifyChecksum(data []byte) error {
	value, ok := m.Meta(checksumKey)
	if !ok {
		return nil
	}
	entry, err := proto.Marshal(&onnxpb.ModelProto{MetadataProps: []*onnxpb.StringStringEntryProto{{Key: proto.String(
		checksumKey), Value: proto.String(value)}}})
	if err != nil {
		return m.Badf("%w", err)
	}
	if before, ok := bytes.CutSuffix(data, entry); !ok || checksum(before) != value {
		return m.Badf("damaged: its checksum is not the %q in its metadata; "+
			"take the file from a backup, or export it again", value)
	}
	return nil
}
