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

// document is one lab file, cut into its parts. Only lines are looked at: what the prose means is the renderer's.
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
	fenceOpen = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})(.*)$")
	heading   = regexp.MustCompile(`^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$`)
	anchored  = regexp.MustCompile(`^(.*?)[ \t]*\{#([^{}]*)\}$`)
	anchorOK  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	notSlug   = regexp.MustCompile(`[^a-z0-9]+`)
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
		d.scanBody(d.scanFront())
	}
	return d
}

// scanPart looks through a text that others include.
func scanPart(file string, content []byte, errs *source.List) *document {
	d, ok := read(file, content, errs)
	if d.part = true; ok {
		d.scanBody(0)
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

// scanBody cuts the lines from index next on into sections and takes the special blocks out.
func (d *document) scanBody(next int) {
	prose := make([]string, len(d.lines)) // taken-out lines become empty, so that line numbers stay
	copy(prose, d.lines)
	start := next // of the present section's prose
	finish := func(end int) {
		md := Markdown{File: d.file, Line: start + 1, Source: []byte(strings.Join(prose[start:end], "\n"))}
		if len(d.sections) == 0 {
			d.intro = md
		} else {
			d.sections[len(d.sections)-1].body = md
		}
	}
	inComment := false
	for i := next; i < len(d.lines); i++ {
		line := d.lines[i]
		if trimmed := strings.TrimLeft(line, " "); inComment || len(line)-len(trimmed) < 4 && strings.HasPrefix(trimmed, "<!--") {
			inComment = !strings.Contains(line, "-->")
			continue
		}
		if m := fenceOpen.FindStringSubmatch(line); m != nil && (m[1][0] == '~' || !strings.Contains(m[2], "`")) {
			end := fenceEnd(d.lines, i+1, m[1])
			if end < 0 {
				d.errorf(i+1, 0, "this fenced block never ends: a line %s is missing", m[1])
				end = len(d.lines)
			}
			d.block(i, end, m[2], prose)
			i = end
			continue
		}
		m := heading.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch len(m[1]) {
		case 1:
			d.errorf(i+1, 0, "headings in a lab begin with ##: its title is in the front matter")
		case 2:
			finish(i)
			start = i + 1
			d.sections = append(d.sections, d.heading(i+1, m[2]))
		}
	}
	finish(max(start, len(d.lines)))
}

// fenceEnd returns the index of the line that closes a fence opened by fence, or -1.
func fenceEnd(lines []string, from int, fence string) int {
	for i := from; i < len(lines); i++ {
		t := strings.TrimLeft(lines[i], " ")
		if len(lines[i])-len(t) > 3 {
			continue
		}
		t = strings.TrimRight(t, " \t")
		if len(t) >= len(fence) && strings.Trim(t, fence[:1]) == "" {
			return i
		}
	}
	return -1
}

func (d *document) heading(line int, text string) *section {
	s := &section{title: text, line: line}
	if m := anchored.FindStringSubmatch(text); m != nil {
		s.title, s.anchor = m[1], m[2]
	}
	switch {
	case s.anchor == "":
		slug := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(s.title), "-"), "-")
		if slug == "" {
			slug = fmt.Sprintf("step-%d", len(d.sections)+1)
		}
		d.errorf(line, 0, "a step's heading ends in its anchor, for example {#%s}", slug[:min(len(slug), 40)])
	case !anchorOK.MatchString(s.anchor):
		d.errorf(line, 0, "the anchor %q may hold only a-z, 0-9 and -, at most 40", s.anchor)
	}
	if s.title == "" {
		d.errorf(line, 0, "this step has no title")
	}
	for _, other := range d.sections {
		if s.anchor != "" && other.anchor == s.anchor {
			d.errorf(line, 0, "two steps have the anchor %q: the first is in line %d", s.anchor, other.line)
		}
	}
	return s
}

// block files the fenced block between the lines with the indexes open and end.
func (d *document) block(open, end int, text string, prose []string) {
	in, err := parseInfo(text)
	if err != nil {
		d.errorf(open+1, 0, "%s", err)
		return
	}
	b := &block{info: in, line: open + 1, body: []byte(strings.Join(d.lines[open+1:min(end, len(d.lines))], "\n"))}
	if special[in.Lang] {
		for i := open; i <= end && i < len(prose); i++ {
			prose[i] = ""
		}
		if len(d.sections) == 0 {
			where := "below a ## heading"
			if d.part {
				where = "into " + labFile
			}
			d.errorf(b.line, 0, "a %s block belongs to a step: put it %s", in.Lang, where)
			return
		}
		s := d.sections[len(d.sections)-1]
		s.blocks = append(s.blocks, b)
		return
	}
	// A click types what was proved here: the text of a file is looked at when pages are made.
	if in.File != "" && (in.Run || in.Save != "") {
		d.errorf(b.line, 0, "a block that shows a file can't be run or saved: for that its text stands in the block")
		return
	}
	if in.Run && in.Save != "" {
		d.errorf(b.line, 0, "a block is either run or saved, not both")
	}
	if !in.Run && in.Save == "" {
		return
	}
	if strings.TrimSpace(string(b.body)) == "" {
		d.errorf(b.line, 0, "this block is empty")
	}
	// Saving types a few words more than the file.
	if len(b.body) > MaxRunText-maxSaveWords {
		d.errorf(b.line, 0, "this block has %d bytes; a click can type %d", len(b.body), MaxRunText-maxSaveWords)
	}
	if in.Save != "" && !saveOK(in.Save) {
		d.errorf(b.line, 0, "save=%q must be a path below the home directory, as \"app/compose.yml\"", in.Save)
	}
	if len(d.sections) > 0 {
		s := d.sections[len(d.sections)-1]
		s.code = append(s.code, b)
	} else {
		d.loose = append(d.loose, b)
	}
}
