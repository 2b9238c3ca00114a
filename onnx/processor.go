package onnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// headers say where the kinds of libraries name their processor, a number of 16
// bits, and what Go calls it.
var headers = []struct {
	magic string
	at    int
	names map[uint16]string
}{
	{"\x7fELF", 18, map[uint16]string{3: "386", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64"}},
	{"PE\x00\x00", 4, map[uint16]string{0x14c: "386", 0x8664: "amd64", 0xaa64: "arm64"}},
	{"\xcf\xfa\xed\xfe", 4, map[uint16]string{7: "amd64", 12: "arm64"}}, // Mach-O of 64 bits
}

// processor is the one that a library is for, as GOARCH calls it, by the first
// bytes of its file; "" where they do not say.
func processor(head []byte) string {
	if bytes.HasPrefix(head, []byte("MZ")) && len(head) >= 64 { // a PE header is further on
		head = head[min(uint64(binary.LittleEndian.Uint32(head[60:])), uint64(len(head))):]
	}
	for _, h := range headers {
		if bytes.HasPrefix(head, []byte(h.magic)) && len(head) >= h.at+2 {
			return h.names[binary.LittleEndian.Uint16(head[h.at:])]
		}
	}
	return ""
}

// foreign says that the library at path is for another processor, "" where it is not
// or cannot be told.
func foreign(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "" // whoever loads it says so
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, _ := io.ReadFull(f, head) // a shorter file is told by what there is
	if p := processor(head[:n]); p != "" && p != runtime.GOARCH {
		return fmt.Sprintf("%s is for %s, and this program for %s", path, p, runtime.GOARCH)
	}
	return ""
}

// passedOver names the libraries for other processors in folders, to be added to
// an error; "" where there are none.
func passedOver(folders []string) string {
	var all []string
	for _, f := range folders {
		list, _ := libraries(f) // that it cannot be listed was an error before
		for _, lib := range list {
			if other := foreign(lib); other != "" {
				all = append(all, other)
			}
		}
	}
	if all == nil {
		return ""
	}
	return " (" + strings.Join(all, "; ") + ")"
}
