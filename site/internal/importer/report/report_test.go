package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/source"
)

func TestEveryKindHasADescription(t *testing.T) {
	for k := range kinds {
		if table[k].what == "" {
			t.Errorf("kind %d has no description", k)
		}
		if table[k].weight <= Lost && table[k].advice == "" {
			t.Errorf("%q is an error or loses content, and has no advice", table[k].what)
		}
	}
}

func TestSummaryFitsOnOneScreenAndShowsLostContentFirst(t *testing.T) {
	var l Log
	for i := range 30_000 {
		l.Add(CommentRemoved, &source.Error{File: fmt.Sprintf("b%05d.md", i), Line: 3, Msg: "a comment"})
	}
	l.Add(LinkBroken, &source.Error{File: "z.md", Line: 9, Msg: "a link"})
	l.Add(LinkBroken, &source.Error{File: "a.md", Line: 7, Msg: "a link"})
	l.Add(PictureMissing, &source.Error{File: "课程/一个很长很长很长很长很长很长很长很长很长的名字.md", Line: 1, Text: strings.Repeat("好", 5000), Msg: "a picture"})
	var b strings.Builder
	if err := l.Summary(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines:\n%s", len(lines), b.String())
	}
	for i, want := range []string{"lost         1  pictures and files", "Put the file", "changed      2  links that lead nowhere, which become text      a.md:7", "Correct the link", "note     30000  comments"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %q, want %q", i+1, lines[i], want)
		}
	}
	if cells(lines[0]) > 110 {
		t.Errorf("the line is %d cells wide: %s", cells(lines[0]), lines[0])
	}
	if l.Lost() != 1 || l.Len() != 30_003 || len(l.Entries()) != 20_003 {
		t.Errorf("%d lost of %d, %d kept", l.Lost(), l.Len(), len(l.Entries()))
	}
	b.Reset()
	if err := l.WriteAll(&b); err != nil {
		t.Fatal(err)
	}
	all := b.String()
	if !strings.HasPrefix(all, "lost: pictures") || !strings.Contains(all, "… and 10000 more") || strings.Index(all, "a.md:7") > strings.Index(all, "z.md:9") {
		t.Errorf("the whole list begins %.300s", all)
	}
}

func TestTruncateRemovesLaterEntries(t *testing.T) {
	var l Log
	l.Add(Extra, &source.Error{File: "a"})
	old := l
	l.Add(Extra, &source.Error{File: "b"})
	l.Add(Styling, &source.Error{File: "c"})
	l.Truncate(old)
	if l.Len() != 1 || len(l.Entries()) != 1 {
		t.Errorf("%d entries", l.Len())
	}
}
