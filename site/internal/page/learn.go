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

// updated is when a text was last changed, as far as is known.
func (m *Maker) updated(t *course.Text) time.Time {
	if t == nil {
		return time.Time{}
	}
	return m.src.Updated[t.Name]
}

// setOrigin says on the page where its text comes from.
func (m *Maker) setOrigin(p *draft, t *course.Text) {
	p.Updated = dayOf(m.updated(t), p.T)
	p.EditURL = editURL(m.editPattern(), t.Name)
}

// editPattern is the course's pattern of addresses where files are changed.
func (m *Maker) editPattern() string { return m.model.Config.Edit }

// editURL is where a file can be changed, by a pattern with {file} for its escaped path.
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
