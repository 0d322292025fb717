package markdown

import (
	"bytes"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"github.com/labd-dev/labd/internal/source"
)

// Limits on one author's file.
const (
	maxFile        = 4 << 20  // bytes of a whole file
	maxFrontMatter = 64 << 10 // bytes between the +++ lines
)

const frontLine = "+++"

// Document is an author's file split into its front matter and its text.
type Document struct {
	File     string
	Content  []byte // the whole file, without byte order mark and with LF line ends
	Front    []byte // TOML between the +++ lines; nil if there is none
	Body     []byte
	BodyLine int // 1-based line of Body's first line in File
}

// Split reads a file: it refuses what is not text, normalises line ends and cuts off the front matter. The mistakes it
// finds are added to errs, and it returns as much as it could read.
func Split(file string, content []byte, errs *source.List) *Document {
	d := &Document{File: file, BodyLine: 1}
	before := len(*errs)
	content = plainText(file, content, errs)
	d.Content = content
	if len(*errs) > before {
		return d
	}
	d.Body = content
	first, rest, _ := bytes.Cut(content, []byte("\n"))
	if strings.TrimRight(string(first), " \t") != frontLine {
		if strings.TrimSpace(string(first)) == "---" && looksLikeYAML(rest) {
			errs.Add(source.At(file, content, 1, 1, "front matter is TOML between lines of %s, not YAML between lines of ---", frontLine))
		}
		return d
	}
	line := 2
	for pos := 0; pos < len(rest); line++ {
		text, _, _ := bytes.Cut(rest[pos:], []byte("\n"))
		next := min(pos+len(text)+1, len(rest))
		if strings.TrimRight(string(text), " \t") == frontLine {
			d.Front, d.Body, d.BodyLine = rest[:pos:pos], rest[next:], line+1
			if len(d.Front) > maxFrontMatter {
				errs.Add(source.At(file, content, 1, 0, "the front matter is larger than 64 KiB; is its closing %s line missing?", frontLine))
				d.Front = nil
			}
			return d
		}
		pos = next
	}
	errs.Add(source.At(file, content, 1, 1, "the front matter is not closed: add a line with only %s after it", frontLine))
	d.Body = nil
	return d
}

// plainText checks that content is text, and returns it without byte order mark and with LF line ends.
func plainText(file string, content []byte, errs *source.List) []byte {
	if len(content) > maxFile {
		errs.Add(&source.Error{File: file, Msg: "the file is larger than 4 MiB; lessons are text: link to big material instead"})
		return nil
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(content, '\r') >= 0 {
		content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	}
	if i := bytes.IndexByte(content, 0); i >= 0 {
		errs.Add(source.At(file, content, lineAt(content, i), 0, "a NUL byte: this is not a text file"))
	} else if !utf8.Valid(content) {
		errs.Add(source.At(file, content, firstInvalidLine(content), 0, "not UTF-8; save the file in UTF-8 encoding"))
	}
	return content
}

var yamlKey = regexp.MustCompile(`(?m)\A[A-Za-z_]+:`)

func looksLikeYAML(rest []byte) bool { return yamlKey.Match(rest) }

func lineAt(content []byte, offset int) int { return 1 + bytes.Count(content[:offset], []byte("\n")) }

func firstInvalidLine(content []byte) int {
	for i := 0; i < len(content); {
		r, n := utf8.DecodeRune(content[i:])
		if r == utf8.RuneError && n <= 1 {
			return lineAt(content, i)
		}
		i += n
	}
	return 1
}

// DecodeFront decodes the front matter into the struct that v points to, whose fields carry toml tags. Syntax errors,
// unknown keys, misspelt keys and wrong types are all added to errs with their lines, as many as there are.
func (d *Document) DecodeFront(v any, errs *source.List) {
	var raw map[string]toml.Primitive
	md, err := toml.Decode(string(d.Front), &raw)
	if err != nil {
		errs.Add(d.syntaxError(err))
		return
	}
	rv := reflect.ValueOf(v).Elem()
	fields := map[string]reflect.Value{}
	var names []string
	for i := range rv.NumField() {
		if name := rv.Type().Field(i).Tag.Get("toml"); name != "" {
			fields[name] = rv.Field(i)
			names = append(names, name)
		}
	}
	var places map[string][2]int
	mistake := func(name, format string, args ...any) {
		if places == nil {
			places = d.keyPlaces()
		}
		at, ok := places[name]
		if !ok {
			at = [2]int{1, 0}
		}
		errs.Add(source.At(d.File, d.Content, at[0], at[1], format, args...))
	}
	seen := map[string]bool{}
	for _, key := range md.Keys() {
		name := key[0]
		if seen[name] {
			continue
		}
		seen[name] = true
		field, ok := fields[name]
		if !ok {
			hint := "; known keys: " + strings.Join(names, ", ")
			if near := source.Nearest(strings.ToLower(name), names); near != "" {
				hint = ` (did you mean "` + near + `"?)`
			}
			mistake(name, "unknown key %q%s", name, hint)
			continue
		}
		if err := md.PrimitiveDecode(raw[name], field.Addr().Interface()); err != nil {
			mistake(name, "%s must be %s, not %s", name, describe(field.Type()), tomlType(md.Type(name)))
		}
	}
}

func (d *Document) syntaxError(err error) *source.Error {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return source.At(d.File, d.Content, 1, 0, "front matter: %v", err)
	}
	line, col := pe.Position.Line, pe.Position.Col
	// The decoder counts columns in bytes and may point at the line after the mistake's end.
	text := source.LineOf(d.Front, line)
	if col > 0 && col-1 <= len(text) {
		col = utf8.RuneCountInString(text[:col-1]) + 1
	} else {
		col = 0
	}
	return source.At(d.File, d.Content, line+1, col, "front matter: %s", strings.TrimSuffix(pe.Message, "."))
}

// KeyPlace finds where in the file a top-level key or table of the front matter is written: 1 and 0 if it isn't. Lines inside
// multi-line strings don't count.
func (d *Document) KeyPlace(name string) (line, col int) {
	if at, ok := d.keyPlaces()[name]; ok {
		return at[0], at[1]
	}
	return 1, 0
}

// keyPlaces finds the line and the column of every top-level key and table.
func (d *Document) keyPlaces() map[string][2]int {
	places := map[string][2]int{}
	inside := ""
	for i, text := range strings.Split(string(d.Front), "\n") {
		if inside != "" {
			if strings.Contains(text, inside) {
				inside = ""
			}
			continue
		}
		for _, q := range []string{`"""`, `'''`} {
			if strings.Count(text, q) == 1 {
				inside = q
			}
		}
		trimmed := strings.TrimLeft(text, " \t[")
		key, rest := trimmed, ""
		if quote := strings.TrimLeft(trimmed, `"'`); quote != trimmed {
			key, rest, _ = strings.Cut(quote, trimmed[:1])
		} else if end := strings.IndexAny(trimmed, "=.] \t"); end >= 0 {
			key, rest = trimmed[:end], trimmed[end:]
		}
		rest = strings.TrimLeft(rest, " \t")
		if _, ok := places[key]; !ok && rest != "" && strings.IndexByte("=.]", rest[0]) >= 0 {
			places[key] = [2]int{i + 2, utf8.RuneCountInString(text) - utf8.RuneCountInString(trimmed) + 1}
		}
	}
	return places
}

func describe(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "a date such as 2026-01-31"
	case t.Kind() == reflect.String:
		return `a text in quotes`
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return `a list of texts such as ["one", "two"]`
	case t.Kind() == reflect.Slice:
		return "a list"
	}
	return "a table"
}

func tomlType(t string) string {
	switch t {
	case "String":
		return "a text"
	case "Integer":
		return "a whole number"
	case "Float":
		return "a number"
	case "Bool":
		return "true or false"
	case "Array":
		return "a list of that"
	case "Datetime":
		return "a date"
	}
	return "a table"
}
