package images

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const helloText = `
Hello from Docker!
If you can read this, the engine of your node works.

What happened on the way to this text:
 1. The docker command asked the engine to run the image "hello-world".
 2. The engine had the image already; otherwise it would have pulled it.
 3. It made a container from the image and started the one program inside.
 4. The program wrote these lines, and the engine passed them on to you.

Something larger to try:
 $ docker run -it debian bash

`

// HelloProgram returns a static executable that prints a greeting and exits with 0. It is assembled
// here from two system calls, so no compiler for the architecture is needed.
func HelloProgram(arch string) ([]byte, error) {
	const (
		base       = 0x400000
		headerSize = 64 + 56 // ELF header and one program header
	)
	var machine uint16
	var code []byte
	switch arch {
	case "amd64":
		machine = 62
		b := []byte{0xb8, 1, 0, 0, 0} // mov eax, SYS_write
		b = append(b, 0xbf, 1, 0, 0, 0)
		b = append(b, 0x48, 0x8d, 0x35) // lea rsi, [rip+offset of the text]
		lea := len(b)
		b = append(b, 0, 0, 0, 0)
		b = append(b, 0xba) // mov edx, length
		b = binary.LittleEndian.AppendUint32(b, uint32(len(helloText)))
		b = append(b, 0x0f, 0x05)        // syscall
		b = append(b, 0xb8, 60, 0, 0, 0) // mov eax, SYS_exit
		b = append(b, 0x31, 0xff)        // xor edi, edi
		b = append(b, 0x0f, 0x05)
		binary.LittleEndian.PutUint32(b[lea:], uint32(len(b)-(lea+4)))
		code = b
	case "arm64":
		machine = 183
		movz := func(reg, value uint32) uint32 { return 0xd2800000 | value<<5 | reg }
		const adr = 1 // index of the instruction that takes the text's address
		words := []uint32{
			movz(0, 1),                      // x0 = stdout
			0x10000001,                      // adr x1, text
			movz(2, uint32(len(helloText))), // x2 = length
			movz(8, 64),                     // x8 = SYS_write
			0xd4000001,                      // svc 0
			movz(0, 0),
			movz(8, 93), // SYS_exit
			0xd4000001,
		}
		words[adr] |= uint32(len(words)-adr) << 5 // the distance is a multiple of 4, so its low two bits are 0
		for _, w := range words {
			code = binary.LittleEndian.AppendUint32(code, w)
		}
	default:
		return nil, fmt.Errorf("no greeting program for architecture %q", arch)
	}

	size := uint64(headerSize + len(code) + len(helloText))
	var out bytes.Buffer
	le := binary.LittleEndian
	h := make([]byte, headerSize)
	copy(h, "\x7fELF\x02\x01\x01") // 64 bit, little endian
	le.PutUint16(h[16:], 2)        // executable
	le.PutUint16(h[18:], machine)
	le.PutUint32(h[20:], 1)
	le.PutUint64(h[24:], base+headerSize) // entry
	le.PutUint64(h[32:], 64)              // program headers follow
	le.PutUint16(h[52:], 64)
	le.PutUint16(h[54:], 56)
	le.PutUint16(h[56:], 1)
	p := h[64:]
	le.PutUint32(p[0:], 1) // load
	le.PutUint32(p[4:], 5) // read and execute
	le.PutUint64(p[16:], base)
	le.PutUint64(p[24:], base)
	le.PutUint64(p[32:], size)
	le.PutUint64(p[40:], size)
	le.PutUint64(p[48:], 0x10000)
	out.Write(h)
	out.Write(code)
	out.WriteString(helloText)
	return out.Bytes(), nil
}
