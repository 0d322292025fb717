package markdown

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"

	"github.com/labd-dev/labd/internal/fence"
	"github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/site/internal/snippet"
)

// Limits on includes in one page. Without them, ten small files that include each other twice would
// grow exponentially.
const (
	maxIncludeDepth  = 8       // nesting depth
	maxIncludes      = 200     // files, counted at every include
	maxIncludedBytes = 4 << 20 // total size
)

// read reads the file that the text names at an offset, and reports mistakes.
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

// include renders the text that n includes, to replace n.
func (t transformer) include(st *state, n *directive) ast.Node {
	none := &finished{}
	name, region, _ := strings.Cut(n.title, "#")
	if name == "" {
		return none
	}
	if ext := path.Ext(name); ext != ".md" {
		st.errorAt(n.at, "%sinclude takes Markdown; show a file of code with ```%s {file=%q}", strings.Repeat(":", n.colons), snippet.Language(name), name)
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
	doc := source.Split(inc.File, inc.Data, &mistakes)
	if len(mistakes) > 0 {
		*st.errs = append(*st.errs, mistakes...)
		return none
	}
	req := *st.req
	req.File, req.Text, req.Line, req.Resolve, req.Include = inc.File, doc.Body, doc.BodyLine, inc.Resolve, inc.Include
	if region != "" {
		lines, ok := st.region(n.at, inc.File, doc.Body, region)
		if !ok {
			return none
		}
		req.Text, req.Line = lines.Text(doc.Body), doc.BodyLine+lines.First-1
	}
	return &finished{html: t.r.render(&state{shared: st.shared, req: &req, chain: chain, notes: fmt.Sprintf("%spart%d-", st.req.IDPrefix, st.parts)})}
}

// fileCode returns the code that a block shows from another file. It sets the language if the block
// names none.
func (st *state) fileCode(at int, in *fence.Info, body []byte) []byte {
	if in.File == "" {
		st.errorAt(at, `region= and lines= need a file: add file="…"`)
		return body
	}
	if in.Lang == "" {
		in.Lang = snippet.Language(in.File)
	}
	if len(bytes.TrimSpace(body)) > 0 {
		st.errorAt(at, "the block shows %s, so leave it empty", in.File)
	}
	inc, ok := st.read(at, in.File)
	if !ok {
		return body
	}
	var mistakes source.List
	content := source.PlainText(inc.File, inc.Data, &mistakes)
	if len(mistakes) > 0 {
		st.errorAt(at, "%s can't be shown: %s", inc.File, mistakes[0].Msg)
		return body
	}
	shown := snippet.Lines{First: 1, Last: snippet.Count(content)}
	if n := len(in.Lines); n > 0 && in.Lines[n-1].To > shown.Last {
		st.errorAt(at, "%s has only %d lines", inc.File, shown.Last)
		return body
	}
	if in.Region != "" {
		if shown, ok = st.region(at, inc.File, content, in.Region); !ok {
			return body
		}
	}
	code := shown.Code(inc.File, content, func(line int) bool {
		return in.Lines == nil || slices.ContainsFunc(in.Lines, func(r fence.Range) bool { return r.From <= line && line <= r.To })
	})
	if len(bytes.TrimSpace(code)) == 0 {
		st.errorAt(at, "the chosen part of %s is empty", inc.File)
		return body
	}
	return code
}

// region returns the lines of a region, and reports a mistake if it does not exist.
func (st *state) region(at int, file string, content []byte, name string) (snippet.Lines, bool) {
	lines, err := snippet.Region(file, content, name)
	if err == nil {
		return lines, true
	}
	hint := ""
	var e *snippet.Error
	if errors.As(err, &e) && e.Known != nil {
		hint = cmp.Or(source.DidYouMean(name, e.Known), "; there are: "+strings.Join(e.Known[:min(len(e.Known), 20)], ", "))
	}
	st.errorAt(at, "%s has %v%s", file, err, hint)
	return lines, false
}
