package search_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/search"
)

// TestFilesStaySmall makes an index of many different words.
func TestFilesStaySmall(t *testing.T) {
	const limit = 40 << 10
	x := search.New()
	for i := range 3000 {
		x.Set(strconv.Itoa(i), i, []*search.Doc{search.NewDoc(search.Section{
			URL: fmt.Sprintf("/p%d/", i), Page: fmt.Sprintf("Page %d", i), Text: fmt.Sprintf("word%d conta%din %c网", i, i*7, rune(0x4e00+i)),
		})})
	}
	seen := map[string]bool{}
	for _, f := range files(t, x) {
		if len(f.Data) > limit {
			t.Errorf("%s has %d bytes", f.Name, len(f.Data))
		}
		if seen[f.Name] {
			t.Errorf("%s is there twice", f.Name)
		}
		seen[f.Name] = true
		if !json.Valid(f.Data) {
			t.Errorf("%s is not JSON", f.Name)
		}
	}
}

func TestAnEmptyIndex(t *testing.T) {
	x := search.New()
	x.Set("gone", 0, nil)
	got := files(t, x)
	if len(got) != 2 || string(got[0].Data) != "[]" || string(got[1].Data) != `{"docs":0,"han":0,"perFile":8,"prefixes":[]}` {
		t.Errorf("%s", got)
	}
	for _, name := range []string{"d-0.json", "h-0.json", "t-a.json", "t-.json", "index", "d--1.json", "d-00.json", ""} {
		if _, ok := x.File(name); ok {
			t.Errorf("there is a %q", name)
		}
	}
}

// TestWordsAreListedByHowCommonTheyAre: the browser takes the first of those that are as near to what was typed.
func TestWordsAreListedByHowCommonTheyAre(t *testing.T) {
	x := search.New()
	for i, text := range []string{"docker run web2", "docker volume 容器 run", "docker ab volume"} {
		x.Set(fmt.Sprint(i), i, []*search.Doc{search.NewDoc(search.Section{Text: text})})
	}
	if data, ok := x.File("words.json"); !ok || string(data) != `["docker","run","volum"]` {
		t.Errorf("%s", data)
	}
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "%s ", strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(1_000_000+i)))
	}
	x.Set("many", 9, []*search.Doc{search.NewDoc(search.Section{Text: many.String()})})
	if data, _ := x.File("words.json"); len(data) > 32<<10 || !json.Valid(data) {
		t.Errorf("%d bytes: %.60s", len(data), data)
	}
}

// TestALargeIndexHasFewerFiles reads the sections of an index that is large enough for that.
func TestALargeIndexHasFewerFiles(t *testing.T) {
	x := search.New()
	const n = 21_000
	for i := range n / 3 {
		var docs []*search.Doc
		for s := range 3 {
			docs = append(docs, search.NewDoc(search.Section{URL: strconv.Itoa(i*3 + s), Text: "word"}))
		}
		x.Set(strconv.Itoa(i), i, docs)
	}
	var index struct{ PerFile, Docs int }
	data, _ := x.File("index.json")
	if err := json.Unmarshal(data, &index); err != nil || index.PerFile != 16 || index.Docs != n {
		t.Fatalf("%s: %v", data, err)
	}
	for i := range n {
		if i%1000 != 0 {
			continue
		}
		var rows [][]string
		data, _ := x.File(fmt.Sprintf("d-%d.json", i/index.PerFile))
		if err := json.Unmarshal(data, &rows); err != nil || rows[i%index.PerFile][0] != strconv.Itoa(i) {
			t.Fatalf("section %d is not in %s (%v)", i, data, err)
		}
	}
}

// TestIndexHoldsWhatThePagesSay reads an index back.
func TestIndexHoldsWhatThePagesSay(t *testing.T) {
	doc := func(url, heading, text string) *search.Doc {
		return search.NewDoc(search.Section{URL: url, Anchor: heading, Page: "P " + url, Heading: heading, Text: text})
	}
	x := search.New()
	x.Set("b", 2, []*search.Doc{doc("/b/", "", "late words"), doc("/b/", "Second", "words words words words")})
	x.Set("a", 1, []*search.Doc{doc("/a/", "", "early words, éa 容器")})
	terms := readTerms(t, files(t, x))
	for term, want := range map[string]string{"word": "0 1 1.7", "late": "1", "p": "0.a 1.a", "second": "2.8", "éa": "0", "容器": "0"} {
		if terms[term] != want {
			t.Errorf("%q stands in %q, want %q", term, terms[term], want)
		}
	}
	if data, _ := x.File("d-0.json"); string(data) != `[["/a/","","P /a/","","early words, éa 容器"],["/b/","","P /b/","","late words"],["/b/","Second","P /b/","Second","words words words words"]]` {
		t.Errorf("%s", data)
	}
	x.Move("a", 3)
	if data, _ := x.File("t-w.json"); string(data) != `{"word":"0 1.7 1"}` {
		t.Errorf("after the move: %s", data)
	}
}

// TestAnEditedIndexIsTheSameAsANewOne makes random edits and compares with an index made of what is there then.
func TestAnEditedIndexIsTheSameAsANewOne(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	words := strings.Fields("container image layer network volume engine the of and to in is with for 容器网络 镜像 数据卷 éclair eau Ωmega ab abc abcd abcde abcdef abcdefg abcdefgh")
	page := func(name string) []*search.Doc {
		var docs []*search.Doc
		for s := range rnd.IntN(5) {
			var text []string
			for range rnd.IntN(200) {
				if rnd.IntN(4) == 0 {
					text = append(text, fmt.Sprintf("web%d", rnd.IntN(3000)))
				}
				text = append(text, words[rnd.IntN(len(words))])
			}
			docs = append(docs, search.NewDoc(search.Section{URL: name, Page: name, Heading: strings.Repeat("H ", s), Text: strings.Join(text, " ")}))
		}
		return docs
	}
	x := search.New()
	docs, order := map[string][]*search.Doc{}, map[string]int{}
	for step := range 600 {
		name := fmt.Sprintf("p%d", rnd.IntN(150))
		switch rnd.IntN(8) {
		case 0:
			docs[name] = nil
			x.Set(name, 0, nil)
		case 1:
			order[name] = rnd.IntN(100)
			x.Move(name, order[name])
		default:
			docs[name], order[name] = page(name), rnd.IntN(100)
			x.Set(name, order[name], docs[name])
		}
		if step%60 != 0 {
			if rnd.IntN(3) == 0 {
				x.File("index.json") // what follows begins with all in order
			}
			continue
		}
		fresh := search.New()
		for _, name := range slices.Sorted(maps.Keys(docs)) {
			fresh.Set(name, order[name], docs[name])
		}
		got, want := files(t, x), files(t, fresh)
		if len(got) != len(want) {
			t.Fatalf("step %d: %d files instead of %d", step, len(got), len(want))
		}
		for i, f := range want {
			if got[i].Name != f.Name || !bytes.Equal(got[i].Data, f.Data) {
				t.Fatalf("step %d: %s is\n%s\nwant %s\n%s", step, got[i].Name, got[i].Data, f.Name, f.Data)
			}
			if data, ok := x.File(f.Name); !ok || !bytes.Equal(data, f.Data) {
				t.Fatalf("step %d: %s alone is %s", step, f.Name, data)
			}
		}
	}
}

func files(t testing.TB, x *search.Index) []search.File {
	t.Helper()
	out, err := x.Files()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func readTerms(t *testing.T, files []search.File) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range files {
		if f.Name[0] != 't' && f.Name[0] != 'h' {
			continue
		}
		if err := json.Unmarshal(f.Data, &out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// lessons are the sections of n lessons.
func lessons(n int) [][]search.Section {
	rnd := rand.New(rand.NewPCG(1, 2))
	common := strings.Fields("the of and to in is that with for on as by this when then which from not has container image network volume run")
	var rare []string
	for range 20_000 {
		w := make([]byte, 4+rnd.IntN(8))
		for i := range w {
			w[i] = byte('a' + rnd.IntN(26))
		}
		rare = append(rare, string(w))
	}
	zipf := rand.NewZipf(rnd, 1.1, 10, uint64(len(rare)-1))
	var out [][]search.Section
	for i := range n {
		var page []search.Section
		for s := range 6 {
			var b strings.Builder
			for range 110 {
				b.WriteString(common[rnd.IntN(len(common))] + " " + rare[zipf.Uint64()] + " ")
			}
			heading := ""
			if s > 0 {
				heading = "Section " + common[rnd.IntN(len(common))]
			}
			page = append(page, search.Section{URL: fmt.Sprintf("/module/lesson-%d/", i), Anchor: heading, Page: fmt.Sprintf("Lesson %d", i), Heading: heading, Text: b.String()})
		}
		out = append(out, page)
	}
	return out
}

func BenchmarkNewDoc(b *testing.B) {
	s := lessons(1)[0][1]
	b.SetBytes(int64(len(s.Text)))
	b.ReportAllocs()
	for b.Loop() {
		search.NewDoc(s)
	}
}

func BenchmarkIndex(b *testing.B) {
	const n = 10_000
	sections := lessons(n)
	ready := func(page int, more ...string) []*search.Doc {
		var out []*search.Doc
		for i, s := range sections[page] {
			if i == 0 {
				s.Text += strings.Join(more, " ")
			}
			out = append(out, search.NewDoc(s))
		}
		return out
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	x := search.New()
	for i := range sections {
		x.Set(fmt.Sprint(i), i, ready(i))
	}
	mib := float64(heap()-before) / (1 << 20)
	i := 0
	b.Run("Set", func(b *testing.B) {
		for b.Loop() {
			i++
			x.Set(fmt.Sprint(i%n), i%n, ready(i%n, "edit", strconv.Itoa(i)))
		}
		b.ReportMetric(mib, "MiB")
	})
	terms, largest := "", 0
	for _, f := range files(b, x) {
		if f.Name[0] == 't' && len(f.Data) > largest {
			terms, largest = f.Name, len(f.Data)
		}
	}
	for _, name := range []string{"index.json", terms, "d-100.json"} {
		b.Run("SetAndFile/"+name, func(b *testing.B) {
			for b.Loop() {
				i++
				x.Set(fmt.Sprint(i%n), i%n, ready(i%n, "edit", strconv.Itoa(i)))
				if _, ok := x.File(name); !ok {
					b.Fatal("missing")
				}
			}
		})
	}
	b.Run("Files", func(b *testing.B) {
		size := 0
		for b.Loop() {
			size = 0
			for _, f := range files(b, x) {
				size += len(f.Data)
			}
		}
		b.ReportMetric(float64(size)/(1<<20), "MiB")
	})
	runtime.KeepAlive(sections)
}
