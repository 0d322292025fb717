// Package report collects what an import lost or changed. It prints a summary that fits on one
// screen, and the full list.
//
// Every entry has a Kind. The kind decides how important the entry is and what the author can do
// about it. Lost content therefore comes first, and does not drown in thousands of notes.
package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labd-dev/labd/internal/source"
)

// Limits on the entries that are kept. Counts include the others.
const (
	maxPerKind = 20_000 // entries of one kind
	maxText    = 200    // runes of a source line
)

// Weight is how much an entry matters to readers of the course.
type Weight uint8

// The weights, heaviest first.
const (
	Error   Weight = iota // the course does not build until it is corrected
	Lost                  // readers of the source see something that is missing from the course
	Changed               // it is there, but reads differently
	Note                  // settings or styling, or something that was not visible before
)

func (w Weight) String() string { return [...]string{"error", "lost", "changed", "note"}[w] }

// Log collects the entries of one import. The zero value is ready. It is not safe for concurrent
// use.
type Log struct {
	entries [kinds]source.List
	counts  [kinds]int
}

// Add adds an entry.
func (l *Log) Add(k Kind, e *source.Error) {
	l.counts[k]++
	if len(l.entries[k]) >= maxPerKind {
		return
	}
	if utf8.RuneCountInString(e.Text) > maxText {
		e.Text = string([]rune(e.Text)[:maxText])
	}
	l.entries[k].Add(e)
}

// Addf adds an entry at a place: file, line and the line itself.
func (l *Log) Addf(k Kind, at source.Error, format string, args ...any) {
	at.Msg = fmt.Sprintf(format, args...)
	l.Add(k, &at)
}

// Len returns the number of entries.
func (l *Log) Len() int {
	n := 0
	for _, c := range l.counts {
		n += c
	}
	return n
}

// Lost returns the number of entries about lost content.
func (l *Log) Lost() int {
	n := 0
	for k, c := range l.counts {
		if table[k].weight == Lost {
			n += c
		}
	}
	return n
}

// Count returns the number of entries of a kind.
func (l *Log) Count(k Kind) int { return l.counts[k] }

// Truncate removes all entries that were added after old was copied from l.
func (l *Log) Truncate(old Log) {
	for k := range l.entries {
		l.entries[k] = l.entries[k][:len(old.entries[k])]
	}
	l.counts = old.counts
}

// Entries returns the entries that were kept, sorted by file and line.
func (l *Log) Entries() source.List {
	var all source.List
	for _, list := range l.entries {
		all = append(all, list...)
	}
	sortByPlace(all)
	return all
}

func sortByPlace(list source.List) {
	slices.SortStableFunc(list, func(a, b *source.Error) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line)
	})
}

// Row is one line of the summary.
type Row struct {
	Kind   Kind
	Weight Weight
	Count  int
	First  string // the first place, as file:line
	What   string
	Advice string
}

// Rows returns one row per kind that has entries, sorted by weight, then by count.
func (l *Log) Rows() []Row {
	var rows []Row
	for k := range l.entries {
		if l.counts[k] == 0 {
			continue
		}
		sortByPlace(l.entries[k])
		first := l.entries[k][0]
		place := first.File
		if first.Line > 0 {
			place = fmt.Sprintf("%s:%d", first.File, first.Line)
		}
		t := table[k]
		rows = append(rows, Row{Kind: Kind(k), Weight: t.weight, Count: l.counts[k], First: place, What: t.what, Advice: t.advice})
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Weight, b.Weight), cmp.Compare(b.Count, a.Count))
	})
	return rows
}

// Widths of the summary's columns, in terminal cells.
const (
	whatWidth  = 46
	placeWidth = 40
)

// Summary prints one line per kind. Below kinds that lost or changed content, it prints the advice.
func (l *Log) Summary(w io.Writer) error {
	var b strings.Builder
	for _, r := range l.Rows() {
		fmt.Fprintf(&b, "%-8s%6d  %s  %s\n", r.Weight, r.Count, pad(r.What, whatWidth), tail(r.First, placeWidth))
		if r.Advice != "" && r.Weight != Note {
			fmt.Fprintf(&b, "%16s%s\n", "", r.Advice)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteAll prints every entry, by kind.
func (l *Log) WriteAll(w io.Writer) error {
	for _, r := range l.Rows() {
		head := fmt.Sprintf("%s: %s (%d)\n", r.Weight, r.What, r.Count)
		if r.Advice != "" {
			head += r.Advice + "\n"
		}
		if _, err := io.WriteString(w, head+"\n"); err != nil {
			return err
		}
		for _, e := range l.entries[r.Kind] {
			if _, err := fmt.Fprintln(w, e); err != nil {
				return err
			}
		}
		if more := r.Count - len(l.entries[r.Kind]); more > 0 {
			if _, err := fmt.Fprintf(w, "… and %d more\n", more); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	return nil
}

// pad appends spaces up to a width.
func pad(s string, width int) string {
	n := cells(s)
	if n > width {
		return s
	}
	return s + strings.Repeat(" ", width-n)
}

// tail returns the end of a path, cut to a width.
func tail(s string, width int) string {
	runes := []rune(s)
	n := cells(s)
	if n <= width {
		return s
	}
	i := 0
	for ; i < len(runes) && n > width-1; i++ {
		n -= cells(string(runes[i]))
	}
	return "…" + string(runes[i:])
}

// cells returns the width of a text in a terminal. Chinese characters take two cells.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x1100 && r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0x1f300 && r <= 0x1faff {
			n++
		}
	}
	return n
}
