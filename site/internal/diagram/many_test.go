package diagram_test

import (
	"sync"
	"testing"

	"github.com/labd-dev/labd/site/internal/diagram"
)

// lessons are diagrams of each kind that the package comment names.
var lessons = map[string]string{
	"flow":          "direction: right\nedit -> build -> run\nbuild -> edit: it fails {style.stroke-dash: 3}\nbuild: \"Build\\nthe image\"\n",
	"frames":        "host: Your computer {\n  engine: Docker {\n    web\n    data: counts {shape: cylinder; class: ok}\n    web -> data\n  }\n  browser -> engine.web: \"8080 → 8000\"\n}\n",
	"network":       "net: 网络 visits_default {\n  grid-rows: 2\n  a: 甲 {shape: hexagon; class: accent}\n  b: 乙 {style.multiple: true}\n}\ninternet: {shape: cloud; class: quiet}\ninternet <-> net.a: 8080\nuser: {shape: person}\nuser -- internet\n",
	"sequence":      "shape: sequence_diagram\ncli: docker\ncli -> daemon: create\ndaemon.pull -> registry: GET\ndaemon -> daemon: wait\ndaemon.\"a note\"\nloop: until it is there {\n  cli -> daemon: ready?\n}\n",
	"hostile names": "\"<script>alert(1)</script>\" -> \"a\\\" onload=\\\"x\" : \"</text><style>*{}</style> & more\"\n'{{x}}' -> \"]]>\"\n",
}

func made(t *testing.T, text string) string {
	t.Helper()
	p, problems := diagram.New(nil).Make(text)
	if p == nil {
		t.Fatalf("not drawn: %v", problems)
	}
	return p.SVG("d1", "Title <b>", "Text & more")
}

// TestManyDrawAtATime is what the race detector looks at.
func TestManyDrawAtATime(t *testing.T) {
	for _, text := range lessons {
		want := made(t, text)
		got := make([]string, 4)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				if p, _ := diagram.New(nil).Make(text); p != nil {
					got[i] = p.SVG("d1", "Title <b>", "Text & more")
				}
			})
		}
		wg.Wait()
		for _, g := range got {
			if g != want {
				t.Fatalf("differs:\n%s\n%s", g, want)
			}
		}
	}
}
