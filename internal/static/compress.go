package static

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
)

// How hard brotli works. What every page loads is worth it; for pages the best takes 60 times as long as the middle and
// saves a tenth.
const (
	brotliAssets = brotli.BestCompression
	brotliPages  = 6
)

// brotliOnDemand takes about as long as gzip does, and saves 6 to 13 % of what that makes.
const brotliOnDemand = 5

// Endings of compressed files, which stand beside those that they are of.
const (
	brotliExt = ".br"
	gzipExt   = ".gz"
)

// Compressor writes files and, beside text that gains by it, the same compressed: for servers that send it as it is.
type Compressor struct {
	write   func(name string, data []byte) error
	zips    sync.Pool // of *gzip.Writer
	brotlis [2]sync.Pool
}

// NewCompressor returns a Compressor that writes with write.
func NewCompressor(write func(name string, data []byte) error) *Compressor {
	c := &Compressor{write: write}
	c.zips.New = func() any {
		w, err := gzip.NewWriterLevel(io.Discard, gzip.BestCompression)
		if err != nil {
			return nil // there is such a level
		}
		return w
	}
	for i, level := range []int{brotliPages, brotliAssets} {
		c.brotlis[i].New = func() any { return brotli.NewWriterLevel(io.Discard, level) }
	}
	return c
}

// packer is what both compressions have in common.
type packer interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// Write writes a file, and what belongs beside it. It is safe for concurrent use if the write that it was made of is.
func (c *Compressor) Write(name string, data []byte) error {
	if err := c.write(name, data); err != nil {
		return err
	}
	if !compressible(name) || len(data) < minCompressed {
		return nil
	}
	brotlis := &c.brotlis[0]
	if strings.HasPrefix(name, "assets/") {
		brotlis = &c.brotlis[1]
	}
	for _, form := range []struct {
		ext  string
		pool *sync.Pool
	}{{gzipExt, &c.zips}, {brotliExt, brotlis}} {
		w, ok := form.pool.Get().(packer)
		if !ok {
			return fmt.Errorf("compressing %s: no Compressor", name)
		}
		var buf bytes.Buffer
		w.Reset(&buf)
		_, err := w.Write(data)
		if cerr := w.Close(); err == nil {
			err = cerr
		}
		form.pool.Put(w)
		if err != nil {
			return fmt.Errorf("compressing %s: %w", name, err)
		}
		if buf.Len() < len(data) {
			if err := c.write(name+form.ext, buf.Bytes()); err != nil {
				return err
			}
		}
	}
	return nil
}

// coding is a form in which a file may be sent.
type coding struct {
	name, ext string
	onDemand  func(io.Writer) io.WriteCloser
}

// accepted reads an Accept-Encoding header: the compressions that a client takes, best first. "br;q=0" refuses one, and
// "*" stands for those that are not named.
func accepted(header string) []coding {
	all := []coding{
		{"br", brotliExt, func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, brotliOnDemand) }},
		{"gzip", gzipExt, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }},
	}
	weight := map[string]float64{}
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		q := 1.0
		if v, ok := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(params, " ", "")), "q="); ok {
			q = quality(v)
		}
		weight[name] = q
	}
	of := func(name string) float64 {
		if q, ok := weight[name]; ok {
			return q
		}
		return weight["*"]
	}
	var out []coding
	for _, c := range all {
		if of(c.name) > 0 {
			out = append(out, c)
		}
	}
	if len(out) == 2 && of("gzip") > of("br") {
		out[0], out[1] = out[1], out[0]
	}
	return out
}

// quality reads a weight between 0 and 1; what is none counts as 0.
func quality(s string) float64 {
	q, err := strconv.ParseFloat(s, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}
