//go:build !race

package importer_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/site/internal/importer"
)

func TestPartialsWithTheSameNameGetDifferentFiles(t *testing.T) {
	src := fstest.MapFS{"docusaurus.config.js": {Data: []byte("module.exports = {}")}}
	for i := range 15 {
		src[fmt.Sprintf("docs/m/p%d/_part.mdx", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "part %d", i)}
		src[fmt.Sprintf("docs/m/p%d/page.mdx", i)] = &fstest.MapFile{Data: []byte("import Part from './_part.mdx';\n\n<Part />\n")}
	}
	course, _ := convert(t, src, importer.Options{})
	build(t, course, "en")
	n := 0
	for name := range course {
		if strings.HasPrefix(name, "en/_shared/") {
			n++
		}
	}
	if n != 15 {
		t.Errorf("%d parts", n)
	}
}

// A note can be embedded in many notes, and indirectly in itself. Depth and number are limited.
func TestNestedNotesAreLimited(t *testing.T) {
	pages := map[string]string{}
	for i := range 40 {
		var text strings.Builder
		for j := range 40 {
			fmt.Fprintf(&text, "![[n%d]]\n\n", j)
		}
		pages[fmt.Sprintf("m/n%d.md", i)] = text.String() + "## Same {#same}\n"
	}
	course, rep := convert(t, vault(pages), importer.Options{})
	build(t, course, "en")
	if !strings.Contains(changes(rep), "becomes a link to it") {
		t.Error("nothing was refused")
	}
}
