package page

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/labd-dev/labd/site/internal/course"
)

//go:embed templates
var templateFiles embed.FS

type templates struct{ byKind map[string]*template.Template }

func parseTemplates() (*templates, error) {
	base, err := addTemplates(template.New("base.html").Funcs(template.FuncMap{
		"inline": inlineCode,
		"plain":  course.Plain,
	}), "base.html", "parts.html")
	if err != nil {
		return nil, err
	}
	t := &templates{byKind: map[string]*template.Template{}}
	for kind := range views() {
		clone, err := base.Clone()
		if err != nil {
			return nil, fmt.Errorf("parsing templates: %w", err)
		}
		if t.byKind[kind], err = addTemplates(clone, kind+".html"); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// addTemplates adds files to the templates of t. Line breaks and indentation are removed to make
// pages smaller; a template that needs a line break writes {{"\n"}}.
func addTemplates(t *template.Template, names ...string) (*template.Template, error) {
	for _, name := range names {
		data, err := templateFiles.ReadFile("templates/" + name)
		if err != nil {
			return nil, fmt.Errorf("parsing templates: %w", err)
		}
		var text strings.Builder
		for line := range strings.Lines(string(data)) {
			text.WriteString(strings.TrimSpace(line))
		}
		into := t
		if name != t.Name() {
			into = t.New(name)
		}
		if _, err := into.Parse(text.String()); err != nil {
			return nil, fmt.Errorf("parsing templates: %w", err)
		}
	}
	return t, nil
}

func (t *templates) sidebar(w io.Writer, data any) error {
	return t.byKind["lesson"].ExecuteTemplate(w, "sidebar", data)
}

func (t *templates) execute(w io.Writer, p *draft) error {
	return t.byKind[p.Kind].Execute(w, p.view)
}

// inlineCode returns the HTML of a title or a summary, in which back-ticks mark code.
func inlineCode(s string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(s, "`") {
		switch {
		case i%2 == 0:
			b.WriteString(template.HTMLEscapeString(part))
		case strings.Count(s, "`") < i+1: // an unpaired back-tick
			b.WriteString("`" + template.HTMLEscapeString(part))
		default:
			b.WriteString("<code>" + template.HTMLEscapeString(part) + "</code>")
		}
	}
	return template.HTML(b.String()) // every part is escaped above
}
