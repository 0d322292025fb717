package page

import (
	"net/url"
	"strings"
	"time"

	"github.com/labd-dev/labd/site/internal/course"
	"github.com/labd-dev/labd/site/internal/i18n"
)

// day is a date in the page's language.
type day struct{ Day, Text string }

// dayOf is t as a date in the page's language, nil if it is zero.
func dayOf(t time.Time, w *i18n.Words) *day {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &day{t.Format(time.DateOnly), t.Format(w.DateForm)}
}

// updated returns when a text last changed, zero if unknown.
func (m *Maker) updated(t *course.Text) time.Time {
	if t == nil {
		return time.Time{}
	}
	return m.src.Updated[t.Name]
}

// setOrigin shows on the page when its text last changed, and where it can be edited.
func (m *Maker) setOrigin(p *draft, t *course.Text) {
	p.Updated = dayOf(m.updated(t), p.T)
	p.EditURL = editURL(m.model.Config.Edit, t.Name)
}

// editURL is the URL for editing a file. In the pattern, {file} stands for its escaped path.
func editURL(pattern, file string) string {
	if pattern == "" {
		return ""
	}
	parts := strings.Split(file, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.ReplaceAll(pattern, "{file}", strings.Join(parts, "/"))
}
