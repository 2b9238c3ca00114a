package digest

import (
	"hash"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC32C is the checksum that files of ours carry against damage: Castagnoli's
// polynomial, for which processors have an instruction.
func CRC32C(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

// NewCRC32C computes the checksum of what is written to it.
func NewCRC32C() hash.Hash32 { return crc32.New(castagnoli) }
