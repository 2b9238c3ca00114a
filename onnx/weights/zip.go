package weights

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"finetune/internal/plural"
)

// parseZip reads what torch.save writes since PyTorch 1.6: an archive of
// NAME/data.pkl, NAME/byteorder and NAME/data/KEY, none of them compressed.
func parseZip(r io.ReaderAt, size int64) ([]Tensor, error) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w; the file is cut short or damaged", err)
	}
	z := &zipStorages{files: map[string]*zip.File{}, bytes: binary.LittleEndian}
	var root string
	found := false
	for _, f := range archive.File {
		switch path.Base(f.Name) {
		case "constants.pkl":
			return nil, errors.New("a TorchScript archive; " +
				"save plain weights with torch.save(model.state_dict(), FILE)")
		case "data.pkl":
			root, found = strings.TrimSuffix(f.Name, "data.pkl"), true
		}
		z.files[f.Name] = f
	}
	if !found {
		return nil, errors.New("a zip archive without data.pkl; not written by torch.save")
	}
	z.root = root + "data/"
	if f := z.files[root+"byteorder"]; f != nil {
		b, err := readStored(f, size, 16)
		if err != nil {
			return nil, err
		}
		if string(b) == "big" {
			z.bytes = binary.BigEndian
		}
	}
	z.size = size
	pkl, err := readStored(z.files[root+"data.pkl"], size, maxHeader)
	if err != nil {
		return nil, err
	}
	value, err := newMachine(pkl).load()
	if err != nil {
		return nil, err
	}
	return readState(value, z)
}

type zipStorages struct {
	files map[string]*zip.File
	root  string
	bytes binary.ByteOrder
	size  int64 // of the archive
}

func (z *zipStorages) order() binary.ByteOrder { return z.bytes }

func (z *zipStorages) read(s storage) ([]byte, error) {
	f := z.files[z.root+s.key]
	if f == nil {
		return nil, fmt.Errorf("no storage %q in the archive", s.key)
	}
	b, err := readStored(f, z.size, maxElements*8)
	if err == nil && int64(len(b)) != s.numel*s.dtype.size {
		err = fmt.Errorf("storage %q has %s, %s of %s need %d", s.key, plural.Count(len(b), "byte"),
			plural.Count(s.numel, "element"), s.dtype.name, s.numel*s.dtype.size)
	}
	return b, err
}

// readStored reads an uncompressed member whole and lets package zip compare
// its checksum.
func readStored(f *zip.File, archive int64, limit uint64) ([]byte, error) {
	n := f.UncompressedSize64
	if f.Method != zip.Store || n != f.CompressedSize64 {
		return nil, fmt.Errorf("%s is compressed; torch.save does not do that", f.Name)
	}
	if n > limit || n >= uint64(archive) {
		return nil, fmt.Errorf("%s says it has %s, more than can be", f.Name, plural.Count(n, "byte"))
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	defer r.Close()
	b := make([]byte, n)
	if _, err = io.ReadFull(r, b); err == nil {
		if _, err = r.Read(make([]byte, 1)); err == io.EOF {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%s: %w; the file is cut short or damaged", f.Name, err)
}
