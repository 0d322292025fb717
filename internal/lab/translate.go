package lab

import (
	"bytes"
	"sort"
	"strings"

	"github.com/labd-dev/labd/internal/source"
)

// translate adds a translation to l and reports where it does not match lab.md.
func (l *Lab) translate(d *document, lang string) {
	if d.front != nil {
		if t := d.parseTOML(d.front, d.frontLine); t != nil {
			t.Require("title", "summary")
			title, summary := t.text("title", maxTitleRunes), t.text("summary", maxTextRunes)
			if l.Title != nil && l.Summary != nil {
				l.Title[lang], l.Summary[lang] = title, summary
			}
			for _, key := range t.Keys() {
				if key != "title" && key != "summary" {
					t.Errorf(key, "a translation has only title and summary: write %s in %s", key, labFile)
				}
			}
		}
	}
	l.placeholders(d, d.frontLine+bytes.Count(d.front, []byte("\n")))
	if l.Intro != nil {
		l.Intro[lang] = d.intro
	}
	for i, s := range d.sections {
		if i >= len(l.Steps) {
			d.errorf(s.line, 0, "%s has only %[3]d steps: remove the step %[2]q", labFile, s.anchor, len(l.Steps))
			continue
		}
		step := l.Steps[i]
		if s.anchor != step.Anchor {
			d.errorf(s.line, 0, "this step has the anchor %[4]q, but step %[1]d of %[2]s has %[3]q", i+1, labFile, step.Anchor, s.anchor)
			continue
		}
		step.Title[lang] = s.title
		step.Body[lang] = s.body
		l.translateBlocks(d, s, step, lang)
		sameCode(d, s, step)
	}
	for _, step := range l.Steps[min(len(d.sections), len(l.Steps)):] {
		d.errorf(len(d.lines), 0, "the step %q of %s is missing in this translation", step.Anchor, labFile)
	}
}

func (l *Lab) translateBlocks(d *document, s *section, step *Step, lang string) {
	var messages *block
	for _, b := range s.blocks {
		switch b.info.Lang {
		case "hint":
			step.Hints[lang] = append(step.Hints[lang], Markdown{File: d.file, Line: b.bodyLine(), Source: b.body})
			if strings.TrimSpace(string(b.body)) == "" {
				d.errorf(b.line, 0, "this hint block is empty")
			}
		case "messages":
			if messages != nil {
				d.errorf(b.line, 0, "a step has one messages block: the first is on line %d", messages.line)
				continue
			}
			messages = b
		default:
			d.errorf(b.line, 0, "a translation has no %s blocks: write them in %s only", b.info.Lang, labFile)
		}
	}
	if want, got := len(step.Hints[DefaultLang]), len(step.Hints[lang]); want != got {
		d.errorf(s.line, 0, "this step has %[3]d hints, but %[2]d in %[1]s", labFile, want, got)
	}
	step.messages(d, s, messages, lang)
}

// messages reads the translations of a check's hints. Every hint needs one.
func (s *Step) messages(d *document, sec *section, b *block, lang string) {
	hints := map[string]Text{}
	for i := range s.Check.Wrong {
		hints[s.Check.Wrong[i].ID] = s.Check.Wrong[i].Hint
	}
	for i := range s.Check.Probes {
		if s.Check.Probes[i].Hint != nil {
			hints[s.Check.Probes[i].ID] = s.Check.Probes[i].Hint
		}
	}
	ids := make([]string, 0, len(hints))
	for id := range hints {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	line := sec.line
	given := map[string]bool{}
	if b != nil {
		line = b.line
		t := d.parseTOML(b.body, b.bodyLine())
		if t == nil {
			return
		}
		for _, id := range ids {
			if !t.Has(id) {
				continue
			}
			given[id] = true
			if text := t.text(id, maxTextRunes); hints[id] != nil {
				hints[id][lang] = text
			}
		}
		for _, key := range t.Keys() {
			if _, ok := hints[key]; ok {
				continue
			}
			t.Errorf(key, "the check has no hint %q%s", key, source.Suggest(key, ids))
		}
	}
	for _, id := range ids {
		if !given[id] {
			d.errorf(line, 0, "the hint %q is not translated: add it to the messages block of this step", id)
		}
	}
}

// sameCode reports {run} and {save} blocks whose commands differ from lab.md.
func sameCode(d *document, s *section, step *Step) {
	if len(s.code) != len(step.code) {
		d.errorf(s.line, 0, "this step has %[3]d run and save blocks, but %[2]d in %[1]s", labFile, len(step.code), len(s.code))
		return
	}
	for i, b := range s.code {
		want := step.code[i]
		if !b.info.doesTheSame(want.info) {
			d.errorf(b.line, 0, "the language, run and save of this block differ from the block on line %d of %s", want.line, labFile)
		} else if uncommented(b.body) != uncommented(want.body) {
			d.errorf(b.line, 0, "the commands of this block differ from the block on line %d of %s", want.line, labFile)
		}
	}
}

// uncommented returns body without comments, empty lines and trailing white space.
func uncommented(body []byte) string {
	var out []string
	for _, l := range strings.Split(string(body), "\n") {
		if i := strings.Index(" "+l, " #"); i >= 0 {
			l = l[:i]
		}
		if l = strings.TrimRight(l, " \t\r"); strings.TrimSpace(l) != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}
