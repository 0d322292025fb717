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

// document is one lab file, cut into its parts.
type document struct {
	file    string
	content []byte
	lines   []string // without line ends
	errs    *source.List
	part    bool // others include it

	front     []byte // TOML of the front matter
	frontLine int    // of its first line
	intro     Markdown
	sections  []*section
	loose     []*block // {run} and {save} blocks before the first section
}

// section is one step as written.
type section struct {
	title  string
	anchor string
	line   int // of the heading
	body   Markdown
	blocks []*block // special ones, in order
	code   []*block // {run} and {save} blocks of the prose, in order
}

// block is one fenced block.
type block struct {
	info info
	line int // of the opening fence
	body []byte
}

// bodyLine is the line of the block's first line of content.
func (b *block) bodyLine() int { return b.line + 1 }

// special are the blocks that are not part of the prose.
var special = map[string]bool{
	"check": true, "hint": true, "solution": true, "setup": true, "messages": true, "wrong": true, "undo": true,
}

// isScript holds those of them that run in a node.
var isScript = map[string]bool{"solution": true, "setup": true, "wrong": true, "undo": true}

// info is what stands behind the back-ticks that open a block.
type info struct {
	fence.Info        // of a special block only Lang, its kind, and Node
	ID         string // {#id}
}

// parseInfo reads it: the special blocks have attributes of their own.
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
			return in, errors.New("only wrong and undo blocks have an {#id}")
		case hasID && (id == "" || a.HasValue):
			return in, fmt.Errorf("write the id of a wrong state, as %s {#id}", lang)
		case hasID:
			in.ID = id
		case a.Key == "node" && !isScript[lang]:
			if special[lang] {
				return in, fmt.Errorf("a %s block has no node", lang)
			}
			return in, fmt.Errorf("write {run=%s} to run this block there", a.Value)
		case a.Key == "node" && a.Value == "":
			return in, errors.New("node needs the name of a node: {node=node2}")
		case a.Key == "node":
			in.Node = a.Value
		case special[lang]:
			return in, fmt.Errorf("a %s block is not part of the prose: it has no %s", lang, a.Key)
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

// doesTheSame compares what a click does, and where; a title may be translated.
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

// errorf records a mistake at a line; col 0 means the whole line.
func (d *document) errorf(line, col int, format string, args ...any) {
	text := ""
	if line >= 1 && line <= len(d.lines) {
		text = d.lines[line-1]
	}
	d.errs.Add(&source.Error{File: d.file, Line: line, Col: col, Text: text, Msg: fmt.Sprintf(format, args...)})
}

// scan cuts content into front matter and sections. Mistakes go to errs; what could be read is returned.
func scan(file string, content []byte, errs *source.List) *document {
	d, ok := read(file, content, errs)
	if ok {
		d.split(d.scanFront())
	}
	return d
}

// scanPart looks through a text that others include.
func scanPart(file string, content []byte, errs *source.List) *document {
	d, ok := read(file, content, errs)
	if d.part = true; ok {
		d.split(0)
	}
	return d
}

// read cuts content into lines, and says whether it is text.
func read(file string, content []byte, errs *source.List) (d *document, ok bool) {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	d = &document{file: file, content: content, errs: errs}
	for _, l := range strings.Split(string(content), "\n") {
		d.lines = append(d.lines, strings.TrimSuffix(l, "\r"))
	}
	for i, l := range d.lines {
		if !utf8.ValidString(l) {
			d.errorf(i+1, 0, "this line is not UTF-8: save the file as UTF-8")
			return d, false
		}
		if j := strings.IndexByte(l, 0); j >= 0 {
			d.errorf(i+1, 0, "this line holds a NUL byte: this is not a text file")
			return d, false
		}
	}
	references := 0
	for i, l := range d.lines {
		if nested.MatchString(l) {
			d.errorf(i+1, 0, "more than %d quotes and lists within each other", maxNesting)
			return d, false
		}
		if linkName.MatchString(l) {
			references++
		}
		if references > maxReferences {
			d.errorf(i+1, 0, "a lab has at most %d lines that name links", maxReferences)
			return d, false
		}
	}
	return d, true
}

// scanFront finds the front matter and returns the index of the line after it.
func (d *document) scanFront() int {
	if strings.TrimRight(d.lines[0], " \t") != "+++" {
		d.errorf(1, 0, "a lab begins with its front matter: TOML between two lines +++")
		return 0
	}
	for i := 1; i < len(d.lines); i++ {
		if strings.TrimRight(d.lines[i], " \t") == "+++" {
			d.front, d.frontLine = []byte(strings.Join(d.lines[1:i], "\n")), 2
			return i + 1
		}
	}
	d.errorf(1, 0, "the front matter never ends: a second line +++ is missing")
	return len(d.lines)
}
