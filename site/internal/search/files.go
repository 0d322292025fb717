package search

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sync/errgroup"
)

// File is one file of an index.
type File struct {
	Name string
	Data []byte
}

// Size is how large a file of an index is.
type Size struct {
	Name  string
	Bytes int
}

// Files returns all files of the index. Equal content gives equal files.
func (x *Index) Files() ([]File, error) {
	byName := map[string]File{}
	sizes, err := x.Each(context.Background(), 1, func(f File) error {
		byName[f.Name] = f
		return nil
	})
	out := make([]File, len(sizes))
	for i, s := range sizes {
		out[i] = byName[s.Name]
	}
	return out, err
}

// Each generates all files and passes them to yield, in up to workers goroutines, so not all files are in memory at once. It
// returns the sizes of the files in a fixed order. Updates of the index block until it returns.
func (x *Index) Each(ctx context.Context, workers int, yield func(File) error) ([]Size, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	makers := x.makers()
	sizes := make([]Size, len(makers))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i, m := range makers {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			data, err := m.data()
			if err != nil {
				return err
			}
			sizes[i] = Size{m.name, len(data)}
			return yield(File{m.name, data})
		})
	}
	return sizes, g.Wait()
}

// maker generates one file. Makers only read the index, so they may run concurrently.
type maker struct {
	name string
	data func() ([]byte, error)
}

// makers lists how to make every file.
func (x *Index) makers() []maker {
	pl := x.makePlan()
	var out []maker
	add := func(name string, data func() []byte) {
		out = append(out, maker{name, func() ([]byte, error) { return data(), nil }})
	}
	for n, bucket := range pl.buckets {
		if len(bucket) > 0 {
			add("h-"+strconv.Itoa(n)+".json", func() []byte { return x.termFile(bucket) })
		}
	}
	for _, prefix := range pl.prefixes {
		word := fileWord(prefix)
		at := pl.files[word]
		add("t-"+word+".json", func() []byte { return x.termFile(x.order[0][at[0]:at[1]]) })
	}
	for n := 0; n*pl.perFile < pl.docs; n++ {
		add("d-"+strconv.Itoa(n)+".json", func() []byte { return x.docFile(n) })
	}
	add(wordsName, x.wordsFile)
	return append(out, maker{indexName, x.indexFile})
}

const (
	indexName = "index.json"
	wordsName = "words.json"
)

// File returns one file of the index.
func (x *Index) File(name string) ([]byte, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	pl := x.makePlan()
	if name == indexName {
		data, err := x.indexFile()
		return data, err == nil
	}
	if name == wordsName {
		return x.wordsFile(), true
	}
	base, ok := strings.CutSuffix(name, ".json")
	kind, base, dash := strings.Cut(base, "-")
	if !ok || !dash {
		return nil, false
	}
	if kind == "t" {
		at, ok := pl.files[base]
		if !ok {
			return nil, false
		}
		return x.termFile(x.order[0][at[0]:at[1]]), true
	}
	n, err := strconv.Atoi(base)
	switch {
	case err != nil || strconv.Itoa(n) != base || n < 0:
	case kind == "h" && n < len(pl.buckets) && len(pl.buckets[n]) > 0:
		return x.termFile(pl.buckets[n]), true
	case kind == "d" && n <= (pl.docs-1)/pl.perFile && pl.docs > 0:
		return x.docFile(n), true
	}
	return nil, false
}

func (x *Index) indexFile() ([]byte, error) {
	data, err := json.Marshal(map[string]any{"docs": x.plan.docs, "perFile": x.plan.perFile, "prefixes": x.plan.prefixes, "han": len(x.plan.buckets)})
	if err != nil {
		return nil, fmt.Errorf("writing the search index: %w", err)
	}
	return data, nil
}

// wordsFile lists the most frequent words up to maxWords bytes. Words with digits are left out: nobody misspells them.
func (x *Index) wordsFile() []byte {
	var words []uint32
	for _, id := range x.order[0] {
		if text := x.terms[id].text; len(text) >= minWord && !strings.ContainsFunc(text, unicode.IsDigit) {
			words = append(words, id)
		}
	}
	slices.SortStableFunc(words, func(a, b uint32) int { return cmp.Compare(len(x.terms[b].list), len(x.terms[a].list)) })
	out := []byte{'['}
	for _, id := range words {
		text := x.terms[id].text
		if len(out)+len(text)+4 > maxWords {
			break
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), text...), '"')
	}
	return append(out, ']')
}

// termFile writes terms with their postings. Terms consist of letters and digits, so JSON needs no escaping.
func (x *Index) termFile(ids []uint32) []byte {
	size := 2
	for _, id := range ids {
		size += x.size(id)
	}
	out := append(make([]byte, 0, size), '{')
	var numbered []uint32
	for i, id := range ids {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '"')
		out = append(out, x.terms[id].text...)
		out = append(out, `":"`...)
		numbered = x.numbered(numbered[:0], x.terms[id].list)
		last := uint32(0)
		for i, p := range numbered {
			if i > 0 {
				out = append(out, ' ')
			}
			out = appendBase36(out, p>>weightBits-last)
			if w := p & (1<<weightBits - 1); w > 1 {
				out = appendBase36(append(out, '.'), w)
			}
			last = p >> weightBits
		}
		out = append(out, '"')
	}
	return append(out, '}')
}

// numbered appends postings to out, with section numbers instead of handles, sorted by number.
func (x *Index) numbered(out []uint32, list []posting) []uint32 {
	sorted := true
	for i, p := range list {
		out = append(out, x.plan.number[p.handle()]<<weightBits|uint32(p.weight()))
		sorted = sorted && (i == 0 || out[i-1] < out[i])
	}
	if sorted {
		return out
	}
	if len(out) < x.plan.docs/16 {
		slices.Sort(out)
		return out
	}
	// For a word in many sections, an array indexed by section is faster than sorting.
	weights := make([]uint8, x.plan.docs)
	for _, p := range out {
		weights[p>>weightBits] = uint8(p & (1<<weightBits - 1))
	}
	out = out[:0]
	for n, w := range weights {
		if w > 0 {
			out = append(out, uint32(n)<<weightBits|uint32(w))
		}
	}
	return out
}

func appendBase36(out []byte, n uint32) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	if n < 36 {
		return append(out, digits[n])
	}
	if n < 36*36 {
		return append(out, digits[n/36], digits[n%36])
	}
	return strconv.AppendUint(out, uint64(n), 36)
}

// docFile writes d-<n>.json.
func (x *Index) docFile(n int) []byte {
	pl := x.plan
	out := []byte{'['}
	// The page with the first of them is the last that begins there or before.
	at := sort.SearchInts(pl.base, n*pl.perFile+1) - 1
	for doc, last := n*pl.perFile, min((n+1)*pl.perFile, pl.docs); doc < last; doc++ {
		for doc >= pl.base[at]+pl.pages[at].docs {
			at++
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, x.rows[int(pl.pages[at].first)+doc-pl.base[at]]...)
	}
	return append(out, ']')
}

// fileWord makes a prefix into a file name: letters other than small Latin ones and digits by their code in underscores.
func fileWord(prefix string) string {
	var b strings.Builder
	for _, r := range prefix {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "_%x_", r)
		}
	}
	return b.String()
}
