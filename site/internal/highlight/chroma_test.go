//go:build !race

package highlight

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/chroma/v2/lexers"
)

// compare checks that a text becomes the same tokens here and in chroma.
func compare(t *testing.T, h *Highlighter, lang, name, code string) (checked bool) {
	t.Helper()
	l := h.language(lexerName(lang))
	if l.fast == nil {
		return false
	}
	got, err := (&run{lexers: h.fast}).tokens(l.fast, code)
	if err != nil {
		t.Logf("%s: %s: %v", name, lang, err)
		return false
	}
	want, err := tokenise(l.slow, code)
	if err != nil {
		t.Logf("%s: %s: chroma: %v", name, lang, err)
		return false
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("%s: %s: token %d of %d is %.80q, chroma's %d have %.80q", name, lang, i+1, len(got), got[min(i, len(got)):min(i+1, len(got))],
				len(want), want[min(i, len(want)):min(i+1, len(want))])
			break
		}
	}
	return true
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)[^\n]*\n(.*?)^```")

// TestOurLessonsAreColouredAsByChroma compares on every block of the course.
func TestOurLessonsAreColouredAsByChroma(t *testing.T) {
	h, n := New(), 0
	for _, root := range []string{"../../../content", "../../../labs"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(file) != ".md" {
				return err
			}
			data, err := os.ReadFile(file)
			for _, m := range fence.FindAllStringSubmatch(string(data), -1) {
				if compare(t, h, m[1], file, m[2]) {
					n++
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 50 {
		t.Errorf("only %d blocks were compared", n)
	}
	for lang, code := range samples {
		if !compare(t, h, lang, "sample", code) {
			t.Errorf("%s is left to chroma", lang)
		}
	}
}

// TestChromasExamplesAreColouredAsByChroma compares on the texts that chroma tests its languages with.
func TestChromasExamplesAreColouredAsByChroma(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds, most of them chroma's")
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/alecthomas/chroma/v2").Output()
	if err != nil {
		t.Skipf("where chroma's source is: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "lexers", "testdata")
	h, n, files := New(), 0, 0
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".actual" {
			return err
		}
		data, err := os.ReadFile(file)
		// <language>.actual, <language>.<case>.actual or <language>/<case>.actual
		name, _ := filepath.Rel(dir, file)
		name = strings.TrimSuffix(name, ".actual")
		lang := name
		for lexers.Get(lang) == nil && strings.ContainsAny(lang, "./") {
			lang = lang[:strings.LastIndexAny(lang, "./")]
		}
		files++
		if compare(t, h, lang, name, string(data)) {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d files compared", n, files)
	if n < 250 {
		t.Errorf("only %d of %d files were compared", n, files)
	}
}

// TestDamagedCodeIsColouredAsByChroma compares on pieces of samples put together at random.
func TestDamagedCodeIsColouredAsByChroma(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	h := New()
	for lang, code := range samples {
		for range 25 {
			compare(t, h, lang, "damaged", damage(rnd, code))
		}
	}
}

func damage(rnd *rand.Rand, code string) string {
	const extra = "\"'`\\${}[]()<>\n\t #/*=-+é容器\x00\xff\r0aZ_"
	for range 1 + rnd.IntN(6) {
		from := rnd.IntN(len(code) + 1)
		to := min(len(code), from+rnd.IntN(12))
		switch at := rnd.IntN(len(extra)); rnd.IntN(3) {
		case 0:
			code = code[:from] + code[to:]
		case 1:
			code = code[:from] + extra[at:min(len(extra), at+1+rnd.IntN(3))] + code[from:]
		default:
			code = code[:to] + code[from:to] + code[to:]
		}
	}
	return code
}

// FuzzColours compares on any text.
func FuzzColours(f *testing.F) {
	langs := []string{
		"bash", "yaml", "python", "dockerfile", "go", "javascript", "json", "html", "sql", "nginx", "ini", "toml", "typescript", "css",
		"rust", "java", "c", "make", "diff", "xml", "hcl", "ruby", "powershell", "postgres",
	}
	for i, lang := range langs {
		f.Add(uint8(i), samples[lang])
	}
	h := New()
	f.Fuzz(func(t *testing.T, lang uint8, code string) {
		if len(code) > 2000 { // chroma has a time limit, we have one of steps
			return
		}
		compare(t, h, langs[int(lang)%len(langs)], "fuzz", code)
	})
}

// TestWorkIsBounded colours texts that patterns take long for.
func TestWorkIsBounded(t *testing.T) {
	h := New()
	for _, lang := range []string{"bash", "yaml", "python", "dockerfile", "go", "javascript", "html", "sql", "toml"} {
		for name, code := range map[string]string{
			"open quote":    "x = \"" + strings.Repeat("a\\\"", 30_000),
			"open brackets": strings.Repeat("${{[(<", 20_000),
			"spaces":        strings.Repeat(" ", 100_000) + "x",
			"lines":         strings.Repeat("a:\n", 40_000),
			"one line":      strings.Repeat("a b ", 40_000),
		} {
			if got := textOf(html(h, Block{Lang: lang, Code: []byte(code)})); got != strings.TrimRight(code, "\n") {
				t.Errorf("%s, %s: text is lost", lang, name)
			}
		}
	}
}

func html(h *Highlighter, b Block) string { return string(h.Append(nil, b)) }

func textOf(html string) string {
	text := regexp.MustCompile("<[^>]*>").ReplaceAllString(html, "")
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#34;", `"`, "&#39;", "'", "&amp;", "&").Replace(text)
}

// shown is the text that the HTML of code has.
func shown(code string) string {
	if strings.HasSuffix(code, "\n\n") {
		return code
	}
	return strings.TrimSuffix(code, "\n")
}

func TestBlankLinesAtTheEndAreKept(t *testing.T) {
	h := New()
	for _, c := range []struct {
		block Block
		want  string
	}{
		{Block{Code: []byte("")}, ""},
		{Block{Code: []byte("\n")}, ""},
		{Block{Code: []byte("a")}, "a"},
		{Block{Code: []byte("a\n")}, "a"},
		{Block{Code: []byte("a\n\n\n")}, "a\n\n\n"},
		{Block{Code: []byte("\n\n")}, "\n\n"},
		{Block{Code: []byte("a\n\n"), Numbers: 9}, `<span class="line"><span class="number" data-n="9"></span>a</span>` + "\n" +
			`<span class="line"><span class="number" data-n="10"></span></span>` + "\n"},
		{Block{Code: []byte("a\n\n"), Marked: []Range{{2, 2}}}, `<span class="line">a</span>` + "\n" + `<span class="line marked"></span>` + "\n"},
		{Block{Lang: "console", Code: []byte("$ a\n\n")}, `<span class="prompt">$ </span><span class="command"><span class="nf">a</span></span>` + "\n\n"},
	} {
		if got := html(h, c.block); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.block.Code, got, c.want)
		}
	}
}

func TestTextIsNeverLost(t *testing.T) {
	h := New()
	rnd := rand.New(rand.NewPCG(7, 8))
	for lang, code := range samples {
		for range 50 {
			damaged := strings.NewReplacer("\r", "", "\xff", "").Replace(damage(rnd, code))
			if strings.ToValidUTF8(damaged, "") != damaged {
				continue
			}
			if got := textOf(html(h, Block{Lang: lang, Code: []byte(damaged)})); got != shown(damaged) {
				t.Errorf("%s: %q became %q", lang, damaged, got)
			}
		}
	}
}

func TestLanguagesHaveManyNames(t *testing.T) {
	h := New()
	for name, want := range map[string]string{
		"YAML": "yaml", "Dockerfile": "dockerfile", "C++": "c++", "rust,ignore": "rust", "rust,ignore,no_run": "rust",
		"Terminal": "bash", "shell-session": "bash", "console": "console", "Console": "console", "node": "javascript",
		"docker-compose": "yaml", "none": "text", "ASCII": "text", "jsonlines": "json", "Hive": "sql", "": "", ",": ",", "Xyz": "xyz",
	} {
		if got := Language(name, []byte("ls\n")); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
		if want != "" && want != "," && want != "xyz" && !h.Known(want) {
			t.Errorf("%q is unknown", want)
		}
	}
	for _, name := range []string{"terminal", "Terminal", "shell-session", "bash-session"} {
		if got := Language(name, []byte("# as root\n$ ls\na b\n")); got != "console" {
			t.Errorf("%q with a prompt: got %q", name, got)
		}
	}
}

// Every name that Language translates must lead to a language that exists.
func TestNamesOfLanguagesLeadSomewhere(t *testing.T) {
	src, err := os.ReadFile("names.go")
	if err != nil {
		t.Fatal(err)
	}
	h, n := New(), 0
	for _, m := range regexp.MustCompile(`return "([^"]+)"`).FindAllStringSubmatch(string(src), -1) {
		if n++; !h.Known(m[1]) {
			t.Errorf("there is no language %q", m[1])
		}
	}
	if n < 15 {
		t.Errorf("only %d names were found", n)
	}
}

func TestUnknownLanguages(t *testing.T) {
	h := New()
	if h.Known("pyhton") || !h.Known("console") || !h.Known("text") || !h.Known("go") {
		t.Error("known languages aren't told from unknown ones")
	}
	for _, lang := range Common() {
		if !h.Known(lang) {
			t.Errorf("%s is suggested but unknown", lang)
		}
	}
	if got := html(h, Block{Lang: "pyhton", Code: []byte("a < b\n")}); got != "a &lt; b" {
		t.Errorf("%q", got)
	}
	if got := html(h, Block{Lang: "markdown", Code: []byte("# a\n\n```go\nvar x\n```\n")}); !strings.Contains(got, "gh") {
		t.Errorf("%q", got) // by chroma itself
	}
}
