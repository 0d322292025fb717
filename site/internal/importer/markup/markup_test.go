package markup

import (
	"strings"
	"testing"
)

func TestBlocksBecomeMarkdown(t *testing.T) {
	for _, tt := range []struct{ name, html, want string }{
		{"Table", "<table><thead><tr><th>A<th>B</thead><tr><td>1|2<td><b>x</b> <code>a&lt;b</code></table>", "| A | B |\n| --- | --- |\n| 1\\|2 | <b>x</b> `a<b` |"},
		{"NoHead", "<table><tr><td>1<td>2</table>", "|  |  |\n| --- | --- |\n| 1 | 2 |"},
		{"Merged", "<table><tr><th>A<th>B<th>C<tr><td rowspan=2>1<td colspan=2>2<tr><td>3<td>4</table>", "| A | B | C |\n| --- | --- | --- |\n| 1 | 2 |  |\n|  | 3 | 4 |"},
		{"Lists", "<ol><li>one<ul><li>in</ul><li>two</ol>", "1. one\n\n   - in\n2. two"},
		{"Terms", "<dl><dt>T<dd>meaning</dl>", "T\n: meaning"},
		{"Code", "<pre><code class=language-go>a := 1\n\nb &lt; ```</code></pre>", "````go\na := 1\n\nb < ```\n````"},
		{"Figure", `<figure><img src="a b.png" alt=""><figcaption>A "picture"</figcaption></figure>`, `![A 'picture'](<a b.png> "A 'picture'")`},
		{"Quote", "<blockquote><p>one<p>two</blockquote>", "> one\n>\n> two"},
		{"Script", "<h2>x<script>alert(1)</script></h2>", "## x<script></script>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Convert(tt.html)
			if err != nil || strings.Join(got.Lines, "\n") != tt.want {
				t.Errorf("got\n%s\nwant\n%s\n%v", strings.Join(got.Lines, "\n"), tt.want, err)
			}
		})
	}
}

func TestJSXTagsAreRead(t *testing.T) {
	for _, tt := range []struct{ src, name, title string }{
		{`<Tab title="a > b">`, "Tab", "a > b"},
		{"<Tab title={'x'} other={{a: '>'}}>rest", "Tab", "x"},
		{"<Tab title={`y`}/>", "Tab", "y"},
		{"<p title=z>", "p", "z"},
	} {
		tag, n := ReadTag(tt.src)
		if n == 0 || tag.Name != tt.name || tag.Attr("title") != tt.title {
			t.Errorf("%s: got %+v, %d", tt.src, tag, n)
		}
	}
	for _, src := range []string{"<", "< a>", "<a", "<a \"", "<a {", "<a\n\n>", "<1>", "<a <b>"} {
		if tag, n := ReadTag(src); n != 0 {
			t.Errorf("%q is the tag %+v", src, tag)
		}
	}
}

func TestHostileBlocksGiveBoundedOutput(t *testing.T) {
	for _, src := range []string{
		"<table>" + strings.Repeat("<tr>"+strings.Repeat("<td colspan=40 rowspan=200>x", 40), 300) + "</table>",
		strings.Repeat("<table><tr><td>", 2000),
		strings.Repeat("<blockquote>", 400) + "deep",
		strings.Repeat("<b>", 10_000),
		"<table>" + strings.Repeat("<tr><td>x", 20_000),
	} {
		got, err := Convert(src)
		size := 0
		for _, l := range got.Lines {
			size += len(l)
		}
		if err == nil && size > 4<<20 {
			t.Errorf("%.40s…: %d bytes", src, size)
		}
	}
}
