package source

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Limits on one author's file.
const (
	maxFile        = 4 << 20  // bytes of a whole file
	maxFrontMatter = 64 << 10 // bytes between the +++ lines
)

const frontLine = "+++"

// Document is an author's file split into its front matter and its text.
type Document struct {
	File     string
	Content  []byte // the whole file, without byte order mark and with LF line ends
	Front    []byte // TOML between the +++ lines; nil if there is none
	Body     []byte
	BodyLine int // 1-based line of Body's first line in File
}

// Split reads a file: it refuses what is not text, normalises line ends and cuts off the front matter. The mistakes it
// finds are added to errs, and it returns as much as it could read.
func Split(file string, content []byte, errs *List) *Document {
	d := &Document{File: file, BodyLine: 1}
	before := len(*errs)
	content = PlainText(file, content, errs)
	d.Content = content
	if len(*errs) > before {
		return d
	}
	d.Body = content
	first, rest, _ := bytes.Cut(content, []byte("\n"))
	if strings.TrimRight(string(first), " \t") != frontLine {
		if strings.TrimSpace(string(first)) == "---" && looksLikeYAML(rest) {
			errs.Add(At(file, content, 1, 1, "front matter is TOML between lines of %s, not YAML between lines of ---", frontLine))
		}
		return d
	}
	line := 2
	for pos := 0; pos < len(rest); line++ {
		text, _, _ := bytes.Cut(rest[pos:], []byte("\n"))
		next := min(pos+len(text)+1, len(rest))
		if strings.TrimRight(string(text), " \t") == frontLine {
			d.Front, d.Body, d.BodyLine = rest[:pos:pos], rest[next:], line+1
			if len(d.Front) > maxFrontMatter {
				errs.Add(At(file, content, 1, 0, "the front matter is larger than 64 KiB; is its closing %s line missing?", frontLine))
				d.Front = nil
			}
			return d
		}
		pos = next
	}
	errs.Add(At(file, content, 1, 1, "the front matter is not closed: add a line with only %s after it", frontLine))
	d.Body = nil
	return d
}

// PlainText checks that content is text, and returns it without byte order mark and with LF line ends.
func PlainText(file string, content []byte, errs *List) []byte {
	if len(content) > maxFile {
		errs.Add(&Error{File: file, Msg: "the file is larger than 4 MiB; lessons are text: link to big material instead"})
		return nil
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(content, '\r') >= 0 {
		content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	}
	if i := bytes.IndexByte(content, 0); i >= 0 {
		errs.Add(At(file, content, lineAt(content, i), 0, "a NUL byte: this is not a text file"))
	} else if !utf8.Valid(content) {
		errs.Add(At(file, content, firstInvalidLine(content), 0, "not UTF-8; save the file in UTF-8 encoding"))
	}
	return content
}

var yamlKey = regexp.MustCompile(`(?m)\A[A-Za-z_]+:`)

func looksLikeYAML(rest []byte) bool { return yamlKey.Match(rest) }

func lineAt(content []byte, offset int) int { return 1 + bytes.Count(content[:offset], []byte("\n")) }

func firstInvalidLine(content []byte) int {
	for i := 0; i < len(content); {
		r, n := utf8.DecodeRune(content[i:])
		if r == utf8.RuneError && n <= 1 {
			return lineAt(content, i)
		}
		i += n
	}
	return 1
}

// DecodeFront decodes the front matter into the struct that v points to, whose fields carry toml tags. Syntax errors,
// unknown keys and values of the wrong type are all added to errs with their lines.
func (d *Document) DecodeFront(v any, errs *List) {
	if t := ParseTOML(d.File, d.Content, d.Front, 2, errs); t != nil {
		t.Decode(v)
	}
}

// KeyPlace finds where in the file a top-level key or table of the front matter is written: 1 and 0 if it isn't there.
func (d *Document) KeyPlace(name string) (line, col int) {
	var ignored List
	t := ParseTOML(d.File, d.Content, d.Front, 2, &ignored)
	if t == nil || !t.Has(name) {
		return 1, 0
	}
	at := t.Place(name)
	return at.Line, at.Col
}
