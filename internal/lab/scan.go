package lab

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/labd-dev/labd/internal/fence"
	"github.com/labd-dev/labd/internal/source"
)

// document is one lab file, split into its parts.
type document struct {
	file    string
	content []byte
	lines   []string // without line endings
	errs    *source.List
	part    bool // it is included by other texts

	front     []byte // TOML of the front matter
	frontLine int    // line of the front matter's first line
	intro     Markdown
	sections  []*section
	loose     []*block // {run} and {save} blocks before the first section
}

// section is one step of a document.
type section struct {
	title  string
	anchor string
	line   int // line of the heading
	body   Markdown
	blocks []*block // special blocks, in order
	code   []*block // {run} and {save} blocks, in order
}

// block is one fenced code block.
type block struct {
	info info
	line int // line of the opening fence
	body []byte
}

// bodyLine returns the line of the first line of content.
func (b *block) bodyLine() int { return b.line + 1 }

// special has the kinds of blocks that are not part of the prose.
var special = map[string]bool{
	"check": true, "hint": true, "solution": true, "setup": true, "messages": true, "wrong": true, "undo": true,
}

// isScript has the special blocks that are scripts.
var isScript = map[string]bool{"solution": true, "setup": true, "wrong": true, "undo": true}

// info is a parsed info string.
type info struct {
	fence.Info        // a special block uses only Lang, which is its kind, and Node
	ID         string // {#id}
}

// parseInfo parses an info string. Special blocks have other attributes than blocks of the prose.
func parseInfo(s string) (info, error) {
	lang, attributes, err := fence.Split(s)
	in := info{Info: fence.Info{Lang: lang}}
	if err != nil {
		return in, err
	}
	for _, a := range attributes {
		id, hasID := strings.CutPrefix(a.Key, "#")
		switch {
		case hasID && lang != "wrong" && lang != "undo":
			return in, errors.New("only wrong and undo blocks can have an {#id}")
		case hasID && (id == "" || a.HasValue):
			return in, fmt.Errorf("write the id of a wrong state: %s {#id}", lang)
		case hasID:
			in.ID = id
		case a.Key == "node" && !isScript[lang]:
			if special[lang] {
				return in, fmt.Errorf("a %s block cannot have node", lang)
			}
			return in, fmt.Errorf("write {run=%s} to run this block there", a.Value)
		case a.Key == "node" && a.Value == "":
			return in, errors.New("node needs the name of a node: {node=node2}")
		case a.Key == "node":
			in.Node = a.Value
		case special[lang]:
			return in, fmt.Errorf("a %s block is not part of the prose and cannot have %s", lang, a.Key)
		}
	}
	if special[lang] {
		return in, nil
	}
	in.Info, err = fence.Of(lang, attributes)
	var unknown *fence.Error
	if errors.As(err, &unknown) {
		return in, fmt.Errorf("%w%s", err, source.Suggest(unknown.Key, unknown.Known))
	}
	return in, err
}

// doesTheSame reports whether a click on two blocks does the same. Their titles may differ.
func (in info) doesTheSame(other info) bool {
	return in.Lang == other.Lang && in.Run == other.Run && in.Node == other.Node && in.Save == other.Save
}

var (
	nested   = regexp.MustCompile(fmt.Sprintf(`^[ \t]*((>|([-+*:]|[0-9]{1,9}[.)])[ \t])[ \t]*){%d}`, maxNesting+1))
	linkName = regexp.MustCompile(`^ {0,3}\[[^\]]+\]:`)
	anchored = regexp.MustCompile(`^(.*?)[ \t]*\{#([^{}]*)\}$`)
	anchorOK = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	notSlug  = regexp.MustCompile(`[^a-z0-9]+`)
)

// errorf reports a mistake at a line, or at a column of it if col is not 0.
func (d *document) errorf(line, col int, format string, args ...any) {
	text := ""
	if line >= 1 && line <= len(d.lines) {
		text = d.lines[line-1]
	}
	d.errs.Add(&source.Error{File: d.file, Line: line, Col: col, Text: text, Msg: fmt.Sprintf(format, args...)})
}

// scan splits a lab file into front matter and sections. It adds mistakes to errs and returns as
// much as it can read.
func scan(file string, content []byte, errs *source.List) *document {
	d, ok := read(file, content, errs)
	if ok {
		d.split(d.scanFront())
	}
	return d
}

// scanPart splits an included text, which has no front matter.
func scanPart(file string, content []byte, errs *source.List) *document {
	d, ok := read(file, content, errs)
	if d.part = true; ok {
		d.split(0)
	}
	return d
}

// read splits content into lines. It returns false if content is not valid text or would take too
// long to parse.
func read(file string, content []byte, errs *source.List) (d *document, ok bool) {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	d = &document{file: file, content: content, errs: errs}
	for _, l := range strings.Split(string(content), "\n") {
		d.lines = append(d.lines, strings.TrimSuffix(l, "\r"))
	}
	for i, l := range d.lines {
		if !utf8.ValidString(l) {
			d.errorf(i+1, 0, "this line is not valid UTF-8: save the file as UTF-8")
			return d, false
		}
		if j := strings.IndexByte(l, 0); j >= 0 {
			d.errorf(i+1, 0, "this line contains a NUL byte: the file is not a text file")
			return d, false
		}
	}
	references := 0
	for i, l := range d.lines {
		if nested.MatchString(l) {
			d.errorf(i+1, 0, "more than %d nested quotes and lists", maxNesting)
			return d, false
		}
		if linkName.MatchString(l) {
			references++
		}
		if references > maxReferences {
			d.errorf(i+1, 0, "a lab has at most %d link reference definitions", maxReferences)
			return d, false
		}
	}
	return d, true
}

// scanFront finds the front matter and returns the index of the first line after it.
func (d *document) scanFront() int {
	if strings.TrimRight(d.lines[0], " \t") != "+++" {
		d.errorf(1, 0, "a lab begins with front matter: TOML between two lines of +++")
		return 0
	}
	for i := 1; i < len(d.lines); i++ {
		if strings.TrimRight(d.lines[i], " \t") == "+++" {
			d.front, d.frontLine = []byte(strings.Join(d.lines[1:i], "\n")), 2
			return i + 1
		}
	}
	d.errorf(1, 0, "the front matter is not closed: add a second line of +++")
	return len(d.lines)
}
