// Package graph reads, inspects, cuts, builds, joins and writes ONNX models.
//
// A Model is the protobuf message of the ONNX specification (package onnxpb)
// and the file it came from. Methods that return a *Model leave their receiver
// alone; the new model may share tensors with it, so treat weights as read-only
// or go through UpdateInitializers. A Model is not safe for concurrent writing.
//
// Source: https://github.com/onnx/onnx/blob/main/docs/IR.md and Operators.md.
package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/onnx/graph/onnxpb"
)

// MaxBytes is the largest model read or written: protobuf's own limit, 2 GB.
const MaxBytes = 1<<31 - 1

// Model is an ONNX model and where it came from; Path is "" for a built one.
type Model struct {
	*onnxpb.ModelProto
	Path string
}

// Read loads the model at path, with tensors kept in files beside it brought
// in as raw data. A broken or unsafe file is an error of kind failure.Data
// that names path and, where there is one, the node.
func Read(path string) (*Model, error) {
	data, err := readLimited(path)
	if err != nil {
		return nil, err
	}
	m, err := decode(data, path)
	if err != nil {
		return nil, err
	}
	if err := m.loadExternal(); err != nil {
		return nil, err
	}
	return m, m.Check()
}

// Parse is Read for bytes already at hand. References to external data stay
// references.
func Parse(data []byte) (*Model, error) {
	m, err := decode(data, "")
	if err != nil {
		return nil, err
	}
	return m, m.Check()
}

func decode(data []byte, path string) (*Model, error) {
	m := &Model{ModelProto: &onnxpb.ModelProto{}, Path: path}
	if len(data) > MaxBytes {
		return nil, m.Badf("%s, the limit is %d; keep weights as external data", plural.Count(len(data), "byte"), MaxBytes)
	}
	if what := reading.Other(data); what != "" {
		return nil, m.Badf("not an ONNX model but %s", what)
	}
	err := proto.Unmarshal(data, m.ModelProto)
	switch {
	case (err != nil || m.Graph == nil) && reading.Weights(data):
		return nil, m.Badf("not an ONNX model but weights without a network, as torch.save and safetensors write; " +
			"`finetune import NAME --weights FILE` makes a body of them, or export the network with torch.onnx.export")
	case err != nil:
		return nil, m.Badf("not an ONNX model (%w); check that the file is whole", err)
	case m.Graph == nil:
		return nil, m.Badf("no graph inside, so not an ONNX model; check that the file is the right one")
	}
	return m, m.verifyChecksum(data)
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("graph: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, failure.Data(fmt.Errorf("graph: %s: not a regular file; name an .onnx file", path))
	}
	if info.Size() > MaxBytes {
		return nil, failure.Data(fmt.Errorf("graph: %s: %s, the limit is %d; keep weights as external data", path,
			plural.Count(info.Size(), "byte"), MaxBytes))
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("graph: %s: %w", path, err)
	}
	return data, nil
}

// Bytes is the model as a file's content. Equal models give equal bytes.
func (m *Model) Bytes() ([]byte, error) {
	if n := proto.Size(m.ModelProto); n > MaxBytes {
		return nil, m.Badf("%s, the limit of an ONNX file is %d; use a smaller model", plural.Count(n, "byte"), MaxBytes)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.ModelProto)
	if err != nil {
		return nil, m.Badf("cannot be written: %w", err)
	}
	return data, nil
}

// Write puts the model into one file at path, which appears whole or not at all.
func (m *Model) Write(path string) error {
	data, err := m.Bytes()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(path, data); err != nil {
		return fmt.Errorf("graph: %w", err)
	}
	return nil
}

// Digest is the SHA-256 of Bytes in hexadecimal.
func (m *Model) Digest() (string, error) {
	data, err := m.Bytes()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// Meta returns the metadata value stored under key and whether there is one.
func (m *Model) Meta(key string) (string, bool) {
	for _, p := range m.MetadataProps {
		if p.GetKey() == key {
			return p.GetValue(), true
		}
	}
	return "", false
}

// SetMeta stores value under key in the model's metadata, in place of an older one.
func (m *Model) SetMeta(key, value string) {
	entry := &onnxpb.StringStringEntryProto{Key: proto.String(key), Value: proto.String(value)}
	m.MetadataProps = slices.Clone(m.MetadataProps) // other models may share it
	i := slices.IndexFunc(m.MetadataProps, func(p *onnxpb.StringStringEntryProto) bool { return p.GetKey() == key })
	if i >= 0 {
		m.MetadataProps[i] = entry
		return
	}
	m.MetadataProps = append(m.MetadataProps, entry)
}

// Opset is the version of ONNX's own operators that the model imports, 0 if none.
func (m *Model) Opset() int64 {
	for _, o := range m.OpsetImport {
		if IsONNX(o.GetDomain()) {
			return o.GetVersion()
		}
	}
	return 0
}

// IsONNX reports whether a domain is that of ONNX's own operators.
func IsONNX(domain string) bool { return domain == "" || domain == "ai.onnx" }

// Badf makes an error of kind failure.Data that names the model's file.
func (m *Model) Badf(format string, a ...any) error {
	where := m.Path
	if where == "" {
		where = "model"
		if n := m.GetGraph().GetName(); n != "" {
			where = fmt.Sprintf("model %q", n)
		}
	}
	return failure.Data(fmt.Errorf("graph: %s: %w", where, fmt.Errorf(format, a...)))
}

// InputNames lists the inputs a caller must feed: those without a default.
func (m *Model) InputNames() []string {
	inits := m.Initializers()
	var names []string
	for _, in := range m.Graph.Input {
		if inits[in.GetName()] == nil {
			names = append(names, in.GetName())
		}
	}
	return names
}
