// Package snippet extracts parts of source files in any language: line ranges, or regions between
// marker comments:
//
//	# region web           // #region web           <!-- region web -->           /* region web */
//	# endregion web        // #endregion web        <!-- endregion web -->        /* endregion web */
//
// A marker is a whole line: the start of a comment, the word region or endregion (with or without
// #), the region's name, and the end of the comment. Regions may be nested. An endregion without a
// name ends the innermost region. Markers are never part of the extracted code. In Markdown only
// <!-- --> comments are markers, because # starts a heading.
package snippet

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxMark is the maximum length of a marker line in bytes.
const maxMark = 200

// Lines is a range of lines of a file. Lines count from 1, and both ends are included.
type Lines struct{ First, Last int }

// Error reports a missing region. Its text continues the sentence "the file has …".
type Error struct {
	Msg    string
	Region string   // the region that was asked for and isn't there
	Known  []string // those that are
}

func (e *Error) Error() string { return e.Msg }

// Count returns the number of lines. A newline at the end does not start another line.
func Count(b []byte) int {
	n := bytes.Count(b, []byte("\n"))
	if len(b) > 0 && b[len(b)-1] != '\n' {
		n++
	}
	return n
}

// Text returns the lines unchanged, including markers.
func (l Lines) Text(content []byte) []byte {
	number, start, end := 0, 0, 0
	for line := range bytes.Lines(content) {
		if number++; number < l.First {
			start += len(line)
		}
		if number <= l.Last {
			end += len(line)
		}
	}
	return content[start:max(start, end)]
}

// Code returns the lines for which keep is true (all if keep is nil), without markers and without
// their common indentation.
func (l Lines) Code(file string, content []byte, keep func(line int) bool) []byte {
	var code []byte
	number := 0
	for line := range bytes.Lines(content) {
		number++
		if number < l.First || number > l.Last || keep != nil && !keep(number) {
			continue
		}
		if _, _, isMark := mark(line, isMarkdown(file)); !isMark {
			code = append(code, line...)
		}
	}
	return unindent(code)
}

func isMarkdown(file string) bool { return path.Ext(file) == ".md" }

// A region's name is one word, so prose such as "# region of interest" is not a marker.
var markLine = regexp.MustCompile(`^[ \t]*(#|//|--|;+|%+|/\*|<!--|\{#|\{\{/\*|REM|'|"|\.\.)?[ \t]*(#?)(end)?region\b[ \t]*([\p{L}\p{N}_.-]+?)?[ \t]*(?:\*/|-->|#\}|\*/\}\})?[ \t]*\r?\n?$`)

// mark reports whether a line is a marker, whether it starts or ends a region, and the region's
// name.
func mark(line []byte, markdown bool) (name string, end, ok bool) {
	if len(line) > maxMark || !bytes.Contains(line, []byte("region")) {
		return "", false, false
	}
	m := markLine.FindSubmatch(line)
	if m == nil || len(m[1]) == 0 && len(m[2]) == 0 || markdown && string(m[1]) != "<!--" {
		return "", false, false
	}
	return string(m[4]), len(m[3]) > 0, true
}

// Region returns the lines of a region of a file. The error is an *Error.
func Region(file string, content []byte, want string) (Lines, error) {
	type open struct {
		name string
		line int
	}
	var stack []open
	var names []string
	var found Lines
	number := 0
	for line := range bytes.Lines(content) {
		number++
		name, end, ok := mark(line, isMarkdown(file))
		switch {
		case !ok:
		case !end:
			if name != "" {
				if name == want && slices.Contains(names, want) {
					return found, &Error{Msg: fmt.Sprintf("two regions called %q; the second is in line %d", want, number)}
				}
				names = append(names, name)
			}
			stack = append(stack, open{name, number})
		default:
			for i := len(stack) - 1; i >= 0; i-- {
				if name != "" && stack[i].name != name {
					continue
				}
				if stack[i].name == want {
					found = Lines{stack[i].line + 1, number - 1}
				}
				stack = slices.Delete(stack, i, i+1)
				break
			}
		}
	}
	switch {
	case found.First > 0:
		return found, nil
	case slices.Contains(names, want):
		return found, &Error{Msg: fmt.Sprintf("no end of the region %q: a line with a comment \"endregion %s\"", want, want)}
	case len(names) == 0:
		return found, &Error{Msg: fmt.Sprintf("no region %q; mark one with comments \"region %s\" and \"endregion %s\"", want, want, want)}
	}
	return found, &Error{Msg: fmt.Sprintf("no region %q", want), Region: want, Known: names}
}

// unindent removes the common indentation of all lines.
func unindent(code []byte) []byte {
	var common []byte
	first := true
	for line := range bytes.Lines(code) {
		rest := bytes.TrimLeft(line, " \t")
		if len(bytes.TrimSpace(rest)) == 0 {
			continue
		}
		indent := line[:len(line)-len(rest)]
		if first {
			common, first = indent, false
			continue
		}
		n := 0
		for n < len(common) && n < len(indent) && common[n] == indent[n] {
			n++
		}
		common = common[:n]
	}
	if len(common) == 0 {
		return code
	}
	var out []byte
	for line := range bytes.Lines(code) {
		if bytes.HasPrefix(line, common) {
			line = line[len(common):]
		} else {
			line = bytes.TrimLeft(line, " \t") // fewer spaces and nothing else
		}
		out = append(out, line...)
	}
	return out
}

// Language returns the language of a file by its name, or "text" if the name is unknown.
func Language(file string) string {
	base := path.Base(file)
	switch {
	case base == "Dockerfile" || strings.HasPrefix(base, "Dockerfile.") || base == "Containerfile":
		return "dockerfile"
	case base == "Makefile" || base == "GNUmakefile":
		return "make"
	case strings.Contains(base, "nginx") && path.Ext(base) == ".conf":
		return "nginx"
	}
	switch ext := strings.ToLower(strings.TrimPrefix(path.Ext(base), ".")); ext {
	case "yml", "yaml":
		return "yaml"
	case "sh", "bash", "bashrc", "profile", "env":
		return "bash"
	case "py":
		return "python"
	case "js", "mjs", "cjs":
		return "javascript"
	case "ts", "mts":
		return "typescript"
	case "md":
		return "markdown"
	case "rb":
		return "ruby"
	case "rs":
		return "rust"
	case "htm", "html":
		return "html"
	case "mk":
		return "make"
	case "cfg", "conf", "ini", "service":
		return "ini"
	case "c", "h":
		return "c"
	case "cc", "cpp", "hpp":
		return "cpp"
	case "css", "diff", "go", "java", "json", "kt", "php", "sql", "svg", "toml", "tsx", "jsx", "xml", "proto", "lua", "swift":
		return ext
	case "tf":
		return "hcl"
	}
	return "text"
}
