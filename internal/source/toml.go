package source

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Limits on untrusted TOML. The time to parse it grows with the square of its size.
const (
	maxTOML  = 64 << 10 // bytes
	maxDepth = 32       // nested tables and lists; what is deeper has the position of its parent
)

// Table is one TOML table of a file. Its methods read keys. They report a value of the wrong type
// or out of range at the position of the key, and remember which keys the program knows: Done
// reports all others.
//
// A method returns the zero value if its key is absent, and also after a mistake. A caller can
// therefore continue and report the other mistakes of the file.
type Table struct {
	file   *tomlFile
	path   []string // keys and list indexes that lead to this table
	values map[string]any
	known  []string // keys that the program knows
}

// tomlFile is shared by all tables of one text.
type tomlFile struct {
	name    string
	content []byte // the whole file
	text    []byte // the TOML in it
	first   int    // 1-based line of text's first line in content
	errs    *List
	places  map[string]place // by pathKey; computed on first use
}

// place is a 1-based line of the file and a 1-based column in runes.
type place struct{ line, col int }

// ParseTOML reads TOML. content is the whole file, from which messages show lines. text is the TOML
// in it, which begins on the 1-based line. If text is not valid TOML, ParseTOML adds the mistake to
// errs and returns nil.
func ParseTOML(name string, content, text []byte, line int, errs *List) *Table {
	f := &tomlFile{name: name, content: content, text: text, first: line, errs: errs}
	if len(text) > maxTOML {
		errs.Add(At(name, content, line, 0, "%d bytes of TOML, at most %d are allowed", len(text), maxTOML))
		return nil
	}
	var values map[string]any
	if err := toml.Unmarshal(text, &values); err != nil {
		f.invalid(err)
		return nil
	}
	if values == nil {
		values = map[string]any{}
	}
	return &Table{file: f, values: values}
}

// invalid reports a syntax error, or a key that is set twice.
func (f *tomlFile) invalid(err error) {
	var syntax *toml.DecodeError
	if !errors.As(err, &syntax) {
		f.errs.Add(At(f.name, f.content, f.first, 0, "not TOML: %v", err))
		return
	}
	row, byteCol := syntax.Position()
	row = min(row, 1+strings.Count(string(f.text), "\n"))
	line := LineOf(f.text, row)
	start := min(max(byteCol-1, 0), len(line))
	for start > 0 && start < len(line) && !utf8.RuneStart(line[start]) {
		start-- // the parser counts bytes and may point into a character
	}
	msg := strings.TrimPrefix(syntax.Error(), "toml: ")
	switch {
	case strings.HasPrefix(msg, "unexpected character U+000A"):
		msg = "a value is missing after ="
	case strings.HasPrefix(msg, "invalid character at start of key"): // the parser would name one byte of the character
		msg = "put a key in quotes if it has other characters than A-Z, a-z, 0-9, - and _"
	case strings.HasSuffix(msg, "is already defined"):
		key := strings.TrimPrefix(strings.TrimSuffix(msg, " is already defined"), "key ")
		msg = fmt.Sprintf("the key %q is set twice", key)
	}
	f.errs.Add(At(f.name, f.content, f.first+row-1, utf8.RuneCountInString(line[:start])+1, "not TOML: %s", msg))
}

// place returns the position of path, or of the nearest table or key that contains it.
func (f *tomlFile) place(path []string) place {
	if f.places == nil {
		f.places = findPlaces(f.text)
	}
	for ; len(path) > 0; path = path[:len(path)-1] {
		if p, ok := f.places[pathKey(path)]; ok {
			return place{f.first + p.line - 1, p.col}
		}
	}
	return place{f.first, 0}
}

func pathKey(path []string) string { return strings.Join(path, "\x00") }

func (t *Table) sub(keys ...string) []string { return slices.Concat(t.path, keys) }

// Place returns the position of a key as an Error without a message. Without a key it is the
// position of the table.
func (t *Table) Place(key ...string) Error {
	p := t.file.place(t.sub(key...))
	return Error{File: t.file.name, Line: p.line, Col: p.col, Text: LineOf(t.file.content, p.line)}
}

// Line returns the line on which the table begins.
func (t *Table) Line() int { return t.file.place(t.path).line }

// Errorf reports a mistake at a key, or at the table itself if key is "".
func (t *Table) Errorf(key, format string, args ...any) {
	at := t.Place()
	if key != "" {
		at = t.Place(key)
	}
	t.Report(at, format, args...)
}

// Element returns the position of an element of a list.
func (t *Table) Element(key string, i int) Error { return t.Place(key, strconv.Itoa(i)) }

// Report adds a mistake at a position.
func (t *Table) Report(at Error, format string, args ...any) {
	at.Msg = fmt.Sprintf(format, args...)
	t.file.errs.Add(&at)
}

// Name returns the dotted name of a key for messages, such as "limits.memory".
func (t *Table) Name(key string) string {
	var parts []string
	for _, p := range t.sub(key) {
		if _, err := strconv.Atoi(p); err != nil {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ".")
}

// Has reports whether the key is set.
func (t *Table) Has(key string) bool { _, ok := t.values[key]; return ok }

// Keys returns the sorted keys that are set.
func (t *Table) Keys() []string {
	keys := make([]string, 0, len(t.values))
	for key := range t.values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Known marks keys as known, as reading them does.
func (t *Table) Known(keys ...string) {
	for _, key := range keys {
		if !slices.Contains(t.known, key) {
			t.known = append(t.known, key)
		}
	}
}

// Require reports keys that are missing.
func (t *Table) Require(keys ...string) {
	for _, key := range keys {
		if !t.Has(key) {
			t.Errorf("", "%s is missing", key)
		}
	}
}

// Done reports unknown keys: those that were neither read nor marked as known.
func (t *Table) Done() {
	for _, key := range t.Keys() {
		if !slices.Contains(t.known, key) {
			t.Errorf(key, "unknown key %q%s", key, Suggest(strings.ToLower(key), t.known))
		}
	}
}

// read returns a key's value as a T. want describes T in messages.
func read[T any](t *Table, key, want string) (v T, ok bool) {
	t.Known(key)
	raw, ok := t.values[key]
	if !ok {
		return v, false
	}
	if v, ok = raw.(T); !ok {
		t.Errorf(key, "%s must be %s, not %s", t.Name(key), want, typeName(raw))
	}
	return v, ok
}

func typeName(v any) string {
	switch v := v.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case map[string]any:
		return "a table"
	case []any:
		if len(v) > 0 && !slices.ContainsFunc(v, func(e any) bool { _, ok := e.(map[string]any); return !ok }) {
			return "a list of tables"
		}
		return "a list"
	}
	return "a date or time"
}

// String reads a string.
func (t *Table) String(key string) string { s, _ := read[string](t, key, "a string"); return s }

// IsString reports whether the key holds a string.
func (t *Table) IsString(key string) bool { _, ok := t.values[key].(string); return ok }

// Bool reads true or false; nil if the key is absent.
func (t *Table) Bool(key string) *bool {
	if v, ok := read[bool](t, key, "true or false"); ok {
		return &v
	}
	return nil
}

// Int reads a whole number from low to high; nil if the key is absent.
func (t *Table) Int(key string, low, high int64) *int {
	v, ok := read[int64](t, key, "a whole number")
	if !ok {
		return nil
	}
	if v < low || v > high {
		t.Errorf(key, "%s must be from %d to %d, not %d", t.Name(key), low, high, v)
		return nil
	}
	n := int(v)
	return &n
}

// Float reads a number from low to high, with or without a fraction; nil if the key is absent.
func (t *Table) Float(key string, low, high float64) *float64 {
	n, whole := t.values[key].(int64)
	f := float64(n)
	if whole {
		t.Known(key)
	} else {
		var ok bool
		if f, ok = read[float64](t, key, "a number like 1.5"); !ok {
			return nil
		}
	}
	if !(f >= low && f <= high) { // also true for NaN
		t.Errorf(key, "%s must be from %v to %v, not %v", t.Name(key), low, high, f)
		return nil
	}
	return &f
}

// Strings reads a list of strings.
func (t *Table) Strings(key string) []string {
	list, ok := read[[]any](t, key, `a list of strings such as ["one", "two"]`)
	if !ok {
		return nil
	}
	out := make([]string, 0, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			t.Report(t.Element(key, i), "%s must be a list of strings, but holds %s", t.Name(key), typeName(v))
			return nil
		}
		out = append(out, s)
	}
	return out
}

// Duration reads a string like "90s" or "1h30m" from low to high; 0 if the key is absent.
func (t *Table) Duration(key string, low, high time.Duration) time.Duration {
	s, ok := read[string](t, key, `a duration like "1h30m"`)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		t.Errorf(key, "%s must be a duration like \"1h30m\", not %q", t.Name(key), s)
		return 0
	case d < low || d > high:
		t.Errorf(key, "%s must be a duration from %s to %s, not %q", t.Name(key), shortDuration(low), shortDuration(high), s)
		return 0
	}
	return d
}

// shortDuration formats d without zero parts: "1h" instead of "1h0m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Date reads a date, or a date with a time; the zero time if the key is absent. A date without a
// zone is taken as UTC.
func (t *Table) Date(key string) time.Time {
	switch v := t.values[key].(type) {
	case toml.LocalDate:
		t.Known(key)
		return v.AsTime(time.UTC)
	case toml.LocalDateTime:
		t.Known(key)
		return v.AsTime(time.UTC)
	}
	v, _ := read[time.Time](t, key, "a date such as 2026-01-31")
	return v
}

// Table reads a table; nil if the key is absent.
func (t *Table) Table(key string) *Table {
	if t.Has(key) {
		if _, ok := t.values[key].(map[string]any); !ok {
			t.Known(key)
			t.Errorf(key, "%s is a table: write [%[1]s] and its keys below", t.Name(key))
			return nil
		}
	}
	m, ok := read[map[string]any](t, key, "a table")
	if !ok {
		return nil
	}
	return &Table{file: t.file, path: t.sub(key), values: m}
}

// Tables reads a list of tables.
func (t *Table) Tables(key string) []*Table {
	t.Known(key)
	if !t.Has(key) {
		return nil
	}
	list, ok := t.values[key].([]any)
	var out []*Table
	for i, v := range list {
		m, isTable := v.(map[string]any)
		ok = ok && isTable
		out = append(out, &Table{file: t.file, path: t.sub(key, strconv.Itoa(i)), values: m})
	}
	if !ok {
		t.Errorf(key, "%s is a list of tables: write [[%[1]s]]", t.Name(key))
		return nil
	}
	return out
}

// findPlaces returns the position of every key, header and list element. text must be valid TOML.
func findPlaces(text []byte) map[string]place {
	w := &placeWalk{text: text, places: map[string]place{}, counts: map[string]int{}, line: 1}
	var p unstable.Parser
	p.Reset(text)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = w.header(e)
		case unstable.KeyValue:
			w.keyValue(table, e)
		}
	}
	return w.places
}

// placeWalk collects positions while it walks through a text.
type placeWalk struct {
	text   []byte
	places map[string]place
	counts map[string]int // tables so far in each list of tables

	offset, line, lineStart int // current position; lines are counted up to it
}

// at converts an offset to a line and a column. Offsets mostly ascend, so counting continues where
// it stopped. It starts again for the few that are smaller.
func (w *placeWalk) at(offset uint32) place {
	o := min(int(offset), len(w.text))
	if o < w.offset {
		w.offset, w.line, w.lineStart = 0, 1, 0
	}
	for ; w.offset < o; w.offset++ {
		if w.text[w.offset] == '\n' {
			w.line++
			w.lineStart = w.offset + 1
		}
	}
	return place{w.line, utf8.RuneCount(w.text[w.lineStart:o]) + 1}
}

func (w *placeWalk) note(path []string, p place) {
	if key := pathKey(path); w.places[key] == (place{}) {
		w.places[key] = p
	}
}

// header records a [table] or [[list of tables]] and returns its path.
func (w *placeWalk) header(e *unstable.Node) (path []string) {
	list := e.Kind == unstable.ArrayTable
	var p place
	for it := e.Key(); it.Next() && len(path) < maxDepth; {
		n := it.Node()
		if len(path) == 0 {
			p = w.at(n.Raw.Offset)
			for o := w.offset - 1; o >= w.lineStart && w.text[o] != '\n'; o-- {
				if w.text[o] == '[' {
					p.col = utf8.RuneCount(w.text[w.lineStart:o]) + 1 // a header begins at its first bracket
				}
			}
		}
		path = append(path, string(n.Data))
		w.note(path, p)
		count := w.counts[pathKey(path)]
		switch {
		case list && it.IsLast():
			w.counts[pathKey(path)]++
			path = append(path, strconv.Itoa(count))
			w.note(path, p)
		case count > 0:
			path = append(path, strconv.Itoa(count-1))
		}
	}
	return slices.Clip(path)
}

func (w *placeWalk) keyValue(table []string, e *unstable.Node) {
	path := slices.Clone(table)
	var p place
	for it := e.Key(); it.Next() && len(path) < maxDepth; {
		n := it.Node()
		if p == (place{}) {
			p = w.at(n.Raw.Offset)
		}
		path = append(path, string(n.Data))
		w.note(path, p)
	}
	w.value(slices.Clip(path), e.Value())
}

// value records the elements of lists and the keys of inline tables.
func (w *placeWalk) value(path []string, v *unstable.Node) {
	if len(path) >= maxDepth {
		return
	}
	switch v.Kind {
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			n := it.Node()
			element := append(path, strconv.Itoa(i))
			if n.Raw.Length > 0 {
				w.note(element, w.at(n.Raw.Offset))
			}
			w.value(slices.Clip(element), n)
		}
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			w.keyValue(path, it.Node())
		}
	}
}

// Decode reads the table into the struct that v points to. Each field with a toml tag gets the
// value of the key of that name. Fields can be of type string, int, float64, bool, []string,
// time.Time or *Table. Keys without a field are reported.
func (t *Table) Decode(v any) {
	s := reflect.ValueOf(v).Elem()
	for i := range s.NumField() {
		key := s.Type().Field(i).Tag.Get("toml")
		if key == "" {
			continue
		}
		switch field := s.Field(i).Addr().Interface().(type) {
		case *string:
			*field = t.String(key)
		case *int:
			if n := t.Int(key, math.MinInt32, math.MaxInt32); n != nil {
				*field = *n
			}
		case *float64:
			if n := t.Float(key, -math.MaxFloat64, math.MaxFloat64); n != nil {
				*field = *n
			}
		case *bool:
			if b := t.Bool(key); b != nil {
				*field = *b
			}
		case *[]string:
			*field = t.Strings(key)
		case *time.Time:
			*field = t.Date(key)
		case **Table:
			*field = t.Table(key)
		default:
			panic(fmt.Sprintf("source: can't decode TOML into a field of type %T", field)) // a bug in the caller
		}
	}
	t.Done()
}
