package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/source"
)

const (
	// maxInFull is how many findings of one kind are printed in full. More are summed up in two
	// lines.
	maxInFull = 3
	// maxPlaces is how many places that summary names.
	maxPlaces = 3
	// maxKinds keeps a report on one screen, however many kinds there are.
	maxKinds = 20
)

// finding is one thing to tell an author about their files: a warning of check, or something that
// import changed.
type finding struct {
	kind   string // findings of the same kind are summed up together
	place  string // file:line, or a file
	text   string // what was found, in one sentence
	advice string // what to do about it; may be empty
	lost   bool   // content was lost; such kinds come first
	detail string // printed below the sentence when the finding is shown in full; may be empty
}

// String is the finding in full.
func (f finding) String() string {
	s := f.place + ": " + f.text
	if f.advice != "" {
		s += "; " + f.advice
	}
	if f.detail != "" {
		s += "\n" + f.detail
	}
	return s
}

// kindOfFindings is all findings of one kind, in the order in which they were found.
type kindOfFindings []finding

// byKind groups findings: kinds that lost content first, then the most frequent, then in the order
// of the first finding.
func byKind(list []finding) []kindOfFindings {
	at := map[string]int{}
	var kinds []kindOfFindings
	for _, f := range list {
		i, ok := at[f.kind]
		if !ok {
			i = len(kinds)
			at[f.kind], kinds = i, append(kinds, nil)
		}
		kinds[i] = append(kinds[i], f)
	}
	rank := func(k kindOfFindings) int {
		if k[0].lost {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(kinds, func(a, b kindOfFindings) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(len(b), len(a)))
	})
	return kinds
}

// printFindings prints findings grouped by kind, each line of a kind after prefix:
//
//	warning: 297 × an image has no alt text; write it between the brackets
//	    first: content/en/a/b.md:3, content/en/a/c.md:9, content/en/b/a.md:12
//
// It returns how many findings it left out. Whoever gets a number above 0 should say where the
// whole list is.
func printFindings(w io.Writer, prefix string, list []finding) (leftOut int) {
	kinds := byKind(list)
	for i, k := range kinds {
		if i == maxKinds && len(kinds) > maxKinds+1 {
			rest := 0
			for _, k := range kinds[i:] {
				rest += len(k)
			}
			fmt.Fprintf(w, "%sand %d more of %d other kinds\n", prefix, rest, len(kinds)-i)
			return leftOut + rest
		}
		if len(k) <= maxInFull {
			for _, f := range k {
				fmt.Fprintln(w, prefix+f.String())
			}
			continue
		}
		leftOut += len(k) - maxPlaces
		fmt.Fprintf(w, "%s%d × %s", prefix, len(k), k[0].text)
		if k[0].advice != "" {
			fmt.Fprintf(w, "; %s", k[0].advice)
		}
		places := make([]string, 0, maxPlaces)
		for _, f := range k {
			if len(places) < maxPlaces && !slices.Contains(places, f.place) {
				places = append(places, f.place)
			}
		}
		fmt.Fprintf(w, "\n    first: %s\n", strings.Join(places, ", "))
	}
	return leftOut
}

// writeFindings writes all findings in full to a file, grouped by kind.
func writeFindings(file string, list []finding) error {
	var b strings.Builder
	for i, k := range byKind(list) {
		if i > 0 {
			b.WriteByte('\n')
		}
		for _, f := range k {
			b.WriteString(f.String() + "\n")
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o644) //nolint:gosec // a report is for everybody to read
}

// warningFindings turns warnings into findings.
func warningFindings(warnings source.List) []finding {
	out := make([]finding, len(warnings))
	for i, w := range warnings {
		place := w.File
		if w.Line > 0 {
			place = fmt.Sprintf("%s:%d", w.File, w.Line)
		}
		out[i] = finding{kind: kindOf(w.Msg), place: place, text: w.Msg}
		if first, rest, ok := strings.Cut(w.Error(), "\n"); ok {
			out[i].detail = rest
			out[i].place = strings.TrimSuffix(strings.TrimSuffix(first, w.Msg), ": ")
		}
	}
	return out
}

// variable matches the parts of a message that differ between messages of one kind: quoted text,
// code, parentheses, and words with a digit, a slash, or a dot inside, which are counts, paths and
// file names.
var variable = regexp.MustCompile("`[^`]*`|" + `"(?:\\.|[^"\\])*"|\([^()]*\)|[^\s";,()]*(?:[0-9/\\]|\.[\pL])[^\s";,()]*`)

// kindOf is what messages that come from the same format string have in common.
func kindOf(msg string) string { return variable.ReplaceAllString(msg, "…") }
