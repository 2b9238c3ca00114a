//go:build unix

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// table is a Parquet file of one row: names of columns and their numbers in turn.
func table(t *testing.T, columns ...any) []byte {
	t.Helper()
	var fields []arrow.Field
	for i := 0; i < len(columns); i += 2 {
		fields = append(fields, arrow.Field{Name: columns[i].(string), Type: arrow.PrimitiveTypes.Float32})
	}
	schema := arrow.NewSchema(fields, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range fields {
		b.Field(i).(*array.Float32Builder).Append(float32(columns[2*i+1].(int)))
	}
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &out, nil, pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(b.NewRecordBatch()), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// tensors is a safetensors file of one byte a tensor: their names and bytes in turn.
func tensors(of ...any) []byte {
	header, body := map[string]any{}, []byte{}
	for i := 0; i < len(of); i += 2 {
		header[of[i].(string)] = map[string]any{"dtype": "U8", "shape": []int{1}, "data_offsets": []int{i / 2, i/2 + 1}}
		body = append(body, byte(of[i+1].(int)))
	}
	text, _ := json.Marshal(header)
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), body...)
}
