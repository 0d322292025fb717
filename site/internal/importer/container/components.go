package container

import (
	"cmp"
	"html"
	"regexp"
	"slices"
	"strings"

	"github.com/labd-dev/labd/site/internal/importer/markup"
	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
)

// components maps components of Docusaurus, Starlight and other tools to blocks of a lesson.
var components = map[string]containerKind{
	"details": details, "Details": details, "Accordion": details, "Collapse": details, "Collapsible": details, "Expandable": details, "Spoiler": details, "Toggle": details,
	"Tabs": tabs, "CodeTabs": tabs, "TabGroup": tabs, "TabItem": tab, "Tab": tab,
	"Admonition": callout, "Aside": callout, "Callout": callout, "Alert": callout, "Hint": callout,
	"Note": callout, "Tip": callout, "Info": callout, "Warning": callout, "Caution": callout, "Danger": callout, "Important": callout,
	"Steps": fragment, "CardGrid": fragment, "Fragment": fragment, "FileTree": fragment, "CodeGroup": fragment, "Columns": fragment, "": fragment,
}

// Silent reports whether a component only groups others, so that a tag of it inside a line can be
// dropped without a report.
func Silent(name string) bool {
	kind, ok := components[name]
	return ok && (kind != fragment || name == "")
}

// tag reads a tag at s[i:i+n] that opens or closes a container. It returns the number of bytes
// used, 0 if the tag belongs to the text around it. flush adds the text before it.
func (b *builder) tag(l syntax.Line, prefix string, t markup.Tag, s string, i, n int, bare bool, flush func()) int {
	if t.Low == "summary" && !t.Close {
		return b.summary(t, s, i, n, flush)
	}
	if top := b.top(); t.Low == "summary" && top.kind == details && top.labels["summary"] == "open" {
		flush()
		var words []string
		for _, kid := range top.kids {
			if l, ok := kid.(syntax.Line); ok {
				words = append(words, l.Text)
			}
		}
		top.labels["summary"] = "read"
		if title := summaryTitle(strings.Join(words, " ")); title != "" {
			top.kids, top.title = nil, title
		}
		return n
	}
	name := t.Name
	if !t.Component() {
		name = t.Low
	}
	kind, known := components[name]
	if !known && !b.unknownComponent(t) {
		return 0
	}
	if t.Close {
		if b.has(name) {
			flush()
			b.close(name)
			return n
		}
		if known && kind != fragment {
			flush()
			return n
		}
		return 0
	}
	after := strings.TrimSpace(s[i+n:])
	if t.Empty {
		if !bare || after != "" {
			return 0
		}
		return b.emptyComponent(l, prefix, t, n, flush)
	}
	if !b.closed[t.Name] && name != "details" || !known && (!bare || after != "" && !strings.HasSuffix(after, "</"+t.Name+">")) {
		return 0
	}
	flush()
	c := &container{kind: kind, name: name, prefix: prefix, at: l, jsx: b.Format.JSX() || name == "details"}
	c.title = syntax.OneLine(syntax.Plain(html.UnescapeString(t.Attr("title", "summary", "label", "header"))))
	switch kind {
	case details:
		c.title = cmp.Or(c.title, "Details")
	case tabs:
		c.labels = tabLabels(s[i : i+n])
	case tab:
		c.title = b.tabTitle(t)
	case callout:
		word := strings.ToLower(cmp.Or(t.Attr("type", "variant", "kind", "style"), name))
		c.word = cmp.Or(syntax.Callouts[word], "NOTE")
		if syntax.Callouts[word] != "" {
			c.title = cmp.Or(c.title, syntax.CalloutTitle(word, c.word))
		}
	case fragment:
		if !known {
			b.component(c, t)
		}
	}
	b.open(c)
	return n
}

func (b *builder) has(name string) bool {
	return slices.ContainsFunc(b.stack[1:], func(c *container) bool { return c.name == name })
}

// unknownComponent reports whether a tag is a component that this package does not know.
func (b *builder) unknownComponent(t markup.Tag) bool {
	if t.Component() {
		return b.Format.JSX() || t.Attrs() > 0 || t.Empty || b.closed[t.Name]
	}
	return strings.Contains(t.Low, "-") && (t.Attrs() > 0 || b.closed[t.Name])
}

// component keeps the titles and captions in the attributes of an unknown component.
func (b *builder) component(c *container, t markup.Tag) {
	b.report(report.ComponentDropped, c.at, "the component <%s> is unknown; the text in it stays", t.Name)
	c.title = syntax.OneLine(syntax.Plain(t.Attr("title", "label", "heading", "file-name", "filename", "name")))
	if t.Attr("file-name", "filename") != "" {
		c.title = ""
		c.labels = map[string]string{"file": syntax.OneLine(t.Attr("file-name", "filename"))}
	}
	if caption := syntax.OneLine(html.UnescapeString(t.Attr("caption", "description"))); caption != "" {
		if number := t.Attr("number"); number != "" {
			caption = t.Name + " " + syntax.OneLine(number) + ": " + caption
		}
		c.below = caption
	}
}

// emptyComponent converts <Name /> on its own line.
func (b *builder) emptyComponent(l syntax.Line, prefix string, t markup.Tag, n int, flush func()) int {
	if file := b.Partials[t.Name]; file != "" {
		flush()
		if to := b.Source.Partial(file); to != "" {
			b.add(raw(l, prefix+":::include "+to))
		} else {
			b.report(report.IncludeMissing, l, "%s is not included: it is not in the source", file)
		}
		return n
	}
	return 0
}

// summary uses the text of a <summary> as the title of its <details>.
func (b *builder) summary(t markup.Tag, s string, i, n int, flush func()) int {
	end := strings.Index(strings.ToLower(s[i+n:]), "</summary")
	top := b.top()
	if top.kind != details {
		return 0
	}
	flush()
	if end < 0 { // on lines of its own
		if !b.closed["summary"] || top.labels["summary"] != "" {
			return n
		}
		top.labels = map[string]string{"summary": "open"}
		return n
	}
	stop := strings.IndexByte(s[i+n+end:], '>')
	if title := summaryTitle(s[i+n : i+n+end]); title != "" {
		top.title = title
	}
	if stop < 0 {
		return len(s) - i
	}
	return n + end + stop + 1
}

var headingMarks = regexp.MustCompile(`^#{1,6}[ \t]+`)

func summaryTitle(s string) string {
	return syntax.OneLine(syntax.Plain(html.UnescapeString(headingMarks.ReplaceAllString(strings.TrimSpace(s), ""))))
}

var tabValue = regexp.MustCompile(`\{[^{}]*\}`)
var tabLabel = regexp.MustCompile(`label\s*:\s*['"]([^'"]*)['"]`)
var tabKey = regexp.MustCompile(`value\s*:\s*['"]([^'"]*)['"]`)

// tabLabels reads the labels of <Tabs values={[{label: 'A', value: 'a'}]}>.
func tabLabels(tag string) map[string]string {
	out := map[string]string{}
	_, list, _ := strings.Cut(tag, "values=")
	for _, m := range tabValue.FindAllString(strings.TrimPrefix(strings.TrimSpace(list), "{"), maxTabs*4) {
		label, key := tabLabel.FindStringSubmatch(m), tabKey.FindStringSubmatch(m)
		if label != nil && key != nil {
			out[key[1]] = label[1]
		}
	}
	return out
}

func (b *builder) tabTitle(t markup.Tag) string {
	value := t.Attr("value")
	for i := len(b.stack) - 1; i > 0; i-- {
		if b.stack[i].kind == tabs {
			if label := b.stack[i].labels[value]; label != "" {
				return syntax.OneLine(syntax.Plain(label))
			}
			break
		}
	}
	return cmp.Or(syntax.OneLine(syntax.Plain(html.UnescapeString(t.Attr("label", "title", "name", "text", "value", "tab")))), "Tab")
}

// liquid reads a GitBook tag such as {% hint style="info" %}. It returns false if there is none.
func (b *builder) liquid(l syntax.Line, prefix string, m []string, flush func()) bool {
	end, name := m[1] != "", m[2]
	if end {
		flush()
		if !b.close("%" + name) {
			return name == "embed" || name == "file" || name == "raw"
		}
		return true
	}
	attrs := map[string]string{}
	for _, a := range liquidAttr.FindAllStringSubmatch(m[3], 20) {
		attrs[a[1]] = html.UnescapeString(a[2] + a[3])
	}
	title := syntax.OneLine(syntax.Plain(attrs["title"]))
	c := &container{name: "%" + name, prefix: prefix, at: l, title: title}
	switch name {
	case "hint":
		c.kind, c.word = callout, cmp.Or(syntax.Callouts[attrs["style"]], "NOTE")
		c.title = cmp.Or(title, map[bool]string{true: "", false: syntax.CalloutTitle(attrs["style"], c.word)}[attrs["style"] == "info"])
	case "tabs":
		c.kind = tabs
	case "tab":
		c.kind, c.title = tab, cmp.Or(title, "Tab")
	case "code":
		if c.title = ""; title != "" {
			c.labels = map[string]string{"file": title}
		}
	case "content-ref", "stepper", "step", "columns", "column", "raw":
	case "embed", "file":
		flush()
		text := cmp.Or(title, syntax.OneLine(attrs["caption"]), attrs["url"], attrs["src"])
		add := l
		add.Text = prefix + "[" + syntax.Escape(text) + "](<" + strings.NewReplacer("<", "%3C", ">", "%3E").Replace(cmp.Or(attrs["url"], attrs["src"])) + ">)"
		b.add(add)
		b.report(report.ElementChanged, l, "the embedded %s becomes a link", name)
		return true
	default:
		return false
	}
	flush()
	if name == "raw" || name == "step" || !strings.Contains("hint tabs tab code content-ref stepper columns column", name) {
		return true
	}
	b.open(c)
	return true
}
