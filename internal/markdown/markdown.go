// Package markdown reads the files of a course: TOML front matter and Markdown, rendered to HTML that is safe under a
// strict Content-Security-Policy. It keeps the place of everything it reads, so that a mistake is reported with its line.
//
// # A file
//
// A file is UTF-8 text. It may begin with front matter: TOML between two lines of +++. Line ends may be LF or CRLF and
// a byte order mark is allowed. Unknown keys in the front matter are mistakes, and the nearest known key is suggested.
//
// # The text
//
// CommonMark with tables, task lists, strikethrough, footnotes ([^1]), definition lists and bare links. Lines of Chinese
// or Japanese join without a space. Every heading has an id made of its letters and digits in any script; "## Title {#id}"
// sets it. HTML is not interpreted: it is shown as text, and a warning tells so; comments <!-- --> are left out.
// Links may be relative, http, https, mailto or tel; others are mistakes and are not rendered.
//
// # Callouts
//
//	> [!NOTE]            NOTE, TIP, IMPORTANT, WARNING or CAUTION; text after ] replaces the title
//	> The text.
//
// # Code blocks
//
// After the back-ticks stand a language and, in braces, attributes:
//
//	{run} {run=node2}        a click runs the block in a terminal of the (named) node
//	{save="compose.yml"}     a click writes the block to that file
//	{copy} {nocopy}          with or without a copy button; without is the default for the language "text"
//	{title="compose.yml"}    a title above the block
//	{numbers} {numbers=10}   line numbers, from 1 or from the given one
//	{2,4-6} {mark="2,4-6"}   marked lines
//
// The language "console" is a session: lines that begin with "$ " or "# " are commands, what follows is output, and the
// copy button copies the commands without prompt and output. A line that ends in \ goes on in the next. In the language
// "diff" added and removed lines are coloured.
//
// # Tabs, details, figures, keys
//
//	::::tabs                 tabs hold nothing but :::tab blocks; choosing one chooses those with the same title on the page
//	:::tab Debian
//	…
//	:::
//	::::
//
//	:::details Title         hidden until the title is clicked
//	…
//	:::
//
//	![what it shows](a.png "caption")     alone in a paragraph: a figure with that caption
//	++Ctrl+C++                            keys of the keyboard
//
// # Variables
//
// {{name}} becomes <span data-var="name">name</span>, in text and in code, if name is one of the page's variables;
// otherwise it is left as it is, so that {{.Names}} of a Go template stays.
package markdown

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"labd/internal/source"
)

// Labels are the words that rendering adds to the author's, in the language of the page.
type Labels struct {
	Copy                          string
	Note, Tip, Important, Warning string
	Caution, Done, NotDone, Table string
}

// English is Labels in English.
func English() Labels {
	return Labels{
		Copy: "Copy",
		Note: "Note", Tip: "Tip", Important: "Important", Warning: "Warning", Caution: "Caution",
		Done: "done", NotDone: "not done", Table: "Table",
	}
}

// Request is one piece of Markdown to render.
type Request struct {
	File      string
	Line      int // line of Text's first line in File
	Text      []byte
	IDPrefix  string   // begins every id made here, when several pieces share a page
	Variables []string // names that {{name}} may use
	Node      string   // data-node of {run} blocks that name none
	Nodes     []string // nodes that {run=...} may name; nil for any
	TermIDs   bool     // terms of definition lists get ids, as in a glossary
	Labels    Labels
	// Resolve turns the target of a relative link or image into the URL to write. An error is reported at the link's
	// line and must say what to do. Nil leaves targets as they are.
	Resolve func(target string, image bool) (string, error)
	// ImageSize returns the size in pixels of the image at a resolved URL, 0 if it isn't known. Nil knows none.
	ImageSize func(url string) (width, height int)
}

// Page is a rendered piece.
type Page struct {
	HTML     []byte
	Headings []Heading
	IDs      []ID      // every id in HTML that the author's headings made
	Links    []Link    // links and images, as written and as resolved
	Text     string    // the words without code, for reading time and search
	Sections []Section // the text by heading, for search; the first has none
	Blocks   []Block
	Warnings source.List
}

// Heading is one entry of the table of contents.
type Heading struct {
	Level int
	ID    string
	Text  string
	Line  int
}

// Section is the text below one heading.
type Section struct {
	ID, Title  string
	Text, Code string
}

// ID is an element's id and where its heading stands.
type ID struct {
	Name string
	Line int
}

// Link is a link or an image.
type Link struct {
	Target string // as written
	URL    string // as resolved
	Image  bool
	Alt    string
	Line   int
}

// Block is a fenced code block.
type Block struct {
	Info Info
	Line int
}

// Renderer renders Markdown. It is safe for concurrent use.
type Renderer struct {
	md     goldmark.Markdown
	lexers lexerCache
	blocks blockCache
	pool   sync.Pool
}

// New returns a Renderer.
func New() *Renderer {
	r := &Renderer{pool: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	r.md = goldmark.New(
		goldmark.WithExtensions(
			extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
			extension.Strikethrough, extension.Linkify, extension.TaskList, extension.DefinitionList,
			extension.NewFootnote(
				extension.WithFootnoteIDPrefixFunction(footnotePrefix),
				extension.WithFootnoteBacklinkHTML("↩"),
			),
			extension.NewCJK(extension.WithEscapedSpace()),
		),
		goldmark.WithParserOptions(
			parser.WithAutoHeadingID(), parser.WithHeadingAttribute(),
			parser.WithInlineParsers(util.Prioritized(variableParser{}, 50), util.Prioritized(keysParser{}, 60)),
			parser.WithBlockParsers(util.Prioritized(directiveParser{}, 90)),
			parser.WithASTTransformers(util.Prioritized(transformer{r}, 900)),
		),
		goldmark.WithRendererOptions(
			renderer.WithNodeRenderers(util.Prioritized(nodeRenderer{}, 100)),
		),
	)
	return r
}

// state is what parsing one Request shares with the hooks.
type state struct {
	req  *Request
	page *Page
	errs *source.List
	ids  *idSet
	tabs int // sets of tabs so far
}

var stateKey = parser.NewContextKey()

const prefixMeta = "labd-id-prefix"

// Render renders req. Mistakes are added to errs; the Page is complete all the same.
func (r *Renderer) Render(req Request, errs *source.List) *Page {
	if req.Labels == (Labels{}) {
		req.Labels = English()
	}
	st := &state{req: &req, page: &Page{}, errs: errs, ids: &idSet{prefix: req.IDPrefix, used: map[string]bool{}}}
	pc := parser.NewContext(parser.WithIDs(st.ids))
	pc.Set(stateKey, st)
	doc := r.md.Parser().Parse(text.NewReader(req.Text), parser.WithContext(pc))
	buf := r.pool.Get().(*bytes.Buffer)
	defer r.pool.Put(buf)
	buf.Reset()
	if err := r.md.Renderer().Render(buf, req.Text, doc); err != nil {
		// Rendering into memory fails only when a node renderer does, and ours return no errors.
		errs.Add(&source.Error{File: req.File, Msg: fmt.Sprintf("rendering failed: %v", err)})
	}
	st.page.HTML = bytes.Clone(buf.Bytes())
	return st.page
}

// errorAt reports a mistake at a byte offset of the request's text.
func (st *state) errorAt(offset int, format string, args ...any) {
	st.errs.Add(st.at(offset, format, args...))
}

func (st *state) warnAt(offset int, format string, args ...any) {
	st.page.Warnings.Add(st.at(offset, format, args...))
}

func (st *state) at(offset int, format string, args ...any) *source.Error {
	line, col := st.position(offset)
	e := source.At(st.req.File, st.req.Text, line, col, format, args...)
	e.Line += st.req.Line - 1
	return e
}

// position turns an offset into a line of the text and a column in runes.
func (st *state) position(offset int) (line, col int) {
	offset = min(max(offset, 0), len(st.req.Text))
	before := st.req.Text[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), utf8.RuneCount(before[start:]) + 1
}

func (st *state) line(offset int) int {
	line, _ := st.position(offset)
	return line + st.req.Line - 1
}

// idSet makes heading ids of the letters and digits of any script.
type idSet struct {
	prefix string
	used   map[string]bool
}

// Generate implements parser.IDs.
func (s *idSet) Generate(value []byte, _ ast.NodeKind) []byte {
	id := s.prefix + Slug(string(value))
	if id == s.prefix {
		id += "section"
	}
	unique := id
	for n := 1; s.used[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", id, n)
	}
	s.used[unique] = true
	return []byte(unique)
}

// Put implements parser.IDs.
func (s *idSet) Put(value []byte) { s.used[string(value)] = true }

// Slug is the id of a title: letters and digits in lower case, joined by hyphens.
func Slug(title string) string {
	var b strings.Builder
	gap := false
	for _, r := range title {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(unicode.ToLower(r))
		case r == '`' || r == '\'' || r == '’' || r == '*':
		default:
			gap = true
		}
	}
	return b.String()
}

func footnotePrefix(n ast.Node) []byte {
	if doc := n.OwnerDocument(); doc != nil {
		if p, ok := doc.Meta()[prefixMeta].(string); ok {
			return []byte(p)
		}
	}
	return nil
}

// allowedScheme says whether a link may go where the target says: relative, or a scheme that runs nothing.
func allowedScheme(target string) bool {
	// Browsers drop white space and control characters from a URL before they read its scheme.
	clean := strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, target)
	u, err := url.Parse(clean)
	if err != nil {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "", "http", "https", "mailto", "tel":
		return true
	}
	return false
}
