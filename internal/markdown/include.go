package markdown

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"

	"labd/internal/source"
)

// Limits on what one page takes from other files. Without them, ten small files that include each other twice would make
// a page of any size.
const (
	maxIncludeDepth  = 8       // texts within each other
	maxIncludes      = 200     // files, each time one is included
	maxIncludedBytes = 4 << 20 // of all of them
)

// read reads a file that the text asks for at an offset. It reports what is wrong with it.
func (st *state) read(at int, name string) (inc Included, ok bool) {
	if st.req.Include == nil {
		st.errorAt(at, "no other files can be included here")
		return inc, false
	}
	if st.parts++; st.parts > maxIncludes {
		st.errorAt(at, "a page includes at most %d files", maxIncludes)
		return inc, false
	}
	inc, err := st.req.Include(name)
	for _, f := range inc.Looked {
		if !slices.Contains(st.page.Includes, f) {
			st.page.Includes = append(st.page.Includes, f)
		}
	}
	if err != nil {
		st.errorAt(at, "%v", err)
		return inc, false
	}
	if st.bytes += len(inc.Data); st.bytes > maxIncludedBytes {
		st.errorAt(at, "a page includes at most %d MiB from other files; link to big material instead", maxIncludedBytes>>20)
		return inc, false
	}
	return inc, true
}

// include renders another text in the place of n.
func (t transformer) include(st *state, n *directive) ast.Node {
	none := &finished{}
	name, region, _ := strings.Cut(n.title, "#")
	if name == "" {
		return none
	}
	if ext := path.Ext(name); ext != ".md" {
		st.errorAt(n.at, "%sinclude takes Markdown; show a file of code with ```%s {file=%q}", strings.Repeat(":", n.colons), languageOf(name), name)
		return none
	}
	inc, ok := st.read(n.at, name)
	if !ok {
		return none
	}
	chain := append(slices.Clip(st.chain), inc.File)
	switch {
	case slices.Contains(st.chain, inc.File):
		st.errorAt(n.at, "this includes itself: %s", strings.Join(chain, " includes "))
		return none
	case len(chain) > maxIncludeDepth:
		st.errorAt(n.at, "texts include each other more than %d deep: %s", maxIncludeDepth, strings.Join(chain, " includes "))
		return none
	}
	var mistakes source.List
	doc := Split(inc.File, inc.Data, &mistakes)
	if len(mistakes) > 0 {
		*st.errs = append(*st.errs, mistakes...)
		return none
	}
	req := *st.req
	req.File, req.Text, req.Line, req.Resolve, req.Include = inc.File, doc.Body, doc.BodyLine, inc.Resolve, inc.Include
	if region != "" {
		r, err := findRegion(doc.Body, region, true)
		if err != nil {
			st.errorAt(n.at, "%s has %v", inc.File, err)
			return none
		}
		req.Text, req.Line = r.text(doc.Body), doc.BodyLine+r.first-1
	}
	return &finished{html: t.r.render(&state{shared: st.shared, req: &req, chain: chain, notes: fmt.Sprintf("%spart%d-", st.req.IDPrefix, st.parts)})}
}

// fileCode returns the code that a block takes from another file, and fills in its language.
func (st *state) fileCode(at int, in *Info, body []byte) []byte {
	if in.File == "" {
		st.errorAt(at, `region= and lines= choose from a file: add file="…"`)
		return body
	}
	if in.Lang == "" {
		in.Lang = languageOf(in.File)
	}
	if len(bytes.TrimSpace(body)) > 0 {
		st.errorAt(at, "the block shows %s, so leave it empty", in.File)
	}
	inc, ok := st.read(at, in.File)
	if !ok {
		return body
	}
	var mistakes source.List
	content := plainText(inc.File, inc.Data, &mistakes)
	if len(mistakes) > 0 {
		st.errorAt(at, "%s can't be shown: %s", inc.File, mistakes[0].Msg)
		return body
	}
	shown := fileRegion{first: 1, last: countLines(content)}
	markdown := path.Ext(inc.File) == ".md"
	if in.Region != "" {
		var err error
		if shown, err = findRegion(content, in.Region, markdown); err != nil {
			st.errorAt(at, "%s has %v", inc.File, err)
			return body
		}
	}
	if n := len(in.Lines); n > 0 && in.Lines[n-1].To > countLines(content) {
		st.errorAt(at, "%s has only %d lines", inc.File, countLines(content))
		return body
	}
	var code []byte
	number := 0
	for line := range bytes.Lines(content) {
		number++
		if number < shown.first || number > shown.last || !inRanges(in.Lines, number) {
			continue
		}
		if _, _, isMark := regionMark(line, markdown); !isMark {
			code = append(code, line...)
		}
	}
	if len(bytes.TrimSpace(code)) == 0 {
		st.errorAt(at, "nothing of %s is left to show", inc.File)
		return body
	}
	return unindent(code)
}

func inRanges(ranges []Range, n int) bool {
	return ranges == nil || slices.ContainsFunc(ranges, func(r Range) bool { return r.From <= n && n <= r.To })
}

// countLines counts lines; a line end at the end begins none.
func countLines(b []byte) int {
	n := bytes.Count(b, []byte("\n"))
	if len(b) > 0 && b[len(b)-1] != '\n' {
		n++
	}
	return n
}

// fileRegion is the lines between the marks of a region, both ends included.
type fileRegion struct{ first, last int }

func (r fileRegion) text(content []byte) []byte {
	number, start, end := 0, 0, 0
	for line := range bytes.Lines(content) {
		if number++; number < r.first {
			start += len(line)
		}
		if number <= r.last {
			end += len(line)
		}
	}
	return content[start:max(start, end)]
}

// A mark is a whole line: a comment's begin, the word, a name, a comment's end. Prose such as "# region of interest" is
// none, since a name is one word.
var regionLine = regexp.MustCompile(`^[ \t]*(#|//|--|;+|%+|/\*|<!--|\{#|\{\{/\*|REM|'|"|\.\.)?[ \t]*(#?)(end)?region\b[ \t]*([\p{L}\p{N}_.-]+?)?[ \t]*(?:\*/|-->|#\}|\*/\}\})?[ \t]*\r?\n?$`)

// maxMark is the longest line that is looked at for a mark, in bytes.
const maxMark = 200

// regionMark says whether a line marks the begin or the end of a region, and of which.
func regionMark(line []byte, markdown bool) (name string, end, ok bool) {
	if len(line) > maxMark || !bytes.Contains(line, []byte("region")) {
		return "", false, false
	}
	m := regionLine.FindSubmatch(line)
	if m == nil || len(m[1]) == 0 && len(m[2]) == 0 || markdown && string(m[1]) != "<!--" {
		return "", false, false
	}
	return string(m[4]), len(m[3]) > 0, true
}

// findRegion finds the region with a name. The error goes on from "the file has …".
func findRegion(content []byte, want string, markdown bool) (fileRegion, error) {
	type open struct {
		name string
		line int
	}
	var stack []open
	var names []string
	var found fileRegion
	number := 0
	for line := range bytes.Lines(content) {
		number++
		name, end, ok := regionMark(line, markdown)
		switch {
		case !ok:
		case !end:
			if name != "" {
				if name == want && slices.Contains(names, want) {
					return found, fmt.Errorf("two regions called %q; the second is in line %d", want, number)
				}
				names = append(names, name)
			}
			stack = append(stack, open{name, number})
		default:
			// An end names its region or means the last one that is open.
			for i := len(stack) - 1; i >= 0; i-- {
				if name != "" && stack[i].name != name {
					continue
				}
				if stack[i].name == want {
					found = fileRegion{stack[i].line + 1, number - 1}
				}
				stack = slices.Delete(stack, i, i+1)
				break
			}
		}
	}
	if found.first > 0 {
		return found, nil
	}
	if slices.Contains(names, want) {
		return found, fmt.Errorf("no end of the region %q: a line with a comment \"endregion %s\"", want, want)
	}
	switch near := source.Nearest(want, names); {
	case near != "":
		return found, fmt.Errorf("no region %q (did you mean %q?)", want, near)
	case len(names) > 0:
		return found, fmt.Errorf("no region %q; there are: %s", want, strings.Join(names[:min(len(names), 20)], ", "))
	}
	return found, fmt.Errorf("no region %q; mark one with comments \"region %s\" and \"endregion %s\"", want, want, want)
}

// unindent removes the white space that all lines begin with.
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
			line = bytes.TrimLeft(line, " \t") // a line of fewer spaces and nothing else
		}
		out = append(out, line...)
	}
	return out
}

// languageOf guesses the language of a file by its name; "text" if nothing is known of it.
func languageOf(file string) string {
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
