// Package source reports mistakes in files that people write, and reads the TOML in them. A report
// names the file, the line and the column, shows the line, and says what to do:
//
//	labs/first-container/lab.md:14:1: unknown key "tittle" (did you mean "title"?)
//	   14 | tittle = "First containers"
//	      | ^
//
// All mistakes of a file, or of several files, are collected in a List and reported together.
package source

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// maxShown is how many runes of the line a message shows.
const maxShown = 160

// Error is one mistake in a file.
type Error struct {
	File string // slash-separated path, as the author calls the file
	Line int    // 1-based; 0 for the whole file
	Col  int    // 1-based, in runes; 0 for the whole line
	Text string // the line
	Msg  string // what is wrong and what to do, without a final period
}

// At returns an Error at a 1-based line of content, with the line as its Text.
func At(file string, content []byte, line, col int, format string, args ...any) *Error {
	return &Error{File: file, Line: line, Col: col, Text: LineOf(content, line), Msg: fmt.Sprintf(format, args...)}
}

// Placed returns a copy of at with a message for its whole line.
func Placed(at Error, format string, args ...any) *Error {
	at.Col, at.Msg = 0, fmt.Sprintf(format, args...)
	return &at
}

// LineOf returns the 1-based line of content without its line ending, or "" if there is no such
// line.
func LineOf(content []byte, line int) string {
	if line < 1 {
		return ""
	}
	for ; line > 1; line-- {
		i := bytes.IndexByte(content, '\n')
		if i < 0 {
			return ""
		}
		content = content[i+1:]
	}
	content, _, _ = bytes.Cut(content, []byte("\n"))
	return string(bytes.TrimSuffix(content, []byte("\r")))
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
		if e.Col > 0 {
			fmt.Fprintf(&b, ":%d", e.Col)
		}
	}
	b.WriteString(": " + e.Msg)
	if e.Line > 0 && strings.TrimSpace(e.Text) != "" {
		text := strings.ReplaceAll(strings.ToValidUTF8(e.Text, "\uFFFD"), "\t", " ")
		if utf8.RuneCountInString(text) > maxShown {
			text = string([]rune(text)[:maxShown]) + "…"
		}
		fmt.Fprintf(&b, "\n%5d | %s", e.Line, text)
		if e.Col > 0 && e.Col <= maxShown {
			b.WriteString("\n      | " + strings.Repeat(" ", e.Col-1) + "^")
		}
	}
	return b.String()
}

// List collects mistakes, because authors want to see all of them in one run.
type List []*Error

// Add appends e.
func (l *List) Add(e *Error) { *l = append(*l, e) }

// Err sorts the list by file and line and returns it as one error, or nil if it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	sort.SliceStable(l, func(i, j int) bool {
		if l[i].File != l[j].File {
			return l[i].File < l[j].File
		}
		return l[i].Line < l[j].Line
	})
	errs := make([]error, len(l))
	for i, e := range l {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// Mistakes splits an error that List.Err or errors.Join made into its mistakes and all other errors
// in it.
func Mistakes(err error) (List, error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list List
		var others []error
		for _, e := range joined.Unwrap() {
			l, other := Mistakes(e)
			list = append(list, l...)
			others = append(others, other)
		}
		return list, errors.Join(others...)
	}
	var one *Error
	if errors.As(err, &one) {
		return List{one}, nil
	}
	return nil, err
}

// Counted prefixes an error with the number of mistakes in it. It returns an error without mistakes
// unchanged.
func Counted(err error) error {
	switch list, _ := Mistakes(err); len(list) {
	case 0:
		return err
	case 1:
		return fmt.Errorf("1 mistake\n%w", err)
	default:
		return fmt.Errorf("%d mistakes\n%w", len(list), err)
	}
}

// Nearest returns the candidate most like name, or "" if none is near enough to be a typing
// mistake. A wrong guess is worse than none, so few edits are allowed: none in names of one or two
// letters, one in three to five, two in six to eight, three in longer ones. Names of three letters
// must also begin alike: "kql" is not a misspelt "sql".
func Nearest(name string, candidates []string) string {
	typed := []rune(name)
	best, bestEdits := "", 0
	for _, c := range candidates {
		known := []rune(c)
		limit := maxEdits(min(len(typed), len(known)))
		if best != "" {
			limit = min(limit, bestEdits-1)
		}
		edits := editDistance(typed, known, limit)
		if edits > limit || edits > 0 && isShort(typed, known) && !beginAlike(typed, known) {
			continue
		}
		best, bestEdits = c, edits
	}
	return best
}

// maxEdits is how many edits a typing mistake in a name of n letters has at most.
func maxEdits(n int) int {
	switch {
	case n <= 2:
		return 0
	case n <= 5:
		return 1
	case n <= 8:
		return 2
	}
	return 3
}

func isShort(a, b []rune) bool { return min(len(a), len(b)) <= 3 }

// beginAlike reports whether two names begin with the same letter, or with the same two in either
// order.
func beginAlike(a, b []rune) bool {
	return a[0] == b[0] || a[0] == b[1] && a[1] == b[0]
}

// DidYouMean returns the end of a message about an unknown name: ' (did you mean "title"?)', or ""
// if no candidate is similar.
func DidYouMean(name string, candidates []string) string {
	return DidYouMeanAs("%q", name, candidates)
}

// DidYouMeanAs is DidYouMean with a format for the candidate, for example "[!%s]".
func DidYouMeanAs(format, name string, candidates []string) string {
	if near := Nearest(name, candidates); near != "" {
		return fmt.Sprintf(" (did you mean "+format+"?)", near)
	}
	return ""
}

// Suggest is DidYouMean, but lists all candidates if none is similar.
func Suggest(name string, candidates []string) string {
	if near := DidYouMean(name, candidates); near != "" || len(candidates) == 0 {
		return near
	}
	return "; known: " + strings.Join(candidates, ", ")
}

// editDistance returns how many insertions, deletions, replacements and swaps of neighbours turn a
// into b (optimal string alignment), or limit+1 if they are more than limit.
func editDistance(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	var before []int // the row before the last
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
