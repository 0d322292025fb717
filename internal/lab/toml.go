package lab

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labd-dev/labd/internal/source"
)

// table is a TOML table of a lab file: the front matter, a check, the messages of a translation, or a part of one.
type table struct {
	*source.Table
	doc *document
}

// parseTOML reads text, whose first line is the given line of the document. nil if it is not TOML.
func (d *document) parseTOML(text []byte, line int) *table {
	t := source.ParseTOML(d.file, d.content, text, line, d.errs)
	if t == nil {
		return nil
	}
	return &table{t, d}
}

// table returns the sub-table under key, or nil.
func (t *table) table(key string) *table {
	if sub := t.Table.Table(key); sub != nil {
		return &table{sub, t.doc}
	}
	return nil
}

// tables returns the list of tables under key.
func (t *table) tables(key string) []*table {
	var out []*table
	for _, sub := range t.Tables(key) {
		out = append(out, &table{sub, t.doc})
	}
	return out
}

// text reads a string for people, which is neither empty nor longer than limit runes.
func (t *table) text(key string, limit int) string {
	s := strings.TrimSpace(t.String(key))
	if n := utf8.RuneCountInString(s); n > limit {
		t.Errorf(key, "%s has %d characters; at most %d are allowed", key, n, limit)
	}
	if t.IsString(key) && s == "" {
		t.Errorf(key, "%s is empty", key)
	}
	return s
}

// stringOrStrings reads a list of strings, or one string as a list of one.
func (t *table) stringOrStrings(key string) []string {
	if t.IsString(key) {
		return []string{t.String(key)}
	}
	return t.Strings(key)
}

// notEmpty reports those of the keys that are empty strings.
func (t *table) notEmpty(keys ...string) {
	for _, key := range keys {
		if t.IsString(key) && t.String(key) == "" {
			t.Errorf(key, "%s is empty", key)
		}
	}
}

// requiredString reads a string that must be there and not be empty.
func (t *table) requiredString(key string) string {
	s := t.String(key)
	t.Require(key)
	t.notEmpty(key)
	return s
}

// timeout reads the time that a probe may take.
func (t *table) timeout(key string) time.Duration {
	return t.Duration(key, time.Millisecond, MaxProbeTimeout)
}
