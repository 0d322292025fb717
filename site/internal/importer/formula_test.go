//go:build !race

package importer_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/site/internal/importer"
)

// TestFormulasAreCopied converts a page of each format, builds it, and compares the text and the
// report.
func TestFormulasAreCopied(t *testing.T) {
	mathjax := "[output.html]\nmathjax-support = true\n"
	katex := "[preprocessor.katex]\nafter = [\"links\"]\n"
	docs := "remarkPlugins: [require('remark-math')]"
	for _, tt := range []struct {
		name, settings string
		format         importer.Format
		text, want     string
		lost           []string
	}{
		{"Inline", "", "obsidian", `area $a_1 = \pi r^2$, *so* $\{x_i\}_{i=1}^{n}$ and $[0,1)$ [[nope]]`, `area $a_1 = \pi r^2$, *so* $\{x_i\}_{i=1}^{n}$ and $[0,1)$ nope`, []string{"its target is not in the vault"}},
		{"Tags", "", "obsidian", `$a == b == c$ $\#x #y$ ==so $x$==`, "$a == b == c$ ` \\#x #y ` **so $x$**", []string{"shown as its source", "bold"}},
		{"Letters", "", "obsidian", `the $n$th, 2$x$ and $n$-th`, `the $n$<!-- -->th, 2<!-- -->$x$ and $n$-th`, nil},
		{"Block", "", "obsidian", "so\n$$\n\\begin{aligned}\na &= b \\\\\n\nc &= d ^2\n\\end{aligned}\n$$\nend", "so\n$$\n\\begin{aligned}\na &= b \\\\\nc &= d ^2\n\\end{aligned}\n$$\nend", nil},
		{"InQuotesAndLists", "", "obsidian", "> so\n> $$\n> a_1\n> $$\n\n- $$b_1$$\n- c\n  $$\n  d\n  $$", "> so\n> $$\n> a_1\n> $$\n\n- $$b_1$$\n- c\n  $$\n  d\n  $$", nil},
		{"DisplayInText", "", "obsidian", "so $$\na_1\n$$ is", "so $$a_1$$ is", nil},
		{"Refused", "", "obsidian", "a $\\newcommand{x}{y}$ b\n\n> $$\n> \\def\\x{y}\n> $$\n", "a ` \\newcommand{x}{y} ` b\n\n> ```text\n> \\def\\x{y}\n> ```", []string{"shown as its source: ", "shown as its source: "}},
		{"NoFormula", "", "obsidian", "costs $5 and $6, `$HOME` $PATH, \\$x$, $$ is a process\n\n`$a$`\n\n```\n$$\n[[x]]\n```", "costs $5 and $6, `$HOME` $PATH, \\$x$, \\$\\$ is a process\n\n`$a$`\n\n```\n$$\n[[x]]\n```", nil},

		{"Docusaurus", docs, "docusaurus", "so $\\frac{a}{b}$, $ x $ and\n\n  $$\n  \\text{a} :::b\n  {c}\n  $$\n", "so $\\frac{a}{b}$, $x$ and\n\n$$\n\\text{a} :::b\n{c}\n$$", nil},
		{"DocusaurusInAdmonition", docs, "docusaurus", ":::tip\n$$\nx\n$$\n:::", "> [!TIP]\n> $$\n> x\n> $$", nil},
		{"DocusaurusWithout", "module.exports = {}", "docusaurus", "$x$ costs $5/6$ or $7, $HOME/x\n$$\ny\n$$", "\\$x$ costs \\$5/6$ or $7, $HOME/x\n\\$\\$\ny\n\\$\\$", nil},

		{"MathJax", mathjax, "mdbook", "so \\\\( x_1 = \\\\frac{a}{b} * c \\\\) and \\\\(\\\\{y\\\\}\\\\)s, $z$\n\n\\\\[\n\\begin{matrix} a \\\\\\\\ b \\end{matrix}\n\\\\]\n\n\\\\[ \\mu \\\\]", "so $x_1 = \\frac{a}{b} * c$ and $\\{y\\}$<!-- -->s, \\$z$\n\n$$\n\\begin{matrix} a \\\\ b \\end{matrix}\n$$\n\n$$ \\mu $$", nil},
		{"MathJaxOpen", mathjax, "mdbook", "a \\\\( b \\\\[ c\n\nd \\\\)", "a \\\\( b \\\\[ c\n\nd \\\\)", nil},
		{"KaTeX", katex, "mdbook", "so $x_1 \\; y$ and \\\\( x \\\\)\n\n$$\na\n$$", "so $x_1 \\; y$ and \\\\( x \\\\)\n\n$$\na\n$$", nil},
		{"NoMaths", "", "mdbook", "so $x$ \\\\( y \\\\)\n", "so \\$x$ \\\\( y \\\\)", nil},
		{"Mermaid", "", "mdbook", "```mermaid\na --> b\n```", "```mermaid\na --> b\n```", []string{"the mermaid block is shown as its source"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := fstest.MapFS{"docs/m/a.md": {Data: []byte(tt.text)}, "docs/SUMMARY.md": {Data: []byte("- [A](m/a.md)\n")}}
			switch tt.format {
			case importer.MDBook:
				src["book.toml"] = &fstest.MapFile{Data: []byte("[book]\nsrc = \"docs\"\n" + tt.settings)}
			case importer.Docusaurus:
				src["docusaurus.config.ts"] = &fstest.MapFile{Data: []byte(tt.settings)}
			}
			course, rep := convert(t, src, importer.Options{From: tt.format})
			build(t, course, "en")
			var got string
			for name, f := range course {
				if strings.HasSuffix(name, "a.md") {
					_, got, _ = strings.Cut(string(f.Data), "+++\n\n")
				}
			}
			if strings.Trim(got, "\n") != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			var lost []string
			for _, c := range rep.Log.Entries() {
				if strings.HasSuffix(c.File, "/a.md") {
					lost = append(lost, c.Msg)
				}
			}
			for i := range max(len(lost), len(tt.lost)) {
				if i >= len(lost) || i >= len(tt.lost) || !strings.Contains(lost[i], tt.lost[i]) {
					t.Fatalf("reported %q, want %q", lost, tt.lost)
				}
			}
		})
	}
}
