// Package activations caches the features of a frozen body on disk, so that each
// photograph is computed once.
//
// A row of features has two keys: the Key of its cache, which names everything that the
// features depend on except the photograph, and the SHA-256 of the photograph's file.
// Names, folders and times of files do not matter. Only changed and added photographs are
// computed.
//
// On disk a key is a folder DIR/HASH with key.json and shards, Arrow IPC files
// that pandas.read_feather opens as well:
//
//	path      utf8                      as first seen, relative to its data set
//	label     utf8                      class name as first seen, or empty
//	digest    utf8                      SHA-256 of the file, 64 hex digits
//	features  fixed_size_list<float>[F]
//
// A shard appears by rename and never changes. Its name ends in the CRC-32C of its bytes.
// A shard whose bytes differ is set aside when it is opened, and its rows are computed
// again. Any number of processes may read and fill one folder.
package activations

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"finetune/internal/plural"
)

// format is the version of the folder and of the shards; a change makes every key new.
const format = 1

// Key names everything a row depends on besides the photograph's file. Two runs
// share rows exactly if their keys are equal.
type Key struct {
	Body       string `json:"body"`       // digest of the body's weights and graph
	Cut        string `json:"cut"`        // tensor whose pooled values are the features
	Preprocess string `json:"preprocess"` // resampling, crop, normalisation, in canonical form
	Size       int    `json:"size"`       // pixels a side
	View       string `json:"view"`       // "centre", or the augmentation with its seed and number
	Precision  string `json:"precision"`  // float32, or int8 and the digest of the quantised body
}

// keyFile is the content of key.json.
type keyFile struct {
	Format   int `json:"format"`
	Features int `json:"features"`
	Key      Key `json:"key"`
}

func (k keyFile) bytes() []byte {
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	return append(b, '\n')
}

// hash is the name of the key's folder.
func (k keyFile) hash() string {
	sum := sha256.Sum256(k.bytes())
	return hex.EncodeToString(sum[:16])
}

func parseKey(b []byte) (keyFile, error) {
	var k keyFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&k); err != nil {
		return keyFile{}, err
	}
	if k.Format != format || k.Features < 1 || k.Features > maxFeatures {
		return keyFile{}, fmt.Errorf("format %d with %s, this program knows format %d with 1 to %d", k.Format,
			plural.Count(k.Features, "feature"), format, maxFeatures)
	}
	return k, nil
}
