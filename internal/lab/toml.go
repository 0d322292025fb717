package lab

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"github.com/labd-dev/labd/internal/source"
)

// place is where something stands: a 1-based line and a column in runes.
type place struct{ line, col int }

// table reads one TOML table, knows where each key stands, and records every mistake. A key that no method asked for is
// unknown: done reports it.
type table struct {
	doc    *document
	first  int              // line of the TOML's first line in the file
	places map[string]place // by path, relative to the TOML
	path   string           // of this table: "wrong.0.container.1", "" for the root
	values map[string]any
	known  []string
}

// parseTOML reads text, whose first line is the given line of the document. nil if it is not TOML.
func (d *document) parseTOML(text []byte, line int) *table {
	var m map[string]any
	if _, err := toml.Decode(string(text), &m); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			start := min(max(pe.Position.Start, 0), len(text))
			for start > 0 && start < len(text) && !utf8.RuneStart(text[start]) {
				start-- // the parser counts bytes
			}
			before := string(text[:start])
			col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
			d.errorf(line+strings.Count(before, "\n"), col, "not TOML: %s", strings.TrimSuffix(pe.Message, "."))
		} else {
			d.errorf(line, 0, "not TOML: %v", err)
		}
		return nil
	}
	return &table{doc: d, first: line, places: keyPlaces(string(text)), values: m}
}

// place finds where path stands, or the nearest thing that holds it.
func (t *table) place(path string) place {
	for {
		if p, ok := t.places[path]; ok {
			return place{t.first + p.line - 1, p.col}
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return place{t.first, 0}
		}
		path = path[:i]
	}
}

// at is the place of the table itself.
func (t *table) at() place { return t.place(t.path) }

func (t *table) sub(key string) string {
	if t.path == "" {
		return key
	}
	return t.path + "." + key
}

// errorf records a mistake at one of the table's keys, or at the table if key is "".
func (t *table) errorf(key, format string, args ...any) {
	p := t.at()
	if key != "" {
		p = t.place(t.sub(key))
	}
	t.doc.errorf(p.line, p.col, format, args...)
}

func (t *table) has(key string) bool { _, ok := t.values[key]; return ok }

// get marks key as known and returns its value as T. what names the type for the message.
func get[T any](t *table, key, what string) (v T, ok bool) {
	t.known = append(t.known, key)
	raw, ok := t.values[key]
	if !ok {
		return v, false
	}
	if v, ok = raw.(T); !ok {
		t.errorf(key, "%s must be %s, not %s", key, what, typeName(raw))
	}
	return v, ok
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	}
	return "a date"
}

func (t *table) str(key string) string { s, _ := get[string](t, key, "a string"); return s }

// text is a string for people: not empty, and not longer than limit runes.
func (t *table) text(key string, limit int) string {
	s := strings.TrimSpace(t.str(key))
	if n := utf8.RuneCountInString(s); n > limit {
		t.errorf(key, "%s has %d characters; at most %d are allowed", key, n, limit)
	}
	if t.has(key) && s == "" {
		if _, isString := t.values[key].(string); isString {
			t.errorf(key, "%s is empty", key)
		}
	}
	return s
}

func (t *table) required(keys ...string) {
	for _, k := range keys {
		if !t.has(k) {
			t.errorf("", "%s is missing", k)
		}
	}
}

func (t *table) boolean(key string) *bool {
	if v, ok := get[bool](t, key, "true or false"); ok {
		return &v
	}
	return nil
}

// number reads a whole number from low to high.
func (t *table) number(key string, low, high int64) *int {
	v, ok := get[int64](t, key, "a whole number")
	if !ok {
		return nil
	}
	if v < low || v > high {
		t.errorf(key, "%s must be from %d to %d", key, low, high)
		return nil
	}
	n := int(v)
	return &n
}

func (t *table) strs(key string) []string {
	list, ok := get[[]any](t, key, "a list of strings")
	if !ok {
		return nil
	}
	var out []string
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			t.errorf(key, "%s must be a list of strings, but holds %s", key, typeName(v))
			return nil
		}
		out = append(out, s)
	}
	return out
}

// strOrStrs also takes one string for a list of one.
func (t *table) strOrStrs(key string) []string {
	if s, ok := t.values[key].(string); ok {
		t.known = append(t.known, key)
		return []string{s}
	}
	return t.strs(key)
}

func (t *table) duration(key string, most time.Duration) time.Duration {
	s, ok := get[string](t, key, `a string like "3s"`)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > most {
		t.errorf(key, "%s must be a duration like \"3s\", at most %v", key, most)
		return 0
	}
	return d
}

// bytes reads a size like "512MiB".
func (t *table) bytes(key string, low, high int64) int64 {
	s, ok := get[string](t, key, `a size like "512MiB"`)
	if !ok {
		return 0
	}
	n, err := parseBytes(s)
	if err != nil || n < low || n > high {
		t.errorf(key, "%s must be a size like \"512MiB\", from %s to %s", key, formatBytes(low), formatBytes(high))
		return 0
	}
	return n
}

func parseBytes(s string) (int64, error) {
	for suffix, unit := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if num, ok := strings.CutSuffix(s, suffix); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(num), 10, 32)
			return n * unit, err
		}
	}
	return 0, fmt.Errorf("%q has no unit", s)
}

func formatBytes(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%dGiB", n>>30)
	}
	return fmt.Sprintf("%dMiB", n>>20)
}

// table returns the sub-table under key, or nil.
func (t *table) table(key string) *table {
	m, ok := get[map[string]any](t, key, "a table")
	if !ok {
		return nil
	}
	return &table{doc: t.doc, first: t.first, places: t.places, path: t.sub(key), values: m}
}

// tables returns the list of tables under key.
func (t *table) tables(key string) []*table {
	t.known = append(t.known, key)
	raw, ok := t.values[key]
	if !ok {
		return nil
	}
	list, ok := raw.([]map[string]any)
	if !ok {
		t.errorf(key, "%s is a list of tables: write [[%s]]", key, unindexed(t.sub(key)))
		return nil
	}
	out := make([]*table, len(list))
	for i, m := range list {
		out[i] = &table{doc: t.doc, first: t.first, places: t.places, path: t.sub(key) + "." + strconv.Itoa(i), values: m}
	}
	return out
}

// unindexed turns "wrong.0.container" into "wrong.container", as a header says it.
func unindexed(path string) string {
	var out []string
	for _, p := range strings.Split(path, ".") {
		if _, err := strconv.Atoi(p); err != nil {
			out = append(out, p)
		}
	}
	return strings.Join(out, ".")
}

// done reports the keys that nobody asked for.
func (t *table) done() {
	var unknown []string
	for key := range t.values {
		found := false
		for _, k := range t.known {
			found = found || k == key
		}
		if !found {
			unknown = append(unknown, key)
		}
	}
	sort.Strings(unknown)
	for _, key := range unknown {
		if n := source.Nearest(key, t.known); n != "" {
			t.errorf(key, "unknown key %q (did you mean %q?)", key, n)
		} else {
			known := append([]string(nil), t.known...)
			sort.Strings(known)
			t.errorf(key, "unknown key %q; known are %s", key, strings.Join(known, ", "))
		}
	}
}

// keyPlaces maps the path of every key and header in text, which is valid TOML, to its place. Tables of a list have
// their number in the path. Keys inside inline tables have none: their place is that of the key that holds them.
func keyPlaces(text string) map[string]place {
	places := map[string]place{}
	counts := map[string]int{} // tables so far in each list
	prefix := ""
	line, lineStart := 1, 0
	i := 0
	here := func(at int) place { return place{line, utf8.RuneCountInString(text[lineStart:at]) + 1} }
	newline := func() { i++; line++; lineStart = i }
	for i < len(text) {
		switch c := text[i]; {
		case c == '\n':
			newline()
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '#':
			i = lineEnd(text, i)
		case c == '[':
			p := here(i)
			list := strings.HasPrefix(text[i:], "[[")
			i += strings.IndexFunc(text[i:], func(r rune) bool { return r != '[' })
			keys, n := readKeys(text[i:])
			i += n
			prefix = ""
			for k, key := range keys {
				prefix = join(prefix, key)
				switch {
				case list && k == len(keys)-1:
					places[prefix] = p
					n := counts[prefix]
					counts[prefix]++
					prefix = join(prefix, strconv.Itoa(n))
				case counts[prefix] > 0:
					prefix = join(prefix, strconv.Itoa(counts[prefix]-1))
				}
			}
			places[prefix] = p
			i = lineEnd(text, i)
		default:
			p := here(i)
			keys, n := readKeys(text[i:])
			path := prefix
			for _, key := range keys {
				path = join(path, key)
				if _, ok := places[path]; !ok {
					places[path] = p
				}
			}
			places[path] = p
			// Past the value: it may span lines, in brackets or in strings of three quotes.
			end := i + max(n, 1)
			end += valueLen(text[end:])
			for ; i < end; i++ {
				if text[i] == '\n' {
					line++
					lineStart = i + 1
				}
			}
		}
	}
	return places
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func lineEnd(text string, i int) int {
	if n := strings.IndexByte(text[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(text)
}

// readKeys reads a dotted key and returns its parts and its length, up to the "=" or "]" behind it.
func readKeys(s string) (keys []string, n int) {
	var cur strings.Builder
	for n < len(s) {
		switch c := s[n]; c {
		case '=', ']', '\n':
			return append(keys, cur.String()), n
		case '.':
			keys = append(keys, cur.String())
			cur.Reset()
			n++
		case ' ', '\t':
			n++
		case '"', '\'':
			l := stringLen(s[n:])
			if l >= 2 {
				cur.WriteString(s[n+1 : n+l-1])
			}
			n += l
		default:
			cur.WriteByte(c)
			n++
		}
	}
	return append(keys, cur.String()), n
}

// valueLen returns the length of what follows a key: its "=", value and comment, up to the line end.
func valueLen(s string) int {
	depth := 0
	for i := 0; i < len(s); {
		switch s[i] {
		case '"', '\'':
			i += stringLen(s[i:])
		case '#':
			i = lineEnd(s, i)
		case '[', '{':
			depth++
			i++
		case ']', '}':
			depth--
			i++
		case '\n':
			if depth <= 0 {
				return i
			}
			i++
		default:
			i++
		}
	}
	return len(s)
}

// stringLen returns the length of the TOML string that s begins with, quotes included.
func stringLen(s string) int {
	q := s[:1]
	if triple := strings.Repeat(q, 3); strings.HasPrefix(s, triple) {
		for i := 3; i < len(s); i++ {
			if s[i] == '\\' && q == `"` {
				i++
				continue
			}
			if strings.HasPrefix(s[i:], triple) {
				i += 3
				for i < len(s) && s[i] == q[0] { // up to two more quotes belong to the string
					i++
				}
				return i
			}
		}
		return len(s)
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && q == `"`:
			i++
		case s[i] == q[0]:
			return i + 1
		case s[i] == '\n':
			return i
		}
	}
	return len(s)
}
