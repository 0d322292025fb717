package markdown_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// BenchmarkRender renders the texts of the course, and one that is mostly HTML.
func BenchmarkRender(b *testing.B) {
	var lessons [][]byte
	err := filepath.WalkDir("../../../content", func(file string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".md" {
			return err
		}
		data, err := os.ReadFile(file)
		var errs source.List
		body := source.Split(file, data, &errs).Body
		if !bytes.Contains(body, []byte("```diagram")) { // their layout takes longer than all the rest
			lessons = append(lessons, body)
		}
		return err
	})
	if err != nil || len(lessons) < 20 {
		b.Fatalf("%d texts: %v", len(lessons), err)
	}
	html := strings.Repeat("A <b>word</b>, <img src=\"/a.png\" alt='x'> &amp; more.<br>\n\n<table class=\"a\">\n<tr><td>one</td><td>two</td></tr>\n</table>\n\n", 100)
	for _, c := range []struct {
		name  string
		texts [][]byte
	}{{"course", lessons}, {"html", [][]byte{[]byte(html)}}} {
		b.Run(c.name, func(b *testing.B) {
			r := markdown.New()
			for b.Loop() {
				for _, text := range c.texts {
					var errs source.List
					r.Render(markdown.Request{File: "a.md", Line: 1, Text: text, HTML: true}, &errs)
				}
			}
		})
	}
}
