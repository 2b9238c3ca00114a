package activations

import (
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// small is the size up to which a file is read, not mapped. Windows removes no
// file that is mapped, and the files that compact removes hold less than half
// of a shard's 8 MB.
const small = 6 << 20

// mapped gives the first n bytes of f as memory, which outlives f. Owned by the caller, freed by unmap.
func mapped(f *os.File, n int) ([]byte, error) {
	if n <= small {
		data := make([]byte, n)
		_, err := io.ReadFull(f, data)
		return data, err
	}
	h, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, windows.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return nil, os.NewSyscallError("CreateFileMapping", err)
	}
	defer windows.CloseHandle(h) // the view keeps what it needs
	at, err := windows.MapViewOfFile(h, windows.FILE_MAP_READ, 0, 0, uintptr(n))
	if err != nil {
		return nil, os.NewSyscallError("MapViewOfFile", err)
	}
	// a view is no memory of Go's: its address is no pointer to vet
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), n), nil
}

func unmap(data []byte) error {
	if len(data) <= small {
		return nil
	}
	return os.NewSyscallError("UnmapViewOfFile", windows.UnmapViewOfFile(uintptr(unsafe.Pointer(unsafe.SliceData(data)))))
}
