package graph

import (
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/internal/digest"
	"finetune/onnx/graph/onnxpb"
)

// sealKey is the metadata key of a checksum over all bytes of the file before it.
const sealKey = "finetune.crc32c"

// Seal adds a checksum to the metadata, which Read then checks: a file that
// changes afterwards is refused. Nothing may be added after it but another seal,
// which takes its place. A model with functions stays without: they come behind
// the metadata in a file.
func (m *Model) Seal() error {
	m.unseal()
	if len(m.Functions) > 0 {
		return nil
	}
	data, err := m.Bytes()
	if err != nil {
		return err
	}
	m.SetMeta(sealKey, checksum(data))
	sealed, err := m.Bytes()
	if err != nil {
		return err
	}
	return m.checkSeal(sealed)
}

// unseal takes a checksum of what the model was out of its metadata.
func (m *Model) unseal() {
	m.MetadataProps = slices.DeleteFunc(slices.Clone(m.MetadataProps), func(p *onnxpb.StringStringEntryProto) bool { return p.GetKey() == sealKey })
}

// Sealed reports whether the model has a checksum, or can have none.
func (m *Model) Sealed() bool {
	_, ok := m.Meta(sealKey)
	return ok || len(m.Functions) > 0
}

func checksum(data []byte) string {
	return fmt.Sprintf("%08x", digest.CRC32C(data))
}

// checkSeal compares data, from which m was parsed, with its checksum, if it has one.
func (m *Model) checkSeal(data []byte) error {
	value, ok := m.Meta(sealKey)
	if !ok {
		return nil
	}
	entry, err := proto.Marshal(&onnxpb.ModelProto{MetadataProps: []*onnxpb.StringStringEntryProto{{Key: proto.String(sealKey), Value: proto.String(value)}}})
	if err != nil {
		return m.badf("%w", err)
	}
	if before, ok := bytes.CutSuffix(data, entry); !ok || checksum(before) != value {
		return m.badf("damaged: its checksum is not the %q in its metadata; take the file from a backup, or export it again", value)
	}
	return nil
}
