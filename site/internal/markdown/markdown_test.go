package markdown_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// TestBlocks renders the cases of testdata/blocks.txt.
func TestBlocks(t *testing.T) {
	data, err := os.ReadFile("testdata/blocks.txt")
	if err != nil {
		t.Fatal(err)
	}
	r := markdown.New()
	cases := strings.Split(string(data), "\n==== ")[1:]
	if len(cases) < 20 {
		t.Fatalf("only %d cases were read", len(cases))
	}
	for _, c := range cases {
		name, rest, _ := strings.Cut(c, "\n")
		in, want, ok := strings.Cut(rest, "\n----\n")
		if !ok {
			t.Fatalf("case %q has no ----", name)
		}
		t.Run(name, func(t *testing.T) {
			var errs source.List
			req := markdown.Request{File: "a.md", Line: 1, Text: []byte(in + "\n"), Variables: []string{"code"}, Node: "node1"}
			if strings.Contains(want, "s-block-") {
				req.IDPrefix = "s-"
			}
			got := strings.TrimSpace(string(r.Render(req, &errs).HTML))
			if got != strings.TrimSpace(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func render(text string) (*markdown.Page, source.List) {
	var errs source.List
	p := markdown.New().Render(markdown.Request{File: "x/a.md", Line: 11, Text: []byte(text), Nodes: []string{"node1"}}, &errs)
	return p, errs
}

// TestMistakesNameTheirLine checks that each mistake says its file, line and column and shows the
// line.
func TestMistakesNameTheirLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"script link", "one\n\ntwo [x](javascript:x)\n", "x/a.md:13:5: links may be relative, http, https, mailto or tel, not \"javascript:x\"\n   13 | two [x](javascript:x)"},
		{"callout", "> [!NOTTE]\n> x\n", `x/a.md:11:3: unknown callout [!NOTTE] (did you mean [!NOTE]?)`},
		{"attribute", "a\n\n```bash {rnu}\nx\n```\n", "x/a.md:13:4: unknown attribute \"rnu\" (did you mean \"run\"?)\n   13 | ```bash {rnu}"},
		{"attribute twice", "```bash {run run=b}\nx\n```\n", `x/a.md:11:4: run is given twice`},
		{"no braces", "```bash title=x\nx\n```\n", `x/a.md:11:4: write what follows the language in braces: {title=x}`},
		{"open brace", "```bash {run\nx\n```\n", `x/a.md:11:4: the { after the language is not closed`},
		{"open quote", "```bash {title=\"x}\nx\n```\n", `x/a.md:11:4: the " after title= is not closed`},
		{"lines", "```bash {3-1}\nx\n```\n", `x/a.md:11:4: "3-1" is not a list of lines`},
		{"node", "```bash {run=nod1}\nx\n```\n", `x/a.md:11:4: no node "nod1" here; there are: node1`},
		{"alt", "![](a.png)\n", `x/a.md:11:1: the image has no alt text`},
		{"same id", "## A {#x}\n\n## B {#x}\n", `x/a.md:13:1: the id "x" is used twice on this page`},
		{"open details", "a\n\n:::details X\ntext\n", `x/a.md:13:1: :::details is not closed by a line of :::`},
		{"details without title", ":::details\n:::\n", `x/a.md:11:1: details needs a title`},
		{"unknown block", ":::detials X\n:::\n", `x/a.md:11:1: unknown block "detials" (did you mean "details"?)`},
		{"stray tab", ":::tab X\n:::\n", `x/a.md:11:1: a tab must be inside tabs`},
		{"tabs with text", "::::tabs\ntext\n::::\n", `x/a.md:11:1: tabs may contain only`},
		{"quiz without answers", ":::quiz A?\ntext\n:::\n", `x/a.md:11:1: the quiz ends with its answers`},
		{"quiz without question", ":::quiz\n- [ ] a\n- [x] b\n:::\n", `x/a.md:11:1: the quiz needs a question`},
		{"quiz of one answer", "x\n\n:::quiz A?\n- [x] a\n:::\n", `x/a.md:13:1: a quiz needs at least two answers`},
		{"quiz of wrong answers", ":::quiz A?\n- [ ] a\n- [ ] b\n:::\n", `x/a.md:11:1: no answer is right`},
		{"answer without box", ":::quiz A?\n- [ ] a\n- b\n:::\n", `x/a.md:13:1: this answer doesn't say whether it is right`},
		{"answer without text", ":::quiz A?\n- [ ] a\n-\n:::\n", `x/a.md:13:1: this answer doesn't say whether it is right`},
		{"quiz in a quiz", ":::::quiz A?\n::::quiz B?\n- [ ] a\n- [x] b\n::::\n:::::\n", `x/a.md:11:1: the quiz ends with its answers`},
		{"link in a question", ":::quiz A [b](javascript:x)?\n- [ ] a\n- [x] b\n:::\n", `x/a.md:11:11: links may be relative`},
		{"blocks in blocks", strings.Repeat(":::details x\n", 17), `x/a.md:11:1: :::details is not closed`},
		{"include nowhere", ":::include a.md\n", `x/a.md:11:1: no other files can be included here`},
		{"formula", "a $b + \\frc{1}{2}$\n", "x/a.md:11:8: formula: \\frc is not known (did you mean \\frac?); write \\$ for the sign of dollars"},
		{"formula over lines", "a $b +\nc }$\n", "x/a.md:12:3: formula: a } without its {"},
		{"formula of its own", "a\n\n> $$\n> x\n>  \\left x\n> $$\n", "x/a.md:15:4: formula: \\left needs a delimiter"},
		{"environment", "$$\n\\begin{alined}\\end{alined}\n$$\n", "x/a.md:12:1: formula: the environment \"alined\" is not known (did you mean aligned?)"},
		{"formula of nothing", "$$\n$$\n", "x/a.md:11:1: formula: the formula is empty"},
		{"open formula", "a\n\n$$\nx\n\n$$\n", "x/a.md:13:1: the formula is not closed by $$ before the next empty line"},
		{"formula that leaves its quote", "> $$\n> x\n\n", "x/a.md:11:3: the formula is not closed"},
		{"no target", "[x]()\n", `x/a.md:11:1: the link has no target`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errs := render(c.text)
			if len(errs) == 0 {
				t.Fatal("no mistake was found")
			}
			if got := errs.Err().Error(); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s…", got, c.want)
			}
		})
	}
}

func TestAllMistakesOfATextAreReported(t *testing.T) {
	_, errs := render("[a](javascript:1)\n\n> [!X]\n> y\n\n```bash {zzzzzzzz}\n```\n\n![](b.png)\n")
	if len(errs) != 4 {
		t.Errorf("%d mistakes, want 4:\n%v", len(errs), errs.Err())
	}
}

func TestWarnsOfHTMLAndUnknownLanguages(t *testing.T) {
	p, errs := render("a <b>c</b>\n\n```pyton\nx\n```\n")
	if len(errs) != 0 {
		t.Fatal(errs.Err())
	}
	got := p.Warnings.Err().Error()
	for _, want := range []string{"x/a.md:11:3: HTML is shown as text", `x/a.md:13:4: unknown language "pyton": did you mean python?`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestHTMLIsPassedOnWhereACourseAllowsIt(t *testing.T) {
	render := func(text string) (string, *markdown.Page) {
		var errs source.List
		p := markdown.New().Render(markdown.Request{File: "a.md", Line: 1, Text: []byte(text), HTML: true}, &errs)
		if errs.Err() != nil {
			t.Error(errs.Err())
		}
		return string(p.HTML), p
	}
	got, p := render("a <b class=\"x\">c</b><!-- no --> d\n\n<details>\n<summary>S</summary>\n\n*in*\n\n</details>\n\n<!-- <script> -->\n\n<p id=a>Some <i>words</i><!-- x --></p>\n")
	want := "<p>a <b class=\"x\">c</b> d</p>\n<details>\n<summary>S</summary>\n<p><em>in</em></p>\n</details>\n<p id=a>Some <i>words</i></p>"
	if strings.TrimSpace(got) != want || len(p.Warnings) != 0 {
		t.Errorf("got\n%s\nwant\n%s\n%v", got, want, p.Warnings.Err())
	}
	if words := strings.Join(strings.Fields(p.Text), " "); words != "a c d S in Some words" {
		t.Errorf("words %q", words)
	}
	for text, want := range map[string]string{
		"x <b\n  onclick = 'a>b'>c</b>":                   "a.md:1:3: onclick= won't work",
		"x\n\n<p STYLE=color:red>c</p>":                   "a.md:3:1: style= won't work",
		"<div>\n<script>alert(1)</script>\n</div>":        "a.md:2:1: this script won't run",
		"> <div>\n> x <script src=//evil/x.js>\n> </div>": "a.md:2:5: this script won't run",
		"<style>p{}</style>":                              "a.md:1:1: <style> won't work",
		"<iframe src=https://x></iframe>":                 "a.md:1:1: <iframe> shows pages of this site only",
		"a <a href='java\tscript:x'>y</a>":                "a.md:1:3: href= leads nowhere",
		"a <img src=pic.png alt=x>":                       "a.md:1:3: src= is relative to the page's address",
		"a <a href='&#106;avascript:x'>y</a>":             "a.md:1:3: href= leads nowhere",
		"x\n\n<!-- open\n\ny":                             "a.md:3:1: the comment is not closed",
	} {
		if _, p := render(text); p.Warnings.Err() == nil || !strings.HasPrefix(p.Warnings.Err().Error(), want) {
			t.Errorf("%q: %v", text, p.Warnings.Err())
		}
	}
	// A browser would take the rest of the page for a comment.
	if got, _ := render("x\n\n<!-- open\n\ny"); strings.Contains(got, "<!--") {
		t.Errorf("%q has an open comment", got)
	}
	_, p = render("<div>\nAT&amp;T\n<script src=\"/a.js\">var hidden = '<b>';</script>\n<b>seen</b>\n</div>\n")
	if words := strings.Join(strings.Fields(p.Text), " "); words != "AT&T seen" {
		t.Errorf("words %q", words)
	}
	if _, p := render("<script src=/x.js></script> <a href=/a>b</a> <a href=#a>b</a> <a href=https://a>b</a> <a href=mailto:a@b>c</a>"); len(p.Warnings) != 0 {
		t.Error(p.Warnings.Err())
	}
}

func TestHeadingsLinksAndText(t *testing.T) {
	p, errs := render("# One `x` &amp; more\n\nSome [link *text*](b.md) and ![pic](p.png).\n\n```\ncode\n```\n\n## 二\n")
	if len(errs) != 0 {
		t.Fatal(errs.Err())
	}
	if got := headings(p); got != "[1 one-x-more One x & more 11] [2 二 二 19]" {
		t.Errorf("headings %s", got)
	}
	if len(p.Links) != 2 || p.Links[0].Target != "b.md" || p.Links[0].At.Line != 13 || !p.Links[1].Image || p.Links[1].Alt != "pic" {
		t.Errorf("links %+v", p.Links)
	}
	if strings.Contains(p.Text, "code") || !strings.Contains(p.Text, "Some link text and pic.") {
		t.Errorf("text %q", p.Text)
	}
}

func TestTheIDOfAHeadingIsMadeOfWhatIsRead(t *testing.T) {
	for text, want := range map[string]string{
		"## Work with [volumes](https://docs.docker.com/storage/volumes/)\n": "work-with-volumes",
		"## R&D &amp; AT&T\n":          "r-d-at-t",
		"## The `--rm` *option*\n":     "the-rm-option",
		"## snake\\_case 与 **容器。**后\n": "snake-case-与-容器-后",
		"## About $n^2$\n":             "about-n-2",
		"Setext [a](b.md)\n---\n":      "setext-a",
		"## ![pic](p.png)\n":           "pic",
		"## !\n":                       "section",
		"## A [b](c.md) {#own}\n":      "own",
	} {
		p, _ := render(text)
		if len(p.Headings) != 1 || p.Headings[0].ID != want || !strings.Contains(string(p.HTML), ` id="`+want+`"`) {
			t.Errorf("%q: %s in %s, want %s", text, headings(p), p.HTML, want)
		}
	}
	p, errs := render("## A\n\n## A\n\n## A {#a-1}\n")
	if got := headings(p); got != "[2 a A 11] [2 a-2 A 13] [2 a-1 A 15]" || len(errs) != 0 {
		t.Errorf("headings %s, mistakes %v", got, errs)
	}
}

func headings(p *markdown.Page) string {
	var out []string
	for _, h := range p.Headings {
		out = append(out, fmt.Sprint([]any{h.Level, h.ID, h.Text, h.At.Line}))
	}
	return strings.Join(out, " ")
}

func TestWordsOfAFormulaAreFound(t *testing.T) {
	p, errs := render("## About $n^2$\n\nSum $\\sum_i x_i$ of\n\n$$\n\\text{total cost} = \\frac{a}{b}\n$$\n\n++Ctrl+C++\n")
	if errs.Err() != nil || p.Headings[0].Text != "About n²" || p.Headings[0].ID != "about-n-2" {
		t.Errorf("%v %+v", errs.Err(), p.Headings)
	}
	if got := strings.Join(strings.Fields(p.Sections[1].Text), " "); got != "Sum ∑_i x_i of total cost = a/b Ctrl+C" {
		t.Errorf("text %q", got)
	}
}

func TestSections(t *testing.T) {
	p, _ := render("Intro.\n\n## One\n\nText `x`.\n\n```\ncode\n```\n\n### 二 {#two}\n\n文字\n")
	want := []markdown.Section{{Text: "Intro.\n"}, {ID: "one", Title: "One", Text: "Text x.\n\n", Code: "code\n"}, {ID: "two", Title: "二", Text: "文字\n"}}
	if len(p.Sections) != len(want) {
		t.Fatalf("%d sections: %+v", len(p.Sections), p.Sections)
	}
	for i, s := range p.Sections {
		s.Text = strings.TrimSpace(s.Text)
		want[i].Text = strings.TrimSpace(want[i].Text)
		if s != want[i] {
			t.Errorf("section %d is %+v, want %+v", i, s, want[i])
		}
	}
}

func TestResolve(t *testing.T) {
	var errs source.List
	p := markdown.New().Render(markdown.Request{File: "a.md", Line: 1, Text: []byte("[a](x.md)\n\n[b](y.md)\n"),
		Resolve: func(target string, image bool) (string, error) {
			if target == "x.md" && !image {
				return "/x/", nil
			}
			return "", fmt.Errorf("the link %q leads to no page", target)
		}}, &errs)
	if !bytes.Contains(p.HTML, []byte(`<a href="/x/">a</a>`)) {
		t.Errorf("HTML %s", p.HTML)
	}
	if got := errs.Err().Error(); !strings.HasPrefix(got, `a.md:3:1: the link "y.md" leads to no page`) {
		t.Error(got)
	}
}

// What Resolve and the check of schemes have seen must be what a browser gets.
func TestLinksLeadWhereTheirCheckedTargetSays(t *testing.T) {
	for text, want := range map[string]string{
		`[a](foo\(1\)\_b.md)`:                    `href="foo(1)_b.md"`,
		`[a](x?a=1&amp;b=2)`:                     `href="x?a=1&amp;b=2"`,
		`[a](&#106;avascript:alert(1))`:          "",
		`[a](javascript\:alert(1))`:              "",
		`[a](java&Tab;script:alert(1))`:          "",
		`[a](&amp;#106;avascript:alert(1))`:      `href="&amp;#106;avascript:alert(1)"`,
		`[a](\&#106;avascript:alert(1))`:         "",
		`[a](\\&amp;amp;x)`:                      `href="%5C&amp;amp;x"`,
		"<https://a.example/`x>":                 "href=\"https://a.example/%60x\"",
		`[a](foo\)\:)`:                           `href="foo):"`,
		`![a](java\script:x)`:                    `src="java%5Cscript:x"`,
		`![a](data:text/html,x)`:                 "",
		`<img src="&#x6A;avascript:alert(1)">`:   "",
		`[a](vbscript&colon;x) [b](b&period;md)`: `href="b.md"`,
	} {
		p, _ := render(text)
		attr := regexp.MustCompile(`(?:href|src)="[^"]*"`).FindString(string(p.HTML))
		if attr != want {
			t.Errorf("%s became %s, want %q", text, p.HTML, want)
		}
	}
}

func TestLinesOfChineseJoinWithoutASpace(t *testing.T) {
	for text, want := range map[string]string{
		"容器\n停止":             "<p>容器停止</p>",
		"容器 \n停止":            "<p>容器停止</p>",
		"**容器**\n停止":         "<p><strong>容器</strong>停止</p>",
		"[容器](a.md)\n**停止**": `<p><a href="a.md">容器</a><strong>停止</strong></p>`,
		"容器，\n[停止](a.md)":    `<p>容器，<a href="a.md">停止</a></p>`,
		"Docker\n容器":         "<p>Docker\n容器</p>",
		"容器\n`docker`":       "<p>容器\n<code>docker</code></p>",
		"`容器`\n停止":           "<p><code>容器</code>\n停止</p>",
		"容器  \n停止":           "<p>容器<br>\n停止</p>",
	} {
		p, _ := render(text)
		if got := strings.TrimSpace(string(p.HTML)); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestRendererIsSafeForConcurrentUse(t *testing.T) {
	r := markdown.New()
	text := []byte("# A\n\n```go\nfunc main() {}\n```\n\n```bash {run}\nls -l\n```\n")
	var want []byte
	{
		var errs source.List
		want = r.Render(markdown.Request{Text: text}, &errs).HTML
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				var errs source.List
				if got := r.Render(markdown.Request{Text: text}, &errs).HTML; !bytes.Equal(got, want) {
					t.Error("another result")
				}
			}
		})
	}
	wg.Wait()
}

// TestBlocksDifferByAllTheyAreMadeOf renders blocks that differ in one thing with one Renderer.
func TestBlocksDifferByAllTheyAreMadeOf(t *testing.T) {
	r := markdown.New()
	seen := map[string]string{}
	for _, c := range []struct{ text, variables string }{
		{"```bash\necho {{code}}\n```\n", ""}, {"```bash\necho {{code}}\n```\n", "code"}, {"```text\necho {{code}}\n```\n", ""},
		{"```bash {1}\necho {{code}}\n```\n", ""}, {"```bash {numbers}\necho {{code}}\n```\n", ""}, {"```bash\necho {{code}} \n```\n", ""},
	} {
		var errs source.List
		req := markdown.Request{Text: []byte(c.text)}
		if c.variables != "" {
			req.Variables = []string{c.variables}
		}
		got := string(r.Render(req, &errs).HTML)
		if other, ok := seen[got]; ok {
			t.Errorf("%q gives the same as %q", c.text, other)
		}
		seen[got] = c.text
		if again := string(r.Render(req, &errs).HTML); again != got {
			t.Errorf("%q gives something else the second time", c.text)
		}
	}
}

var (
	tag       = regexp.MustCompile(`<[^>]*>`)
	goodTag   = regexp.MustCompile(`^</?[a-z][a-z0-9]*((\s[a-z-]+(="[^"<>]*")?)*)\s*>$`)
	badAttr   = regexp.MustCompile(`\s(on[a-z]+|style|srcdoc|formaction)=`)
	badTarget = regexp.MustCompile(`(?i)(href|src)="\s*(javascript|vbscript|data):`)
	goodNames = " a annotation blockquote br code dd del details div dl dt em fieldset figcaption figure h1 h2 h3 h4 h5 h6 hr img input kbd label legend li math mfrac mi mn mo mover mphantom mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover ol p pre semantics span strong sub summary sup table tbody td th thead tr ul button "
)

// FuzzRender looks for text that becomes markup it must not become.
func FuzzRender(f *testing.F) {
	data, err := os.ReadFile("testdata/blocks.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range strings.Split(string(data), "\n==== ")[1:] {
		_, rest, _ := strings.Cut(c, "\n")
		in, _, _ := strings.Cut(rest, "\n----\n")
		f.Add([]byte(in))
	}
	r := markdown.New()
	f.Fuzz(func(t *testing.T, text []byte) {
		var errs source.List
		out := string(r.Render(markdown.Request{File: "a.md", Line: 1, Text: text, Variables: []string{"code"}, Node: "node1", TermIDs: true}, &errs).HTML)
		if m := badTarget.FindString(out); m != "" {
			t.Errorf("%q becomes %q", text, m)
		}
		for _, found := range tag.FindAllString(out, -1) {
			name := strings.FieldsFunc(strings.Trim(found, "</>"), func(r rune) bool { return r == ' ' || r == '\n' })
			if !goodTag.MatchString(found) || badAttr.MatchString(found) || len(name) == 0 || !strings.Contains(goodNames, " "+name[0]+" ") {
				t.Errorf("%q becomes %q", text, found)
			}
		}
	})
}

// FuzzQuiz looks for quizzes whose answers and reasons don't belong together.
func FuzzHTMLIsPassedOnAsItIs(f *testing.F) {
	for _, s := range []string{"<a href='x'>b</a>", "<b", "<a b=\"", "<a / =c d= e>", "< a><1 x>", "<A B = C>", "<script>x<y</script>", "<?a?>", "<![CDATA[x]]>", "<xmp><b>", "\x00<"} {
		f.Add(s)
	}
	r := markdown.New()
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n\x00") || strings.Contains(s, "<!-") || !utf8.ValidString(s) {
			return
		}
		text := "<div>" + s + "</div>\n"
		var errs source.List
		if got := string(r.Render(markdown.Request{File: "a.md", Line: 1, Text: []byte(text), HTML: true}, &errs).HTML); got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func FuzzQuiz(f *testing.F) {
	f.Add("Which?", "- [ ] a\n  why\n- [x] b\n\n  why\n")
	f.Add("A `b` *c*", "text\n\n1. [x] a\n2. [x] **b\n c** d\n")
	f.Add("", "- [ ]\n- [x] \n> - [ ] x\n")
	f.Add("x", "::::quiz y\n- [ ] a\n- [x] b\n::::\n- [x] c\n- [ ] d\\\n e\n")
	r := markdown.New()
	f.Fuzz(func(t *testing.T, question, body string) {
		var errs source.List
		text := ":::quiz " + question + "\n" + body + "\n:::\n"
		out := string(r.Render(markdown.Request{File: "a.md", Line: 1, Text: []byte(text)}, &errs).HTML)
		if len(errs) > 0 {
			return
		}
		answers, reasons := strings.Count(out, `"><label><input type=`), strings.Count(out, `"><strong class="quiz-verdict">`)
		if answers != reasons || strings.Count(out, "<fieldset") != strings.Count(out, "</fieldset>") {
			t.Errorf("%q: %d answers, %d reasons: %s", text, answers, reasons, out)
		}
		if answers > 0 && (answers < 2 || !strings.Contains(out, `<li data-answer="right">`)) {
			t.Errorf("%q is a quiz without choice: %s", text, out)
		}
	})
}
