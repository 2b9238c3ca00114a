package digest

import "testing"

// want: the check value of CRC-32C in the catalogue of parametrised CRC algorithms, of the text "123456789".
func TestCRC32C(t *testing.T) {
	h := NewCRC32C()
	h.Write([]byte("12345"))
	h.Write([]byte("6789"))
	if got := CRC32C([]byte("123456789")); got != 0xe3069283 || h.Sum32() != got {
		t.Errorf("%08x at once and %08x in parts", got, h.Sum32())
	}
}
