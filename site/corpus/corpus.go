// Package corpus generates large courses for benchmarks. The same arguments give the same bytes on every machine.
//
// # Text
//
// New(n) returns a content tree of n lessons. It has the properties of real courses that decide how long a build takes:
//
//   - Four courses: the main course and three further ones, each with a quarter of the modules. A module has 50 lessons.
//   - Lessons of 4 to 10 KB. A third of each is code in five languages.
//   - A vocabulary of 39,000 words: 29,250 English ones and 9,750 Chinese ones. Word frequencies follow Zipf's law: the word of
//     rank k appears with a probability proportional to 1/(k+2.7).
//   - A long tail of identifiers. Each lesson invents a few names, such as cacheBuilder or web_4711, and uses them in its text
//     and code. Most appear in one lesson only, so the number of distinct terms grows with the number of lessons.
//   - Every fourth lesson is in Chinese, with some English terms and code in between.
//   - Links to other lessons: to the one before, to others of the same course, and to other courses.
//
// No word list is stored. The most frequent words are the ones that courses about containers use most, and English function
// words. The rest of the English vocabulary comes from a syllable model with common prefixes and suffixes, so that there are
// inflected forms. Chinese words are combinations of the 3,755 common characters of GB 2312, level 1, again with Zipf's law.
package corpus

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing/fstest"
)

const (
	perModule     = 50 // lessons
	courses       = 4
	chineseEvery  = 4 // every fourth lesson is in Chinese
	inventedNames = 8 // identifiers of a lesson
)

// New returns the content tree of n lessons.
func New(n int) fstest.MapFS {
	g := &generator{rnd: rand.New(rand.NewPCG(1, 2)), lessons: n}
	g.english, g.chinese = newEnglish(g.rnd), newChinese(g.rnd)
	out := fstest.MapFS{}
	add := func(name, text string) { out["en/"+name] = &fstest.MapFile{Data: []byte(text)} }
	add("_index.md", "+++\ntitle = \"Corpus\"\n+++\n")
	for c := 1; c < courses; c++ {
		if folder := g.courseFolder(c); g.hasModules(c) {
			add(folder+"_index.md", fmt.Sprintf("+++\ntitle = \"Course %d\"\nsummary = \"%s\"\nweight = %d\n+++\n", c, g.plainSentence(), c))
		}
	}
	for i := range n {
		if i%perModule == 0 {
			m := i / perModule
			add(g.moduleFolder(m)+"_index.md", fmt.Sprintf("+++\ntitle = \"Module %d\"\nweight = %d\n+++\n", m, m+1))
		}
		add(g.lessonFile(i), g.lesson(i))
	}
	return out
}

// generator holds what the lessons of one tree share.
type generator struct {
	rnd              *rand.Rand
	lessons          int
	english, chinese *vocabulary
	zh               bool     // the current lesson is in Chinese
	names            []string // identifiers of the current lesson
}

func (g *generator) modules() int { return (g.lessons + perModule - 1) / perModule }

// courseOf returns the course that a module belongs to; 0 is the main course.
func (g *generator) courseOf(module int) int { return module * courses / g.modules() }

func (g *generator) hasModules(course int) bool {
	for m := range g.modules() {
		if g.courseOf(m) == course {
			return true
		}
	}
	return false
}

// courseFolder returns the folder of a course with a slash at its end. Modules of the main course lie at the top.
func (g *generator) courseFolder(course int) string {
	if course == 0 {
		return ""
	}
	return fmt.Sprintf("course-%d/", course)
}

func (g *generator) moduleFolder(m int) string {
	return fmt.Sprintf("%smodule-%03d/", g.courseFolder(g.courseOf(m)), m)
}

func (g *generator) lessonFile(i int) string {
	return fmt.Sprintf("%slesson-%05d.md", g.moduleFolder(i/perModule), i)
}

// link returns the relative link from one lesson to another.
func (g *generator) link(from, to int) string {
	up := "../"
	if c := g.courseOf(from / perModule); c != g.courseOf(to/perModule) {
		if c != 0 {
			up = "../../"
		}
		return up + g.lessonFile(to)
	}
	return up + strings.TrimPrefix(g.lessonFile(to), g.courseFolder(g.courseOf(to/perModule)))
}

func (g *generator) lesson(i int) string {
	g.zh = i%chineseEvery == chineseEvery-1
	g.inventNames()
	size := 4000 + g.rnd.IntN(6000)
	var b strings.Builder
	fmt.Fprintf(&b, "+++\ntitle = \"Lesson %d: %s\"\nsummary = \"%s\"\nweight = %d\ntags = [\"%s\", \"%s\"]\n+++\n",
		i, g.title(), g.plainSentence(), i+1, topics[g.rnd.IntN(20)], topics[g.rnd.IntN(20)])
	codeBytes := 0
	for section := 1; b.Len() < size; section++ {
		fmt.Fprintf(&b, "\n## %s\n\n", g.title())
		for range 3 {
			b.WriteString(g.sentence() + g.sentence() + "**" + strings.TrimSpace(g.sentence()) + "** " + g.sentence() + "\n\n")
		}
		b.WriteString("- " + g.sentence() + "\n- " + g.sentence() + "\n\n")
		for codeBytes < b.Len()/3 {
			lang, text := g.code()
			codeBytes += len(text)
			fmt.Fprintf(&b, "```%s\n%s```\n\n", lang, text)
		}
		if to := g.target(i, section); to != i {
			fmt.Fprintf(&b, "%s [%s](%s)\n", strings.TrimSpace(g.sentence()), g.title(), g.link(i, to))
		}
	}
	return b.String()
}

// target chooses the lesson that a section links to: first the one before, then one of the same course, then any.
func (g *generator) target(i, section int) int {
	switch section % 3 {
	case 1:
		return max(0, i-1)
	case 2:
		first := i / perModule
		for first > 0 && g.courseOf(first-1) == g.courseOf(i/perModule) {
			first--
		}
		return first*perModule + g.rnd.IntN(i-first*perModule+1)
	}
	return g.rnd.IntN(g.lessons)
}

// title is a short phrase without punctuation.
func (g *generator) title() string {
	v, gap, n := g.english, " ", 2+g.rnd.IntN(5)
	if g.zh {
		v, gap = g.chinese, ""
	}
	words := make([]string, n)
	for i := range words {
		words[i] = v.word(g.rnd)
	}
	return upperFirst(strings.Join(words, gap))
}

// sentence is a sentence with its mark and a space, now and then with an identifier as inline code.
func (g *generator) sentence() string { return g.writeSentence(true) }

// plainSentence is a sentence without markup, for front matter and comments.
func (g *generator) plainSentence() string { return strings.TrimSpace(g.writeSentence(false)) }

func (g *generator) writeSentence(markup bool) string {
	var b strings.Builder
	n, spaced := 8+g.rnd.IntN(12), false // whether the word before stands apart
	for k := range n {
		w := g.english.word(g.rnd)
		isCode := markup && g.rnd.IntN(25) == 0
		latin := !g.zh || isCode || g.rnd.IntN(16) == 0 // Chinese text names products and commands in English
		switch {
		case isCode:
			w = "`" + g.names[g.rnd.IntN(len(g.names))] + "`"
		case !latin:
			w = g.chinese.word(g.rnd)
		}
		if k == 0 {
			w = upperFirst(w)
		} else if latin || spaced {
			b.WriteByte(' ')
		}
		b.WriteString(w)
		spaced = latin
		if k > 2 && k < n-2 && g.rnd.IntN(9) == 0 {
			if g.zh {
				b.WriteString("，")
			} else {
				b.WriteByte(',')
			}
		}
	}
	if g.zh {
		return b.String() + "。"
	}
	return b.String() + ". "
}

// inventNames makes the identifiers of a lesson.
func (g *generator) inventNames() {
	g.names = g.names[:0]
	for range inventedNames {
		a, b := g.english.word(g.rnd), g.english.word(g.rnd)
		switch g.rnd.IntN(4) {
		case 0:
			g.names = append(g.names, a+"_"+b)
		case 1:
			g.names = append(g.names, fmt.Sprintf("%s_%d", a, g.rnd.IntN(10_000)))
		default:
			g.names = append(g.names, a+upperFirst(b))
		}
	}
}

func (g *generator) name() string { return g.names[g.rnd.IntN(len(g.names))] }

// upperFirst makes the first letter a capital if it is an English one.
func upperFirst(s string) string {
	if s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}
