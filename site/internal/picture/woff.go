package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Limits on fonts.
const (
	maxFont   = 32 << 20 // bytes, unpacked
	maxTables = 64
)

var errFont = errors.New("this is not a whole WOFF font")

// unpackWOFF returns the OpenType font in a WOFF file of version 1, whose tables are packed one by one. What is no WOFF is
// returned as it is.
func unpackWOFF(data []byte) ([]byte, error) {
	const header, entry = 44, 20
	if !bytes.HasPrefix(data, []byte("wOFF")) {
		return data, nil
	}
	if len(data) < header {
		return nil, errFont
	}
	n := int(binary.BigEndian.Uint16(data[12:]))
	if n == 0 || n > maxTables || len(data) < header+n*entry {
		return nil, errFont
	}
	total := 12 + 16*int64(n)
	for i := range n {
		total += int64(binary.BigEndian.Uint32(data[header+i*entry+12:])) + 3
	}
	if total > maxFont {
		return nil, fmt.Errorf("a font may have at most %d MiB", maxFont>>20)
	}
	out := make([]byte, 12+16*n, total)
	copy(out, data[4:8])
	binary.BigEndian.PutUint16(out[4:], uint16(n))
	search, log := 1, 0
	for ; search*2 <= n; log++ {
		search *= 2
	}
	binary.BigEndian.PutUint16(out[6:], uint16(16*search))
	binary.BigEndian.PutUint16(out[8:], uint16(log))
	binary.BigEndian.PutUint16(out[10:], uint16(16*(n-search)))
	for i := range n {
		e := data[header+i*entry:]
		offset, packed, size := int64(binary.BigEndian.Uint32(e[4:])), int64(binary.BigEndian.Uint32(e[8:])), int(binary.BigEndian.Uint32(e[12:]))
		if offset+packed > int64(len(data)) || packed > int64(size) {
			return nil, errFont
		}
		record := out[12+16*i:]
		copy(record, e[:4])
		copy(record[4:8], e[16:20])
		binary.BigEndian.PutUint32(record[8:], uint32(len(out)))
		binary.BigEndian.PutUint32(record[12:], uint32(size))
		table := data[offset : offset+packed]
		if packed < int64(size) {
			r, err := zlib.NewReader(bytes.NewReader(table))
			if err != nil {
				return nil, errFont
			}
			table = make([]byte, size)
			if _, err := io.ReadFull(r, table); err != nil {
				return nil, errFont
			}
		}
		out = append(out, table...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out, nil
}
