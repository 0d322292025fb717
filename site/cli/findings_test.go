package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/command"
)

func TestFindingsOfOneKindAreSummedUp(t *testing.T) {
	var list []finding
	for i := range 40 {
		list = append(list, finding{kind: "alt", place: fmt.Sprintf("a.md:%d", i), text: "an image has no alt text", advice: "write it between the brackets"})
	}
	list = append(list,
		finding{kind: "tag", place: "b.md:1", text: "the tag <Listing> was dropped", lost: true},
		finding{kind: "html", place: "b.md:2", text: "HTML is shown as text", detail: "    2 | a <b>"})
	var out bytes.Buffer
	if n := printFindings(&out, "note: ", list); n != 37 {
		t.Errorf("%d are left out", n)
	}
	const want = `note: b.md:1: the tag <Listing> was dropped
note: 40 × an image has no alt text; write it between the brackets
    first: a.md:0, a.md:1, a.md:2
note: b.md:2: HTML is shown as text
    2 | a <b>
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
	file := filepath.Join(t.TempDir(), "list")
	if err := writeFindings(file, list); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(file); err != nil || strings.Count(string(data), "no alt text") != 40 || !strings.Contains(string(data), "<Listing>") {
		t.Errorf("%v\n%s", err, data)
	}
}

func TestAReportOfManyKindsFitsOnAScreen(t *testing.T) {
	var list []finding
	for i := range 500 {
		list = append(list, finding{kind: fmt.Sprint(i), place: "a.md", text: fmt.Sprint("kind ", i)})
	}
	var out bytes.Buffer
	if n := printFindings(&out, "", list); n != 480 || strings.Count(out.String(), "\n") != 21 {
		t.Errorf("%d are left out of\n%s", n, out.String())
	}
}

func TestMessagesOfOneFormatAreOneKind(t *testing.T) {
	same := [][2]string{
		{`the id "a" is used twice`, `the id "b\"c" is used twice`},
		{"no page shows this image; show it with ![what it shows](a.png), or delete it", "no page shows this image; show it with ![what it shows](x-1.svg), or delete it"},
		{"3 code blocks here, but 1 in content/en/m/l.md:4; is the translation out of date?", "2 code blocks here, but 5 in content/en/x.md:14; is the translation out of date?"},
		{"write `a`", "write `b c`"},
	}
	for _, pair := range same {
		if a, b := kindOf(pair[0]), kindOf(pair[1]); a != b {
			t.Errorf("%q and %q", a, b)
		}
	}
	if a, b := kindOf("this module has no lessons"), kindOf("no text includes this file"); a == b {
		t.Errorf("both are %q", a)
	}
}

// TestCheckSumsUpWarnings runs the command on a course in which forty images are shown nowhere.
func TestCheckSumsUpWarnings(t *testing.T) {
	dir := t.TempDir()
	content := filepath.Join(dir, "content")
	write := func(name, text string) {
		t.Helper()
		if err := writeNew(filepath.Join(content, name), text); err != nil {
			t.Fatal(err)
		}
	}
	write("en/_index.md", "+++\ntitle = \"C\"\n+++\n")
	write("en/m/_index.md", "+++\ntitle = \"M\"\n+++\n")
	write("en/m/l.md", "+++\ntitle = \"L\"\n+++\nText\n")
	for i := range 40 {
		write(fmt.Sprintf("en/m/p%d.svg", i), `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`)
	}
	run := func(args ...string) string {
		t.Helper()
		var stderr bytes.Buffer
		if code := Program().Run(context.Background(), &command.Env{Stdout: io.Discard, Stderr: &stderr}, append([]string{"check", "-content", content}, args...)); code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr.String())
		}
		return stderr.String()
	}
	if got := run(); strings.Count(got, "\n") != 3 || !strings.Contains(got, "warning: 40 × no page shows this image") || !strings.Contains(got, "-warnings FILE") {
		t.Errorf("without a file:\n%s", got)
	}
	file := filepath.Join(dir, "warnings.txt")
	run("-warnings", file)
	if data, err := os.ReadFile(file); err != nil || strings.Count(string(data), "no page shows this image") != 40 {
		t.Errorf("%v\n%s", err, data)
	}
}
