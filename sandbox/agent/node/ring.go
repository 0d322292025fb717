package node

const (
	scrollback = 256 << 10 // bytes of output that a terminal keeps; a power of two
	firstRing  = 4 << 10   // enough for an idle shell
)

// ring keeps the last scrollback bytes of a stream, addressed by sequence number. It grows on
// demand.
type ring struct {
	buf        []byte // its length is a power of two
	start, end int64  // it holds the bytes from start to end-1
}

// append adds p and drops the oldest bytes when the ring is full. p is at most scrollback bytes
// long.
func (r *ring) append(p []byte) {
	need := int(r.end-r.start) + len(p)
	if size := len(r.buf); need > size && size < scrollback {
		size = max(size, firstRing)
		for size < need && size < scrollback {
			size *= 2
		}
		grown := ring{buf: make([]byte, size), start: r.start, end: r.start}
		a, b := r.parts(r.start, int(r.end-r.start))
		grown.put(a)
		grown.put(b)
		*r = grown
	}
	r.put(p)
	r.start = max(r.start, r.end-int64(len(r.buf)))
}

func (r *ring) put(p []byte) {
	if len(p) == 0 {
		return
	}
	i := int(r.end) & (len(r.buf) - 1)
	n := copy(r.buf[i:], p)
	copy(r.buf, p[n:])
	r.end += int64(len(p))
}

// parts returns n bytes from seq on, as the up to two pieces of memory that hold them. The bytes
// must be in the ring.
func (r *ring) parts(seq int64, n int) (a, b []byte) {
	if n == 0 {
		return nil, nil
	}
	i := int(seq) & (len(r.buf) - 1)
	if i+n <= len(r.buf) {
		return r.buf[i : i+n], nil
	}
	return r.buf[i:], r.buf[:n-(len(r.buf)-i)]
}

// copyTo copies bytes from seq on into p and returns their number.
func (r *ring) copyTo(p []byte, seq int64) int {
	n := min(len(p), int(r.end-seq))
	a, b := r.parts(seq, n)
	copy(p, a)
	copy(p[len(a):], b)
	return n
}

// lineStart returns the sequence number after the first newline within the first within bytes, or
// start. A replay that began inside an escape sequence would show the rest of it as text.
func (r *ring) lineStart(within int) int64 {
	n := min(within, int(r.end-r.start))
	a, b := r.parts(r.start, n)
	for i := range n {
		c := byte(0)
		if i < len(a) {
			c = a[i]
		} else {
			c = b[i-len(a)]
		}
		if c == '\n' {
			return r.start + int64(i) + 1
		}
	}
	return r.start
}
