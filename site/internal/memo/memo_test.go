package memo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
	"github.com/labd-dev/labd/site/internal/memo"
)

// tree answers the questions of rendering.
type tree struct {
	links    map[string]string
	included map[string]string
	image    markdown.Image
}

func (tr *tree) request(text string) markdown.Request {
	req := markdown.Request{File: "content/en/a.md", Line: 1, Text: []byte(text), Labels: markdown.English()}
	req.Resolve = func(target string, _ bool) (string, error) {
		if to, ok := tr.links[target]; ok {
			return to, nil
		}
		return "", errors.New("leads to no page")
	}
	req.Image = func(string) (markdown.Image, error) { return tr.image, nil }
	req.Include = func(name string) (markdown.Included, error) {
		data, ok := tr.included[name]
		if !ok {
			return markdown.Included{}, errors.New("there is no such file")
		}
		inc := markdown.Included{File: "content/en/" + name, Data: []byte(data), Looked: []string{"en/" + name}}
		inc.Resolve, inc.Include = req.Resolve, req.Include
		return inc, nil
	}
	return req
}

const text = "[b](b.md) ![c](c.png)\n\n```go {file=code.go}\n```\n"

func newTree() *tree {
	return &tree{
		links: map[string]string{"b.md": "/b/", "c.png": "/c.png"}, included: map[string]string{"code.go": "package a\n"},
		image: markdown.Image{URL: "/assets/c.png", Width: 1, Height: 1},
	}
}

// TestChangesInvalidateResults renders the same page twice, with one change in between. A cached
// result has no HTML.
func TestChangesInvalidateResults(t *testing.T) {
	md := markdown.New()
	for _, tt := range []struct {
		name   string
		text   string
		change func(*tree)
		again  bool
	}{
		{"Nothing", text, func(*tree) {}, false},
		{"NothingThatIsAsked", text, func(tr *tree) { tr.links["other.md"] = "/other/" }, false},
		{"Text", text + "more\n", func(*tree) {}, true},
		{"Link", text, func(tr *tree) { tr.links["b.md"] = "/elsewhere/" }, true},
		{"LinkBreaks", text, func(tr *tree) { delete(tr.links, "b.md") }, true},
		{"Image", text, func(tr *tree) { tr.image.Width = 2 }, true},
		{"Include", text, func(tr *tree) { tr.included["code.go"] = "package b\n" }, true},
		{"IncludeGoes", text, func(tr *tree) { delete(tr.included, "code.go") }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree()
			var errs source.List
			first := memo.After(nil)
			if page := first.Render(md, tr.request(text), &errs); errs != nil || page.HTML == nil {
				t.Fatal(errs, page)
			}
			tt.change(tr)
			second := memo.After(first)
			page := second.Render(md, tr.request(tt.text), &errs)
			if again := page.HTML != nil; again != tt.again || second.Same() == again {
				t.Errorf("rendered again: %v, want %v; the same: %v", again, tt.again, second.Same())
			}
		})
	}
}

func TestMistakesAreCached(t *testing.T) {
	md, tr := markdown.New(), newTree()
	tr.links = nil
	var once, twice source.List
	m := memo.After(nil)
	m.Render(md, tr.request(text), &once)
	memo.After(m).Render(md, tr.request(text), &twice)
	if len(once) == 0 || once.Err().Error() != twice.Err().Error() {
		t.Errorf("at first %v, then %v", once, twice)
	}
}

func TestMadeOfKnowsTextsAndIncludes(t *testing.T) {
	m := memo.After(nil)
	var errs source.List
	m.Render(markdown.New(), newTree().request(text), &errs)
	for name, want := range map[string]bool{"content/en/a.md": true, "en/code.go": true, "en/b.md": false} {
		if got := m.MadeOf([]string{"x", name}); got != want {
			t.Errorf("made of %s: %v", name, got)
		}
	}
}

func TestANilMemoRenders(t *testing.T) {
	var none *memo.Memo
	var errs source.List
	page := none.Render(markdown.New(), newTree().request(text), &errs)
	if errs != nil || !strings.Contains(string(page.HTML), `href="/b/"`) {
		t.Errorf("%s, %v", page.HTML, errs)
	}
}

func TestResultsAreDoubtfulAfterRelatedChanges(t *testing.T) {
	var errs source.List
	look := func(tr *tree) *memo.Memo {
		m := memo.After(nil)
		m.Render(markdown.New(), tr.request(text), &errs)
		return m
	}
	fine, broken := look(newTree()), look(&tree{included: map[string]string{"code.go": "x"}})
	for _, tt := range []struct {
		name    string
		memo    *memo.Memo
		file    string
		url     string
		doubted bool
	}{
		{"NothingOfIt", fine, "en/other.md", "/other/", false},
		{"Link", fine, "en/other.md", "/b/", true},
		{"Image", fine, "en/other.md", "/c.png", true},
		{"Included", fine, "en/code.go", "/other/", true},
		{"LedNowhere", broken, "en/other.md", "/other/", true},
	} {
		if got := tt.memo.Doubtful([]string{tt.file}, func(url string) bool { return url == tt.url }); got != tt.doubted {
			t.Errorf("%s: doubted %v", tt.name, got)
		}
	}
}
