package corpus_test

import (
	"crypto/sha256"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/labd-dev/labd/site/corpus"
)

func files(content fs.FS) (names []string, texts map[string]string) {
	texts = map[string]string{}
	_ = fs.WalkDir(content, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			data, _ := fs.ReadFile(content, name)
			names, texts[name] = append(names, name), string(data)
		}
		return err
	})
	return names, texts
}

func TestSameBytesEveryTime(t *testing.T) {
	digest := func() (sum [32]byte) {
		h := sha256.New()
		names, texts := files(corpus.New(300))
		for _, name := range names {
			h.Write([]byte(name + "\x00" + texts[name]))
		}
		return [32]byte(h.Sum(nil))
	}
	if first, second := digest(), digest(); first != second {
		t.Error("two corpora of the same size differ")
	}
}

// TestShape checks the properties that the package comment promises.
func TestShape(t *testing.T) {
	const n = 1000
	names, texts := files(corpus.New(n))
	words := map[string]int{}
	total, chinese, lessons, code, bytes := 0, 0, 0, 0, 0
	link := regexp.MustCompile(`\]\(([^)]+)\)`)
	block := regexp.MustCompile("(?s)```[a-z]+\n.*?```")
	otherModule, otherCourse := 0, 0
	inCourses := map[string]int{}
	for _, name := range names {
		if path.Base(name) == "_index.md" {
			continue
		}
		text := texts[name]
		lessons++
		if len(text) < 4000 || len(text) > 14_000 {
			t.Errorf("%s has %d bytes", name, len(text))
		}
		bytes += len(text)
		for _, b := range block.FindAllString(text, -1) {
			code += len(b)
		}
		if strings.Count(text, "。") > 10 {
			chinese++
		}
		course := strings.Split(name, "/")[1]
		if strings.HasPrefix(course, "module") {
			course = ""
		}
		inCourses[course]++
		for _, w := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) || r > 0x7f }) {
			words[strings.ToLower(w)]++
			total++
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := path.Join(path.Dir(name), m[1])
			if texts[target] == "" {
				t.Fatalf("%s links to %s, which is not there", name, target)
			}
			if path.Dir(target) != path.Dir(name) {
				otherModule++
			}
			if path.Dir(path.Dir(target)) != path.Dir(path.Dir(name)) {
				otherCourse++
			}
		}
	}
	if lessons != n || chinese != n/4 || len(inCourses) != 4 || inCourses[""] != n/4 {
		t.Errorf("%d lessons, %d in Chinese, courses %v", lessons, chinese, inCourses)
	}
	if share := float64(code) / float64(bytes); share < 0.25 || share > 0.42 {
		t.Errorf("%.2f of the text is code", share)
	}
	if otherModule < n || otherCourse < n/4 {
		t.Errorf("%d links to other modules, %d to other courses", otherModule, otherCourse)
	}
	if len(words) < 25_000 {
		t.Errorf("%d different words", len(words))
	}
	// Zipf's law: rank times frequency stays in the same order of magnitude.
	var counts []int
	for _, c := range words {
		counts = append(counts, c)
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	for _, rank := range []int{10, 100, 1000, 10_000} {
		if share := float64(rank*counts[rank-1]) / float64(total); share < 0.03 || share > 0.3 {
			t.Errorf("rank %d: %d of %d words", rank, counts[rank-1], total)
		}
	}
	t.Logf("%d words, %d different, %d bytes, %.2f code", total, len(words), bytes, float64(code)/float64(bytes))
}
