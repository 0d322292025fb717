package page

import (
	"net/url"
	"strings"
	"time"

	"github.com/labd-dev/labd/site/internal/course"
)

// extras is what pages carry besides their text: for progress, for reading offline, and about where the text comes from.
type extras struct {
	PageID   string // the address within its language, by which a reader's progress is kept; lessons and labs only
	Course   string // of further courses
	API      string // of labd, if labs are offered
	Worker   string // address of the service worker
	Save     string // address of the list of the course's files; what has one is on it
	Updated  *day
	EditURL  string
	PrintURL string
	Parts    []printPart

	learning *learning
}

// day is a date in the page's language.
type day struct{ Day, Text string }

func (s words) day(t time.Time) *day {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &day{t.Format(time.DateOnly), t.Format(s.DateForm)}
}

// updated is when a text was last changed, as far as is known.
func (m *Maker) updated(t *course.Text) time.Time {
	if t == nil {
		return time.Time{}
	}
	return m.src.Updated[t.Name]
}

// setOrigin says on the page where its text comes from.
func (m *Maker) setOrigin(p *view, t *course.Text) {
	p.Updated = p.T.day(m.updated(t))
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
