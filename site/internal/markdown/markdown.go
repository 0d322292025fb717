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
// sets it. HTML is not interpreted: it is shown as text, and a warning tells so; comments <!-- --> are left out. Where a
// course allows HTML it is passed on as it is written, unchecked but for warnings of what a strict Content-Security-Policy
// keeps from working: scripts, on…=, style= and what is embedded.
// Links may be relative, http, https, mailto or tel; others are mistakes and are not rendered.
//
// # Callouts
//
//	> [!NOTE]            NOTE, TIP, IMPORTANT, WARNING or CAUTION; text after ] replaces the title
//	> The text.
//
// # Code blocks
//
// What stands after the back-ticks is described in internal/fence. Without {copy} blocks in the language "text" have no copy
// button.
//
// The language "console" is a session: lines that begin with "$ " or "# " are commands, what follows is output, and the
// copy button copies the commands without prompt and output. A line that ends in \ goes on in the next. In the language
// "diff" added and removed lines are coloured.
//
// # Diagrams
//
//	```diagram {title="What it shows" alt="The same in words, for those who don't see it."}
//	browser -> web -> db     see site/internal/diagram
//	```
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
// # Formulas
//
//	the area $a = \pi r^2$              a formula in a line: TeX, which site/internal/mathml describes
//	$$                                  a formula on lines of its own; without empty lines
//	\sum_{i=1}^{n} i = \frac{n(n+1)}{2}
//	$$
//
// They become MathML, in <div class="formula"> if on lines of their own, with the TeX as annotation. A $ begins a formula
// only if no white space follows it and no letter or digit precedes it; the next $ ends it if no white space precedes it
// and no letter or digit follows it, else there is none; the same holds for $$ in a line. So prices and $VARIABLES stay what they are; \$ always does.
//
// # Variables
//
// {{name}} becomes <span data-var="name">name</span>, in text and in code, if name is one of the page's variables;
// otherwise it is left as it is, so that {{.Names}} of a Go template stays. Code that is taken from another file is left so too.
//
// # Other files
//
//	```yaml {file="files/compose.yml"}                   the block is filled from that file; it must be empty itself
//	```yaml {file="files/compose.yml" region="web"}      from a part of it
//	```yaml {file="files/compose.yml" lines="3-9,14"}    from some of its lines
//	:::include _shared/prerequisites.md                  another file's text, in this place
//	:::include _shared/install.md#debian                 a region of it
//
// Names are relative to the file that they are written in; one that begins with / is looked up in the language's folder, or
// in the lab's.
// Regions are marked in the file, by comments of any language: "# region web" and "# endregion web", "// #region web",
// "<!-- region web -->". Regions may be nested; the lines that mark them are never shown. What all shown lines are
// indented by is removed, and the language follows from the file's name if none is given.
//
// An included text is a text of its own: its links, images and includes are relative to its place, its mistakes are
// reported there, its footnotes stand at its end, and a block or a list ends with it. Front matter is left out. In a
// Markdown file only <!-- --> marks a region.
//
// # Quizzes
//
//	:::quiz Which command lists *all* containers?
//	More of the question, if need be: text, code, images.
//
//	- [ ] `docker ps`
//	  Only running ones.
//	- [x] `docker ps -a`
//	  With `-a` also those that have ended.
//	:::
//
// The answers are the last list of the block: at least two, at least one of them right. One right answer makes it a
// choice of one, several make it a choice of many. What follows an answer's first line explains it. The HTML is
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
// so that without a script the answers are a click away. A script shows the button, writes data-passed or data-failed
// into quiz-result, and may set data-state on the answers; the n-th answer and the n-th explanation belong together.
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
	maxMistakes  = 1000    // mistakes and warnings that are reported
	maxLineShown = 1 << 10 // bytes of a line that a mistake repeats, and in which it has a column
)

// Limits on one text. What they bound takes time or space that grows with its square.
const (
	maxNesting    = 100  // quotes and lists within each other
	maxFootnotes  = 1000 // in a text
	maxReferences = 5000 // lines of "[name]: address" in a text
	maxBrackets   = 300  // [ in a paragraph or a cell
	maxColumns    = 100  // of a table
)

// Labels are the words that rendering adds to the author's, in the language of the page.
type Labels struct {
	Copy                          string
	Note, Tip, Important, Warning string
	Caution, Done, NotDone, Table string
	Quiz                          QuizLabels
}

// QuizLabels are the words of a quiz.
type QuizLabels struct {
	One, Many      string // what to do
	Check, Answers string // a button, and what hides the answers
	Right, Wrong   string // what an answer is
	Passed, Failed string // what the learner has done
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

// Request is one piece of Markdown to render.
type Request struct {
	File      string
	Line      int // line of Text's first line in File
	Text      []byte
	IDPrefix  string   // begins every id made here, when several pieces share a page
	Taken     []string // ids that the page has of its own
	Variables []string // names that {{name}} may use
	Node      string   // data-node of {run} blocks that name none
	Nodes     []string // nodes that {run=...} may name; nil for any
	TermIDs   bool     // terms of definition lists get ids, as in a glossary
	Labels    Labels
	// Resolve turns the target of a relative link or image into the URL to write. An error is reported at the link's
	// line and must say what to do. Nil leaves targets as they are.
	Resolve func(target string, image bool) (string, error)
	// Image says how the image at a resolved URL is shown. An error is reported at the image's line. Nil knows nothing of
	// any image.
	Image func(url string) (Image, error)
	HTML  bool // HTML of the author is passed on; else it is shown as text
	// Include reads another file, by a name that is relative to File. Nil allows none.
	Include func(name string) (Included, error)
}

// Included is a file that a text shows or includes.
type Included struct {
	File   string   // as messages call it
	Looked []string // the files, existing or not, that this answer depends on; set even if there is an error
	Data   []byte
	// Resolve and Include are those of a text that stands in File.
	Resolve func(target string, image bool) (string, error)
	Include func(name string) (Included, error)
}

// Image is how a page shows an image. What is zero is left out.
type Image struct {
	URL           string // instead of the resolved one
	Width, Height int
	SrcSet, Sizes string // what stands in the attributes of these names
}

// Page is a rendered piece.
type Page struct {
	HTML     []byte
	Headings []Heading
	IDs      []ID      // every id in HTML that the author's headings made
	Links    []Link    // links and images, as written and as resolved
	Text     string    // the words without code
	Sections []Section // the text by heading, for search; the first has none
	Blocks   int       // how many blocks of code and diagrams it has
	Includes []string  // the files besides the page's own, existing or not, that all this was made from
	Warnings source.List

	hasImage bool
}

// Heading is one entry of the table of contents.
type Heading struct {
	Level int
	ID    string
	Text  string
	At    source.Error // its place, without a message

	Blocks, Images int // code blocks and images of its section
}

// Section is the text below one heading.
type Section struct {
	ID, Title  string
	Text, Code string
}

// ID is an element's id and where its heading stands.
type ID struct {
	Name string
	At   source.Error // its place, without a message
}

// Link is a link or an image.
type Link struct {
	Target string // as written
	URL    string // as resolved
	Image  bool
	Alt    string
	At     source.Error // its place, without a message
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

// NewWith returns a Renderer that keeps what takes long to make in a cache; nil for none. It makes the same with it and without.
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

// state is what parsing one text shares with the hooks.
type state struct {
	*shared
	req   *Request
	notes string   // begins the ids of footnotes
	chain []string // the files that led here by including each other; the last is this text's
	lines []int    // where the lines of req.Text begin; made when it is first needed

	block    ast.Node // whose text is read
	brackets [2]int   // [ and ] in it so far
}

// shared is what a text has in common with those that it includes.
type shared struct {
	page          *Page
	errs          *source.List
	reported      int // mistakes and warnings
	ids           *idSet
	seen          map[string]bool // ids of headings and terms
	tabs, quizzes int             // so far
	parts, bytes  int             // included so far

	words, code bytes.Buffer // of the page, and of the section's code
	section     Section
	begin       int // of the section within words
}

var stateKey = parser.NewContextKey()

const prefixMeta = "labd-id-prefix"

// Render renders req. Mistakes are added to errs; the Page is complete all the same.
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

// render returns the HTML of one text, and adds what is in it to the page.
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
		// Rendering into memory fails only when a node renderer does, and ours return no errors.
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

// at is the place of an offset: its line, and its column in runes.
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

// idSet makes heading ids of the letters and digits of any script.
type idSet struct {
	prefix string
	used   map[string]bool
	next   map[string]int // the number that the last id of a kind got
}

// generate returns an id for a title.
func (s *idSet) generate(title string) string {
	id := s.prefix + Slug(title)
	if id == s.prefix {
		id += "section"
	}
	return s.unique(id)
}

// unique is an id that nothing on the page has so far: this one, or it with a number.
func (s *idSet) unique(id string) string {
	unique := id
	for s.used[unique] {
		// Counting on from the last one keeps a thousand equal headings from taking a million steps.
		s.next[id]++
		unique = fmt.Sprintf("%s-%d", id, s.next[id])
	}
	s.used[unique] = true
	return unique
}

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
