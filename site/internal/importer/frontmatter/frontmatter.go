// Package frontmatter reads the YAML front matter of imported pages and writes the TOML front
// matter of lessons.
//
// YAML is read with go.yaml.in/yaml/v3, which keeps line numbers. Aliases are never expanded, so
// that a short file cannot grow without bounds.
package frontmatter

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/BurntSushi/toml"
	"go.yaml.in/yaml/v3"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/markdown"
)

// Limits on front matter.
const (
	maxSize  = 64 << 10 // bytes of YAML
	maxDepth = 20       // nesting depth of lists and maps
	maxTags  = 50       // tags of a page
	maxTag   = 60       // letters of a tag's address
)

// Front is the front matter of a lesson; a section has only title, summary, weight and draft.
type Front struct {
	Title    string     `toml:"title"`
	Summary  string     `toml:"summary,omitempty"`
	Weight   int        `toml:"weight,omitzero"`
	Part     string     `toml:"part,omitempty"` // heading over it and its neighbours
	Tags     []string   `toml:"tags,omitempty"`
	Draft    bool       `toml:"draft,omitempty"`
	Outdated bool       `toml:"outdated,omitempty"` // a translation with other sections than the original
	Date     *time.Time `toml:"date,omitempty"`
	Authors  []string   `toml:"authors,omitempty"`

	Slug     string   `toml:"-"` // address in the source; empty if not given
	Position float64  `toml:"-"` // in the sidebar; NaN if not given
	Names    []string `toml:"-"` // other names that links use: ids and aliases
}

// Encode returns the front matter between +++ lines. That of a section has fewer keys.
func (f Front) Encode(section bool) (string, error) {
	if section {
		f = Front{Title: f.Title, Summary: f.Summary, Weight: f.Weight, Part: f.Part, Draft: f.Draft, Outdated: f.Outdated}
	}
	var b bytes.Buffer
	b.WriteString("+++\n")
	enc := toml.NewEncoder(&b)
	if err := enc.Encode(f); err != nil {
		return "", err
	}
	b.WriteString("+++\n\n")
	return b.String(), nil
}

// Cut splits the lines of a page into front matter and text.
func Cut(lines []syntax.Line, log *report.Log) (Front, []syntax.Line) {
	f := Front{Position: math.NaN()}
	if len(lines) == 0 || strings.TrimRight(lines[0].Text, " \t") != "---" {
		return f, lines
	}
	end, size := 0, 0
	for i := 1; i < len(lines) && size <= maxSize; i++ {
		if t := strings.TrimRight(lines[i].Text, " \t"); t == "---" || t == "..." {
			end = i
			break
		}
		size += len(lines[i].Text) + 1
	}
	if end == 0 {
		log.Addf(report.FrontMatterBroken, lines[0].Place(), "the front matter is not closed within %d KiB, so it is read as text", maxSize>>10)
		return f, lines
	}
	yml := lines[1:end]
	var text strings.Builder
	for _, l := range yml {
		text.WriteString(l.Text + "\n")
	}
	root, err := ParseYAML(text.String())
	if err != nil {
		log.Addf(report.FrontMatterBroken, lines[0].Place(), "the front matter is lost: %v", err)
		return f, lines[end+1:]
	}
	seen := map[string]bool{}
	for i := 0; root != nil && i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		at := yml[min(max(key.Line-1, 0), len(yml)-1)]
		name := strings.ToLower(key.Value)
		if seen[name] {
			log.Addf(report.FrontMatterKey, at.Place(), "%q is given twice; the first counts", key.Value)
			continue
		}
		seen[name] = true
		f.key(name, value, at, log)
	}
	return f, lines[end+1:]
}

// ParseYAML returns the mapping of a document, nil if it is empty.
func ParseYAML(text string) (*yaml.Node, error) {
	if len(text) > maxSize {
		return nil, fmt.Errorf("it is larger than %d KiB", maxSize>>10)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if doc.Kind == 0 || len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is not a list of key: value lines")
	}
	if err := checkYAML(doc.Content[0], 0); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

func checkYAML(n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return fmt.Errorf("line %d uses the alias *%s, and aliases are not followed", n.Line, n.Value)
	}
	for _, c := range n.Content {
		if err := checkYAML(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// texts returns the values of a string or of a list of strings.
func texts(n *yaml.Node) []string {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return nil
		}
		return []string{n.Value}
	case yaml.SequenceNode:
		var out []string
		for _, c := range n.Content {
			if c.Kind == yaml.ScalarNode {
				out = append(out, c.Value)
			} else if c.Kind == yaml.MappingNode { // authors: [{name: …}]
				for i := 0; i+1 < len(c.Content); i += 2 {
					if c.Content[i].Value == "name" {
						out = append(out, c.Content[i+1].Value)
					}
				}
			}
		}
		return out
	}
	return nil
}

var dateLayouts = []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006/01/02"}

// key sets the field of f that belongs to a key.
func (f *Front) key(name string, n *yaml.Node, at syntax.Line, log *report.Log) {
	value := ""
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		value = strings.TrimSpace(n.Value)
	}
	list := texts(n)
	switch name {
	case "title":
		f.Title = syntax.OneLine(value)
	case "summary", "description":
		if f.Summary != "" {
			log.Addf(report.FrontMatterKey, at.Place(), "%s is lost: the page has a summary already", name)
			return
		}
		f.Summary = syntax.OneLine(value)
	case "tags", "tag":
		if n.Kind == yaml.ScalarNode {
			list = strings.FieldsFunc(value, func(c rune) bool { return c == ',' || unicode.IsSpace(c) })
		}
		for _, t := range list {
			f.Tag(t, at, log)
		}
	case "authors", "author":
		for _, a := range list {
			if a = syntax.OneLine(a); a != "" {
				f.Authors = append(f.Authors, a)
			}
		}
	case "draft":
		f.Draft = value == "true" || value == "yes"
	case "publish":
		f.Draft = f.Draft || value == "false" || value == "no"
	case "unlisted":
		if value == "true" {
			f.Draft = true
			log.Addf(report.Unlisted, at.Place(), "an unlisted page becomes a draft, which is not published")
		}
	case "date", "created":
		for _, layout := range dateLayouts {
			if t, err := time.Parse(layout, value); err == nil && t.Year() > 0 && t.Year() < 10000 {
				f.Date = &t
				return
			}
		}
		log.Addf(report.FrontMatterKey, at.Place(), "%s is lost: %q is not a date", name, value)
	case "sidebar_position", "weight", "order", "nav_order":
		pos, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(pos) || math.IsInf(pos, 0) {
			log.Addf(report.FrontMatterKey, at.Place(), "%s is lost: %q is not a number", name, value)
			return
		}
		f.Position = pos
	case "sidebar": // of Starlight
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "order" {
				f.key("order", n.Content[i+1], at, log)
			}
		}
	case "hero":
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "tagline" && f.Summary == "" {
				f.Summary = syntax.OneLine(syntax.Plain(n.Content[i+1].Value))
			}
		}
	case "slug":
		f.Slug = value
		log.Addf(report.FrontMatterKey, at.Place(), "only the last part of the slug becomes the page's address")
	case "id":
		f.Names = append(f.Names, value)
	case "aliases", "alias":
		f.Names = append(f.Names, list...)
		log.Addf(report.FrontMatterKey, at.Place(), "aliases resolve links to the note, but are not shown")
	default:
		log.Addf(report.FrontMatterKey, at.Place(), "the front matter key %q is lost: lessons have none like it", name)
	}
}

// Tag adds a tag, unless f has it already. Its name must have letters or digits, from which the
// site makes an address.
func (f *Front) Tag(name string, at syntax.Line, log *report.Log) {
	name = syntax.OneLine(strings.TrimPrefix(strings.TrimSpace(name), "#"))
	id := markdown.Slug(name)
	if id == "" {
		log.Addf(report.FrontMatterKey, at.Place(), "the tag %q is lost: it has neither letters nor digits", name)
		return
	}
	if len([]rune(id)) > maxTag {
		log.Addf(report.FrontMatterKey, at.Place(), "the tag is lost: it is longer than %d letters", maxTag)
		return
	}
	for _, t := range f.Tags {
		if markdown.Slug(t) == id {
			return
		}
	}
	if len(f.Tags) == maxTags {
		log.Addf(report.FrontMatterKey, at.Place(), "the tag %q is lost: a page has at most %d", name, maxTags)
		return
	}
	f.Tags = append(f.Tags[:len(f.Tags):len(f.Tags)], name)
}
