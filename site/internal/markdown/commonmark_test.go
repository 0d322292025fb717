package markdown_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// The examples of the CommonMark and GFM specifications (CC BY-SA 4.0) are read from the module of
// goldmark, which carries them for its own tests. So they are those of the version we use.
func goldmarkDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yuin/goldmark").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// Reasons for differences.
const (
	noComments   = "HTML comments are left out"
	noTarget     = "a link without an address is an error"
	captions     = "an image with a title, alone in a paragraph, is a figure"
	fewSchemes   = "links are relative, http, https, mailto or tel"
	bareLinks    = "GFM makes bare addresses links"
	allowsAnyTag = "with html = true no tag is disabled"
)

// commonMarkDifferences holds the examples of CommonMark 0.31.2 that come out differently on
// purpose. The guide has the same list: content/en/guide/reference/commonmark.md.
var commonMarkDifferences = map[int]string{
	177: noComments, 179: noComments, 183: noComments, 308: noComments, 309: noComments, 625: noComments, 626: noComments,
	200: noTarget, 485: noTarget, 486: noTarget, 487: noTarget, 567: noTarget,
	572: captions, 573: captions, 576: captions, 577: captions, 584: captions, 585: captions, 586: captions,
	588: captions, 589: captions, 591: captions,
	596: fewSchemes, 598: fewSchemes, 599: fewSchemes, 601: fewSchemes,
	608: bareLinks, 611: bareLinks, 612: bareLinks,
}

func TestCommonMarkExamples(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(goldmarkDir(t), "_test", "spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	var examples []struct {
		Markdown, HTML, Section string
		Example                 int
	}
	if err := json.Unmarshal(data, &examples); err != nil {
		t.Fatal(err)
	}
	if len(examples) != 652 {
		t.Fatalf("%d examples were read instead of 652", len(examples))
	}
	r := markdown.New()
	for _, e := range examples {
		compareWithSpec(t, r, e.Example, e.Section, e.Markdown, e.HTML, commonMarkDifferences)
	}
	t.Logf("%d examples are equal, %d differ on purpose", len(examples)-len(commonMarkDifferences), len(commonMarkDifferences))
}

// gfmDifferences holds the same for the extensions of GFM 0.29.
var gfmDifferences = map[int]string{628: fewSchemes, 653: allowsAnyTag}

// gfmFiles are the files of goldmark that hold the examples of each extension, with their numbers
// in the GFM specification. Goldmark's own further examples follow in the same files.
var gfmFiles = []struct {
	file    string
	numbers []int
}{
	{"table.txt", []int{198, 199, 200, 201, 202, 203, 204, 205}},
	{"tasklist.txt", []int{279, 280}},
	{"strikethrough.txt", []int{491, 492}},
	{"linkify.txt", []int{621, 622, 624, 625, 626, 627, 628, 629, 630, 631}},
}

func TestGFMExamples(t *testing.T) {
	dir := filepath.Join(goldmarkDir(t), "extension", "_test")
	r, n := markdown.New(), 0
	for _, f := range gfmFiles {
		data, err := os.ReadFile(filepath.Join(dir, f.file))
		if err != nil {
			t.Fatal(err)
		}
		examples := regexp.MustCompile(`(?ms)^//(?:- )+-//\n(.*?)^//(?:- )+-//\n(.*?)^//(?:= )+=//`).FindAllStringSubmatch(string(data), -1)
		if len(examples) < len(f.numbers) {
			t.Fatalf("%s has only %d examples", f.file, len(examples))
		}
		for i, number := range f.numbers {
			compareWithSpec(t, r, number, f.file, examples[i][1], examples[i][2], gfmDifferences)
			n++
		}
	}
	// Two that goldmark lacks: a link within a sentence, and tags that GFM disarms.
	compareWithSpec(t, r, 623, "autolinks", "Visit www.commonmark.org/help for more information.\n",
		`<p>Visit <a href="http://www.commonmark.org/help">www.commonmark.org/help</a> for more information.</p>`, gfmDifferences)
	compareWithSpec(t, r, 653, "disallowed HTML", "<strong> <title> <style> <em>\n\n<blockquote>\n  <xmp> is disallowed.  <XMP> is also disallowed.\n</blockquote>\n",
		"<p><strong> &lt;title> &lt;style> <em></p>\n<blockquote>\n  &lt;xmp> is disallowed.  &lt;XMP> is also disallowed.\n</blockquote>", gfmDifferences)
	if n += 2; n != 24 {
		t.Errorf("%d examples were compared instead of 24", n)
	}
	t.Logf("%d examples are equal, %d differ on purpose", n-len(gfmDifferences), len(gfmDifferences))
}

// compareWithSpec renders an example. It must come out as in the specification, or be listed.
func compareWithSpec(t *testing.T, r *markdown.Renderer, number int, section, text, want string, differences map[int]string) {
	t.Helper()
	var errs source.List
	page := r.Render(markdown.Request{File: "a.md", Line: 1, Text: []byte(text), HTML: true}, &errs)
	got := withoutAdditions(string(page.HTML))
	equal := got == strings.TrimSpace(strings.ReplaceAll(want, " />", ">"))
	switch reason, listed := differences[number]; {
	case listed && equal:
		t.Errorf("example %d (%s) is equal now; take it out of the table: %s", number, section, reason)
	case !listed && !equal:
		t.Errorf("example %d (%s)\n%s\n got %s\nwant %s\nmistakes %v", number, section, text, got, want, errs)
	}
}

// What pages have beyond the specifications' HTML. Everything else is compared byte by byte.
var (
	addedToCode    = regexp.MustCompile(`(?s)<div class="code(?: console)?"><pre tabindex="0"><code( class="[^"]*")?>(.*?)</code></pre>(?:<button type="button" class="copy" data-copy hidden>Copy</button>)?</div>`)
	addedToWords   = regexp.MustCompile(`<span class="[a-z]+">|</span>`) // colours
	addedToHeading = regexp.MustCompile(`<(h[1-6]) id="[^"]+">`)
	addedToImage   = regexp.MustCompile(` (?:decoding="async"|loading="lazy")`)
	addedToTable   = regexp.MustCompile(`(?s)<div class="table" role="region" tabindex="0" aria-label="Table">\n(.*?</table>\n)</div>\n`)
	addedToTask    = regexp.MustCompile(` aria-label="(?:not )?done"`)
)

// withoutAdditions takes out what pages add to the HTML of the specifications on purpose.
func withoutAdditions(html string) string {
	html = addedToCode.ReplaceAllStringFunc(html, func(block string) string {
		m := addedToCode.FindStringSubmatch(block)
		code := addedToWords.ReplaceAllString(m[2], "")
		if code != "" && !strings.HasSuffix(code, "\n") {
			code += "\n" // left out, so that a copied command doesn't run at once
		}
		return "<pre><code" + m[1] + ">" + code + "</code></pre>"
	})
	html = addedToHeading.ReplaceAllString(html, "<$1>")
	html = addedToImage.ReplaceAllString(html, "")
	html = addedToTable.ReplaceAllString(html, "$1")
	html = addedToTask.ReplaceAllString(html, "")
	// Other spellings of the same HTML.
	html = strings.NewReplacer(" />", ">", "&#34;", "&quot;", "&#39;", "'",
		`<input type="checkbox" checked disabled>`, `<input checked="" disabled="" type="checkbox">`,
		`<input type="checkbox" disabled>`, `<input disabled="" type="checkbox">`).Replace(html)
	return strings.TrimSpace(html)
}

// TestTheGuideListsTheDifferences compares the tables of the guide with those of the tests.
func TestTheGuideListsTheDifferences(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\|[^|\n]*\|[^|\n]*\|([ 0-9,]*)\|([ 0-9,]*)\|$`)
	for _, lang := range []string{"en", "zh"} {
		data, err := os.ReadFile("../../../content/" + lang + "/guide/reference/commonmark.md")
		if err != nil {
			t.Fatal(err)
		}
		var inGuide [2][]int
		for _, m := range row.FindAllStringSubmatch(string(data), -1) {
			for i := range inGuide {
				for _, n := range regexp.MustCompile(`\d+`).FindAllString(m[1+i], -1) {
					number, _ := strconv.Atoi(n)
					inGuide[i] = append(inGuide[i], number)
				}
			}
		}
		for i, want := range []map[int]string{commonMarkDifferences, gfmDifferences} {
			got := slices.Sorted(slices.Values(inGuide[i]))
			if !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
				t.Errorf("%s: the guide lists %v, the tests %v", lang, got, slices.Sorted(maps.Keys(want)))
			}
		}
		for _, equal := range []int{652 - len(commonMarkDifferences), 24 - len(gfmDifferences)} {
			if !strings.Contains(string(data), " "+strconv.Itoa(equal)+" ") {
				t.Errorf("%s: the guide doesn't say that %d examples are equal", lang, equal)
			}
		}
	}
}
