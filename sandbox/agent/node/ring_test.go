package node

import (
	"bytes"
	"testing"
)

func FuzzRing(f *testing.F) {
	f.Add([]byte{1, 200, 30}, uint16(5))
	f.Fuzz(func(t *testing.T, sizes []byte, step uint16) {
		var r ring
		var all []byte
		for i, s := range sizes {
			p := make([]byte, min(int(s)*int(step), ptyRead))
			for j := range p {
				p[j] = byte(i*31 + j)
			}
			r.append(p)
			all = append(all, p...)
			if r.end != int64(len(all)) || r.start < 0 || r.end-r.start > scrollback || r.end-r.start < min(r.end, scrollback/2) {
				t.Fatalf("holds %d to %d of %d", r.start, r.end, len(all))
			}
			from := r.start + (r.end-r.start)/3
			got := make([]byte, r.end-from)
			if n := r.copyTo(got, from); n != len(got) || !bytes.Equal(got, all[from:]) {
				t.Fatalf("copy from %d of %d is wrong", from, len(all))
			}
			if ls := r.lineStart(lineSearch); ls < r.start || ls > r.end || (ls > r.start && all[ls-1] != '\n') {
				t.Fatalf("line starts at %d", ls)
			}
		}
	})
}
