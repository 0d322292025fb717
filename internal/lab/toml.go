package lab

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labd-dev/labd/internal/source"
)

// table is a TOML table in a lab file.
type table struct {
	*source.Table
	doc *document
}

// parseTOML parses text, which begins on the given line of the document. It returns nil if text is
// not valid TOML.
func (d *document) parseTOML(text []byte, line int) *table {
	t := source.ParseTOML(d.file, d.content, text, line, d.errs)
	if t == nil {
		return nil
	}
	return &table{t, d}
}

// table reads the table under key, or returns nil.
func (t *table) table(key string) *table {
	if sub := t.Table.Table(key); sub != nil {
		return &table{sub, t.doc}
	}
	return nil
}

// tables reads the list of tables under key.
func (t *table) tables(key string) []*table {
	var out []*table
	for _, sub := range t.Tables(key) {
		out = append(out, &table{sub, t.doc})
	}
	return out
}

// text reads a text of at most limit runes, which must not be empty.
func (t *table) text(key string, limit int) string {
	s := strings.TrimSpace(t.String(key))
	if n := utf8.RuneCountInString(s); n > limit {
		t.Errorf(key, "%s has %d characters, at most %d are allowed", key, n, limit)
	}
	if t.IsString(key) && s == "" {
		t.Errorf(key, "%s is empty", key)
	}
	return s
}

// stringOrStrings reads a string or a list of strings.
func (t *table) stringOrStrings(key string) []string {
	if t.IsString(key) {
		return []string{t.String(key)}
	}
	return t.Strings(key)
}

// notEmpty reports keys that are set to an empty string.
func (t *table) notEmpty(keys ...string) {
	for _, key := range keys {
		if t.IsString(key) && t.String(key) == "" {
			t.Errorf(key, "%s is empty", key)
		}
	}
}

// requiredString reads a string that must be set and must not be empty.
func (t *table) requiredString(key string) string {
	s := t.String(key)
	t.Require(key)
	t.notEmpty(key)
	return s
}

// timeout reads the timeout of a probe.
func (t *table) timeout(key string) time.Duration {
	return t.Duration(key, time.Millisecond, MaxProbeTimeout)
}
