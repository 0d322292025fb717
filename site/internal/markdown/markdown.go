// Package markdown renders the Markdown of lessons and labs to HTML that works under a strict
// Content-Security-Policy. It keeps the source position of everything it reads, so every mistake is
// reported with its file, line and column. This comment specifies the syntax that authors write.
//
// # Text
//
// CommonMark with tables, task lists, strikethrough, footnotes ([^1]), definition lists and bare
// links. The guide lists all differences from CommonMark
// (content/en/guide/reference/commonmark.md).
//
//   - Emphasis works next to Chinese, Japanese and Korean text (package cjk). A line break between
//     two Chinese or Japanese characters is removed.
//   - Every heading has an id, made of the letters and digits of its text in any script.
//     "## Title {#id}" sets it.
//   - HTML is shown as text, with a warning. Comments <!-- --> are removed. If a course allows HTML
//     (Request.HTML), it is passed through unchanged, with warnings about what the
//     Content-Security-Policy blocks: scripts, on…= and style= attributes, embedded content.
//   - Links are relative or use http, https, mailto or tel. Any other scheme is a mistake, and only
//     the link's text is rendered.
//
// # Callouts
//
//	> [!NOTE]            NOTE, TIP, IMPORTANT, WARNING or CAUTION; text after ] replaces the title
//	> The text.
//
// # Code blocks
//
// Package fence describes the info string after the back-ticks. Blocks in the language "text" have
// a copy button only with {copy}.
//
// The language "console" is a terminal session. Lines that begin with "$ " or "# " are commands,
// all other lines are output. The copy button copies the commands without prompts and output. A
// command that ends in \ continues on the next line. In the language "diff", added and removed
// lines are coloured.
//
// # Diagrams
//
//	```diagram {title="Caption" alt="Text alternative for screen readers."}
//	browser -> web -> db     package diagram describes the language
//	```
//
// # Tabs, details, figures, keys
//
//	::::tabs                 contains only :::tab blocks; choosing a tab selects the same title on the whole page
//	:::tab Debian
//	…
//	:::
//	::::
//
//	:::details Title         hidden until the title is clicked
//	…
//	:::
//
//	![alt text](a.png "caption")          alone in a paragraph: a figure with a caption
//	++Ctrl+C++                            keyboard keys
//
// # Formulas
//
//	the area $a = \pi r^2$              inline formula in TeX; package mathml describes the commands
//	$$                                  formula on its own lines, without empty lines
//	\sum_{i=1}^{n} i = \frac{n(n+1)}{2}
//	$$
//
// Formulas become MathML with the TeX as annotation. Those on their own lines are in <div
// class="formula">. An opening $ must not be followed by white space or preceded by a letter or
// digit. The next $ closes the formula if it is not preceded by white space or followed by a letter
// or digit; otherwise there is no formula. The same holds for $$ within a line. So prices and
// $VARIABLES stay text. \$ is always a dollar sign.
//
// # Variables
//
// {{name}} becomes <span data-var="name">name</span> in text and code if name is one of
// Request.Variables. Any other name stays as written, for example {{.Names}} in a Go template.
// Variables are not replaced in code that is taken from another file.
//
// # Other files
//
//	```yaml {file="files/compose.yml"}                   shows the file; the block must be empty
//	```yaml {file="files/compose.yml" region="web"}      shows a region of it
//	```yaml {file="files/compose.yml" lines="3-9,14"}    shows some of its lines
//	:::include _shared/prerequisites.md                  inserts another text here
//	:::include _shared/install.md#debian                 inserts a region of it
//
// File names are relative to the file that contains them. Names that begin with / are relative to
// the language's folder, or to the lab's folder.
//
// Comments mark regions in a file, in the comment syntax of any language: "# region web" and "#
// endregion web", "// #region web", "<!-- region web -->". Regions may be nested. Marker lines are
// not shown, common indentation is removed, and the language follows from the file name if the
// block names none.
//
// An included text is rendered on its own. Its links, images and includes are relative to its own
// file, mistakes are reported there, and its footnotes are at its end. Its front matter is ignored.
// In Markdown files only <!-- --> comments mark regions.
//
// # Quizzes
//
//	:::quiz Which command lists *all* containers?
//	Optional details of the question: text, code, images.
//
//	- [ ] `docker ps`
//	  Only running ones.
//	- [x] `docker ps -a`
//	  With `-a` also containers that have exited.
//	:::
//
// The last list holds the answers: at least two, and at least one of them right. With one right
// answer the learner chooses one, with several any number. The lines after an answer's first line
// explain it. The HTML is
//
//	<fieldset class="quiz" id="quiz-1" data-quiz="one|many" data-passed="Right!" data-failed="Not quite. …">
//	<legend>question</legend> …
//	<p class="quiz-hint">Choose one answer.</p>
//	<ol class="quiz-answers" type="A">
//	<li data-answer="right|wrong"><label><input type="radio|checkbox" name="quiz-1" value="1" autocomplete="off"><span>answer</span></label></li> …
//	</ol>
//	<p class="quiz-actions"><button type="button" data-quiz-check hidden>Check</button> <span class="quiz-result" role="status"></span></p>
//	<details class="quiz-solution"><summary>Answers</summary>
//	<ol type="A"><li data-answer="right|wrong"><strong class="quiz-verdict">Right.</strong> explanation</li> …</ol>
//	</details>
//	</fieldset>
//
// Without JavaScript, the answers are one click away. A script shows the button, writes data-passed
// or data-failed into quiz-result, and may set data-state on the answers. The n-th answer belongs
// to the n-th explanation.
package markdown

import (
	"bytes"
	"fmt"
	"sort"
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

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/cjk"
	"github.com/labd-dev/labd/site/internal/diagram"
	"github.com/labd-dev/labd/site/internal/highlight"
	"github.com/labd-dev/labd/site/internal/mathml"
)

// Limits on one page.
const (
	maxMistakes  = 1000    // reported mistakes and warnings
	maxLineShown = 1 << 10 // bytes of a line that a mistake quotes; it has no column beyond them
)

// Limits on one text. The time or memory for each of these grows with the square of their number.
const (
	maxNesting    = 100 // nesting depth of quotes and lists
	maxFootnotes  = 1000
	maxReferences = 5000 // lines of "[name]: address" in a text
	maxBrackets   = 300  // [ in a paragraph or a cell
	maxColumns    = 100  // of a table
)

// Labels are the texts that rendering adds, in the language of the page.
type Labels struct {
	Copy                          string
	Note, Tip, Important, Warning string
	Caution, Done, NotDone, Table string
	Quiz                          QuizLabels
}

// QuizLabels are the texts of a quiz.
type QuizLabels struct {
	One, Many      string // instructions
	Check, Answers string // the button, and the summary that reveals the answers
	Right, Wrong   string // verdict on one answer
	Passed, Failed string // verdict on the learner's choice
}

// English is Labels in English.
func English() Labels {
	return Labels{
		Copy: "Copy",
		Note: "Note", Tip: "Tip", Important: "Important", Warning: "Warning", Caution: "Caution",
		Done: "done", NotDone: "not done", Table: "Table",
		Quiz: QuizLabels{
			One: "Choose one answer.", Many: "Choose every answer that is right.",
			Check: "Check", Answers: "Answers", Right: "Right.", Wrong: "Wrong.",
			Passed: "Right!", Failed: "Not quite. Try again, or look at the answers.",
		},
	}
}

// Request describes a piece of Markdown to render.
type Request struct {
	File      string
	Line      int // line of Text's first line in File
	Text      []byte
	IDPrefix  string   // prefix of every generated id, for pages with several pieces
	Taken     []string // ids that the page's template uses
	Variables []string // names that {{name}} may use
	Node      string   // data-node of {run} blocks that name none
	Nodes     []string // nodes that {run=…} may name; nil allows any
	TermIDs   bool     // gives terms of definition lists an id, for a glossary
	Labels    Labels
	// Resolve returns the URL for the target of a link or image. Its error is reported at the link's
	// line and must say how to fix it. Nil leaves targets unchanged.
	Resolve func(target string, image bool) (string, error)
	// Image returns the attributes of the image at a resolved URL. Its error is reported at the
	// image's line. Nil adds no attributes.
	Image func(url string) (Image, error)
	HTML  bool // passes the author's HTML through; otherwise it is shown as text
	// Include reads another file. Its name is relative to File. Nil allows no includes.
	Include func(name string) (Included, error)
}

// Included is the content of a file that a text shows or includes.
type Included struct {
	File   string   // name for messages
	Looked []string // files, existing or not, that the result depends on; set even with an error
	Data   []byte
	// Resolve and Include are relative to File, for the text in it.
	Resolve func(target string, image bool) (string, error)
	Include func(name string) (Included, error)
}

// Image holds the attributes of an image. Zero values are omitted.
type Image struct {
	URL           string // instead of the resolved one
	Width, Height int
	SrcSet, Sizes string // the attributes srcset and sizes
}

// Page is the result of rendering a piece.
type Page struct {
	HTML     []byte
	Headings []Heading
	IDs      []ID      // ids of the author's headings and terms
	Links    []Link    // links and images, as written and as resolved
	Text     string    // plain text without code
	Sections []Section // plain text by heading, for search; the first has no heading
	Blocks   int       // number of code blocks and diagrams
	Includes []string  // other files, existing or not, that the result depends on
	Warnings source.List

	hasImage bool
}

// Heading is one entry of the table of contents.
type Heading struct {
	Level int
	ID    string
	Text  string
	At    source.Error // position, without a message

	Blocks, Images int // code blocks and images in its section
}

// Section is the plain text below one heading.
type Section struct {
	ID, Title  string
	Text, Code string
}

// ID is the id of an element and the position of its heading.
type ID struct {
	Name string
	At   source.Error // position, without a message
}

// Link is a link or an image.
type Link struct {
	Target string // as written
	URL    string // as resolved
	Image  bool
	Alt    string
	At     source.Error // position, without a message
}

// Renderer renders Markdown. It is safe for concurrent use.
type Renderer struct {
	md     goldmark.Markdown
	code   *highlight.Highlighter
	mathml *mathml.Converter
	pool   sync.Pool
	draw   *diagram.Maker
}

// New returns a Renderer.
func New() *Renderer { return NewWith(nil) }

// NewWith returns a Renderer that caches the layout of diagrams; nil disables the cache. The output
// does not depend on it.
func NewWith(disk diagram.Cache) *Renderer {
	r := &Renderer{code: highlight.New(), mathml: mathml.New(), draw: diagram.New(disk), pool: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	r.md = goldmark.New(
		goldmark.WithExtensions(
			cjk.Emphasis{}, extension.Linkify, extension.TaskList, extension.DefinitionList,
			extension.NewFootnote(
				extension.WithFootnoteIDPrefixFunction(footnotePrefix),
				extension.WithFootnoteBacklinkHTML("↩"),
			),
		),
		goldmark.WithParserOptions(
			parser.WithHeadingAttribute(),
			parser.WithInlineParsers(util.Prioritized(variableParser{}, 50), util.Prioritized(keysParser{}, 60),
				util.Prioritized(inlineFormulaParser{r}, 70), util.Prioritized(bracketParser{}, 80)),
			parser.WithBlockParsers(util.Prioritized(directiveParser{}, 90), util.Prioritized(formulaParser{}, 95)),
			parser.WithParagraphTransformers(util.Prioritized(tableParser{extension.NewTableParagraphTransformer()}, 200)),
			parser.WithASTTransformers(util.Prioritized(transformer{r}, 900)),
		),
		goldmark.WithRendererOptions(
			renderer.WithNodeRenderers(
				util.Prioritized(nodeRenderer{}, 100),
				util.Prioritized(extension.NewTableHTMLRenderer(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)), 500),
			),
		),
	)
	return r
}

// state is shared by all hooks into goldmark while one text is rendered.
type state struct {
	*shared
	req   *Request
	notes string   // prefix of footnote ids
	chain []string // the including files, outermost first; the last is this text's file
	lines []int    // offsets of the lines of req.Text; computed on first use

	block    ast.Node // the block whose inline text is being parsed
	brackets [2]int   // number of [ and ] in block so far
}

// shared is the part of state that a text and its includes have in common.
type shared struct {
	page          *Page
	errs          *source.List
	reported      int // mistakes and warnings
	ids           *idSet
	seen          map[string]bool // ids of headings and terms
	tabs, quizzes int             // so far
	parts, bytes  int             // number and size of included files so far

	words, code bytes.Buffer // plain text of the page; code of the current section
	section     Section
	begin       int // offset of the current section in words
}

var stateKey = parser.NewContextKey()

const prefixMeta = "labd-id-prefix"

// Render renders req and adds mistakes to errs. The Page is usable even if there are mistakes.
func (r *Renderer) Render(req Request, errs *source.List) *Page {
	if req.Labels == (Labels{}) {
		req.Labels = English()
	}
	sh := &shared{page: &Page{}, errs: errs, ids: &idSet{prefix: req.IDPrefix, used: map[string]bool{}, next: map[string]int{}}, seen: map[string]bool{}}
	for _, id := range req.Taken {
		sh.ids.used[id], sh.seen[id] = true, true
	}
	sh.words.Grow(len(req.Text))
	sh.page.HTML = r.render(&state{shared: sh, req: &req, notes: req.IDPrefix, chain: []string{req.File}})
	sh.endSection()
	sh.page.Text = sh.words.String()
	return sh.page
}

// render returns the HTML of one text, and adds its headings, links and words to the page.
func (r *Renderer) render(st *state) []byte {
	if !st.bounded() {
		return nil
	}
	pc := parser.NewContext()
	pc.Set(stateKey, st)
	doc := r.md.Parser().Parse(text.NewReader(st.req.Text), parser.WithContext(pc))
	buf := r.pool.Get().(*bytes.Buffer)
	defer r.pool.Put(buf)
	buf.Reset()
	if err := r.md.Renderer().Render(buf, st.req.Text, doc); err != nil {
		// Writing to memory cannot fail, and our node renderers return no errors.
		st.errs.Add(&source.Error{File: st.req.File, Msg: fmt.Sprintf("rendering failed: %v", err)})
	}
	return bytes.Clone(buf.Bytes())
}

func (sh *shared) endSection() {
	sh.section.Text, sh.section.Code = string(sh.words.Bytes()[sh.begin:]), sh.code.String()
	sh.page.Sections = append(sh.page.Sections, sh.section)
	sh.begin = sh.words.Len()
	sh.code.Reset()
}

// errorAt reports a mistake at a byte offset of the text.
func (st *state) errorAt(offset int, format string, args ...any) {
	st.report(st.errs, offset, fmt.Sprintf(format, args...))
}

func (st *state) warnAt(offset int, format string, args ...any) {
	st.report(&st.page.Warnings, offset, fmt.Sprintf(format, args...))
}

func (st *state) report(list *source.List, offset int, msg string) {
	if st.reported++; st.reported > maxMistakes {
		return
	}
	e := st.at(offset)
	if e.Msg = msg; st.reported == maxMistakes {
		e.Msg += fmt.Sprintf(" (the %dth mistake of this page; no more are shown)", maxMistakes)
	}
	list.Add(&e)
}

// at returns the position of an offset: line, and column in runes.
func (st *state) at(offset int) source.Error {
	src := st.req.Text
	if st.lines == nil {
		st.lines = append(make([]int, 0, 1+bytes.Count(src, []byte{'\n'})), 0)
		for i := bytes.IndexByte(src, '\n'); i >= 0; {
			st.lines = append(st.lines, i+1)
			next := bytes.IndexByte(src[i+1:], '\n')
			if next < 0 {
				break
			}
			i += 1 + next
		}
	}
	offset = min(max(offset, 0), len(src))
	line := sort.SearchInts(st.lines, offset+1)
	start, end := st.lines[line-1], len(src)
	if line < len(st.lines) {
		end = st.lines[line] - 1
	}
	e := source.Error{File: st.req.File, Line: line + st.req.Line - 1}
	if offset-start <= maxLineShown {
		e.Col = utf8.RuneCount(src[start:offset]) + 1
	}
	e.Text = strings.ToValidUTF8(string(src[start:min(end, start+maxLineShown)]), "")
	return e
}

// idSet generates ids that are unique on a page.
type idSet struct {
	prefix string
	used   map[string]bool
	next   map[string]int // last number appended to each id
}

// generate returns an id for a title.
func (s *idSet) generate(title string) string {
	id := s.prefix + Slug(title)
	if id == s.prefix {
		id += "section"
	}
	return s.unique(id)
}

// unique returns id, with a number appended if the page has it already.
func (s *idSet) unique(id string) string {
	unique := id
	for s.used[unique] {
		// Continuing from the last number keeps n equal headings from taking n² steps.
		s.next[id]++
		unique = fmt.Sprintf("%s-%d", id, s.next[id])
	}
	s.used[unique] = true
	return unique
}

// Slug returns the id for a title: its letters and digits in lower case, joined by hyphens.
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
