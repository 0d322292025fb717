package paper_test

import (
	"testing"

	"github.com/labd-dev/labd/site/internal/paper"
)

func TestPrepare(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"NoIDs", "<h2>A</h2><p>b &lt; c</p>", "<h3>A</h3><p>b &lt; c</p>"},
		{"PrefixedAlready", `<h3 id="a--x">X</h3><a href="#a--x">x</a>`, `<h4 id="a--x">X</h4><a href="#a--x">x</a>`},
		{"Folded", "<details><summary>s</summary></details>", "<details open><summary>s</summary></details>"},
		{"OwnIDs", `<h2 id="x">X</h2><h2 id="a--y">Y</h2><a href="#x">x</a><a href="#b--x">other lesson</a>`,
			`<h3 id="a--x">X</h3><h3 id="a--y">Y</h3><a href="#a--x">x</a><a href="#b--x">other lesson</a>`},
		{"OtherQuotes", "<p id=x></p><p id='y'></p><label for=\"x\" aria-describedby=\"y z\">l</label>",
			`<p id="a--x"></p><p id="a--y"></p><label for="a--x" aria-describedby="a--y z">l</label>`},
		{"NoTags", `<p id="x">a id="y" &amp; <code>&lt;p id=z&gt;</code></p>`, `<p id="a--x">a id="y" &amp; <code>&lt;p id=z&gt;</code></p>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := paper.Prepare([]byte(tt.text), "a--"); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
