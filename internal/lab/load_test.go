package lab_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/labd-dev/labd/internal/lab"
	"github.com/labd-dev/labd/internal/source"
)

// front is valid front matter of 13 lines.
const front = `+++
title = "T"
summary = "S"
level = "beginner"
minutes = 5

[stack]
images = ["redis:8", "debian"]
nodes = ["node1", "node2"]

[variables]
code = 6
+++
`

// step is a valid step.
const step = "## One {#one}\nDo it.\n```check\n[[image]]\nname = \"x\"\nhint = \"H\"\n```\n```solution\ntrue\n```\n"

func labs(files map[string]string) fs.FS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// wantMistakes fails unless err consists of exactly these mistakes, each "line[:col]: part of the
// message".
func wantMistakes(t *testing.T, err error, want ...string) {
	t.Helper()
	var got []*source.Error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			var se *source.Error
			if !errors.As(e, &se) {
				t.Fatalf("not an author's mistake: %v", e)
			}
			got = append(got, se)
		}
	} else if err != nil {
		t.Fatalf("not a list of mistakes: %v", err)
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("missing mistake: %s", want[i])
		case i >= len(want):
			t.Errorf("unexpected mistake: %v", got[i])
		default:
			place, msg, _ := strings.Cut(want[i], ": ")
			at := fmt.Sprint(got[i].Line)
			if strings.Contains(place, ":") {
				at += fmt.Sprintf(":%d", got[i].Col)
			}
			if at != place || !strings.Contains(got[i].Msg, msg) {
				t.Errorf("mistake %d: got %v\nwant %s", i, got[i], want[i])
			}
		}
	}
}

func TestLoadReportsMistakesWithPosition(t *testing.T) {
	check := func(toml string) string {
		return front + "## One {#one}\n```check\n" + toml + "\n```\n```solution\ntrue\n```\n"
	}
	for _, tt := range []struct {
		name string
		text string
		want []string
	}{
		{"nothing", "", []string{"1: a lab begins with front matter"}},
		{"front matter without end", "+++\ntitle = \"x\"\n", []string{"1: the front matter is not closed: add a second line of +++"}},
		{"front matter that is not TOML", "+++\ntitle = \n+++\n" + step, []string{"2:8: not TOML"}},
		{
			"unknown and missing keys", "+++\ntittle = \"T\"\nsummary = \"S\"\nlevel = \"hard\"\nminutes = \"5\"\n[stack]\nimages = []\nnode = 1\n+++\n" + step,
			[]string{
				"2: title is missing", "2:1: unknown key \"tittle\" (did you mean \"title\"?)", "4:1: level must be one of",
				"5:1: minutes must be a whole number, not a string", "8:1: unknown key \"node\" (did you mean \"nodes\"?)",
			},
		},
		{"number out of range", strings.Replace(front, "minutes = 5", "minutes = 5000", 1) + step, []string{"5:1: minutes must be from 1 to 600"}},
		{"image name", strings.Replace(front, `"debian"`, `"De bian"`, 1) + step, []string{`8:22: "De bian" is not an image name: write repository:tag`}},
		{"node name twice", strings.Replace(front, `"node2"`, `"node1"`, 1) + step, []string{`9:19: two nodes have the name "node1"`}},
		{"variable with a reserved name", strings.Replace(front, "code =", "end =", 1) + step, []string{`12:1: "end" cannot be the name of a variable`}},
		{"limits", strings.Replace(front, "[variables]", "[stack.limits]\nmemory = 5\ndisk = \"1KiB\"\ncpus = 0\npid = 1\n[variables]", 1) + step, []string{
			"12:1: memory must be a size with its unit like \"768MiB\", not a whole number", "13:1: disk must be from 64MiB to 256GiB, not \"1KiB\"", "14:1: cpus must be from", "15:1: unknown key \"pid\" (did you mean \"pids\"?)",
		}},
		{"isolation", strings.Replace(front, "[variables]", "isolation = \"runc\"\n[variables]", 1) + step, []string{"11:1: isolation can only be \"full\""}},
		{"no steps", front + "Text.\n", []string{"15: a lab needs at least one step"}},
		{"two steps with one anchor", front + step + step, []string{`24: two steps have the anchor "one": the first is on line 14`}},
		{"no anchor", front + strings.Replace(step, " {#one}", "", 1), []string{"14: the heading of a step ends with an anchor, for example {#one}"}},
		{"bad anchor", front + strings.Replace(step, "{#one}", "{#One!}", 1), []string{`14: the anchor "One!" may have at most`}},
		{"heading of level one", front + "# Title\n" + step, []string{"14: the title of a lab is in its front matter"}},
		{"no check, no solution", front + "## One {#one}\nText.\n", []string{"14: no check block", "14: no solution block"}},
		{"empty check", check("# nothing"), []string{"15: this check has no probes"}},
		{"two checks", front + step + "```check\n[[image]]\nname = \"y\"\n```\n", []string{"24: a step has exactly one check: the first is on line 16"}},
		{"check that is not TOML", check("[[image]\nname = 1"), []string{"16:8: not TOML"}},
		{"block without end", front + step + "```bash\nfoo\n", []string{"24: this code block is not closed"}},
		{"check before the first step", front + "```hint\nx\n```\n" + step, []string{"14: a hint block belongs to a step"}},
		{"unknown attribute", front + step + "```bash {rum}\nfoo\n```\n", []string{`24: unknown attribute "rum" (did you mean "run"?)`}},
		{"attribute of another kind of block", front + step + "```bash {#w}\nfoo\n```\n```bash {node=node2}\nfoo\n```\n```hint {node=node2}\nfoo\n```\n```setup {run}\nfoo\n```\n", []string{
			"24: only wrong and undo blocks can have an {#id}", "27: write {run=node2} to run this block there", "30: a hint block cannot have node",
			"33: a setup block is not part of the prose and cannot have run",
		}},
		{"attributes that can't be read", front + step + "```bash title\nfoo\n```\n```bash {copy=1}\nfoo\n```\n```wrong {#}\nfoo\n```\n", []string{
			"24: write what follows the language in braces: {title}", "27: copy has no value: {copy}", "30: write the id of a wrong state: wrong {#id}",
		}},
		{"text of another file", front + step + "```bash {run file=\"files/a.sh\"}\n```\n", []string{"24: a block that shows a file cannot be run or saved"}},
		{"more than a click can type", front + step + "```bash {run}\n" + strings.Repeat("echo\n", 7000) + "```\n", []string{"24: this block has 34999 bytes; a click can type at most 31744"}},
		{"unknown node in a block", front + step + "```bash {run=node3}\nfoo\n```\n", []string{`24: no node "node3" (did you mean "node1"?)`}},
		{"unknown node in a script", front + step + "```setup {node=web}\nfoo\n```\n", []string{`24: no node "web"; known: node1, node2`}},
		{"path outside the home directory", front + step + "```yaml {save=\"../x\"}\nfoo\n```\n", []string{"24: save=\"../x\" must be a path below the home directory"}},
		{"unknown variable", front + step + "Say {{kode}} and {{Names}} and {{end}} and {{other_thing}}.\n", []string{
			`24:5: no variable "kode" (did you mean "code"?)`, `24:44: no variable "other_thing": declare it`,
		}},
		{"unknown kind of probe", check("[[contaner]]\nname = \"x\""), []string{`16:1: unknown key "contaner" (did you mean "container"?)`}},
		{"unknown key of a probe", check("[[image]]\nname = \"x\"\n[[container]]\nname = \"web\"\nruning = true"), []string{`20:1: unknown key "runing" (did you mean "running"?)`}},
		{"wrong types", check("[[container]]\nname = 5\nrunning = \"yes\"\nexcept = [1]\ncount = 1.5\nlabel = false\n[[http]]\nurl = [\"x\"]"), []string{
			"17:1: name must be a string, not a whole number", "18:1: running must be true or false, not a string",
			"19:11: except must be a list of strings, but holds a whole number", "19:1: except cannot be combined", "20:1: count must be a whole number, not a number",
			"21:1: label must be a list of strings such as [\"one\", \"two\"], not true or false", "23:1: url must be a string, not a list",
		}},
		{"a table instead of a list", check("[image]\nname = \"x\""), []string{"16:1: image is a list of tables: write [[image]]"}},
		{"keys of a second probe have their own places", check("[[image]]\nname = \"x\"\n\n[[image]]\nnam = \"y\""), []string{"19:1: name is missing", `20:1: unknown key "nam"`}},
		{"places after strings and lists over several lines", check("[[shell]]\nscript = \"\"\"\n[[image]]\nx = 1\n\"\"\"\n[[container]]\nlabel = [ # ]\n \"a\",\n]\nx = 1"), []string{`25:1: unknown key "x"`}},
		{"values that cannot work", check("[[container]]\nname = \"x\"\npublishes = \"80\"\nstatus = \"up\"\nenv = \"X\"\n[[http]]\nurl = \"https://x/\"\nmethod = \"POST\"\nmatches = \"(\"\n[[tcp]]\naddress = \"6379\"\n[[file]]\npath = \"a/b\"\n[[image]]\nname = \"\"\ntimeout = \"1h\""), []string{
			"18:1: publishes must be host:container", "19:1: status must be one of", "20:1: env must be KEY=value", "22:1: url must begin with http://",
			"23:1: a check must not change anything", "24:1: error parsing regexp", "26:1: address must be host:port", "28:1: path must be absolute", "30:1: name is empty", "31:1: timeout must be a duration",
		}},
		{"probe that says nothing", check("[[container]]\nrunning = true\n[[event]]\naction = \"die\""), []string{"16:1: add name, image or label", "18:1: add container or image"}},
		{"contradictions", check("[[container]]\nname = \"x\"\nexists = false\ncount = 1\nremember = \"x\"\n[[tcp]]\naddress = \"h:1\"\nrefused = true\nexpect = \"x\"\n[[file]]\npath = \"/x\"\nexists = false\nequals = \"y\""), []string{
			"19:1: count and exists cannot be combined", "20:1: remember needs a probe", "23:1: refused cannot be combined", "27:1: exists = false cannot be combined",
		}},
		{"wrong state", check("[[wrong]]\nid = \"A b\"\n[[wrong]]\nid = \"x\"\nhint = \"\"\n[[wrong.image]]\nname = \"x\"\nhint = \"no\"\n[[image]]\nname = \"x\"\nid = \"x\""), []string{
			"16:1: hint is missing", "16:1: a wrong state needs at least one probe", "17:1: the id \"A b\" may have at most", "20:1: hint is empty",
			"21: a probe of a wrong state has no id and no hint", "24: the id \"x\" is already used on line 18",
		}},
		{"fact that nobody remembers", check("[[container]]\nname = \"x\"\nremember = \"a\"\n[[container]]\nname = \"x\"\nsame_as = \"a\""), []string{`19: no earlier step remembers "a"`}},
		{"scripts of unknown wrong states", front + step + "```wrong {#foo}\nx\n```\n```undo\nx\n```\n", []string{`24: the check has no wrong state "foo": add a [[wrong]] table with this id`, "27: name a wrong state"}},
		{"messages in lab.md", front + step + "```messages\nx = \"y\"\n```\n", []string{"24: messages blocks are for translations"}},
		{"not UTF-8", front + "\xff\n" + step, []string{"14: this line is not valid UTF-8"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := lab.Load(labs(map[string]string{"a/lab.md": tt.text}), "")
			wantMistakes(t, err, tt.want...)
		})
	}
}

func TestMistakesOfAllFilesAreReportedAtOnce(t *testing.T) {
	_, err := lab.Load(labs(map[string]string{
		"a/lab.md":     front + step + "{{x}}\n",
		"a/lab.zh.md":  "+++\ntitle = \"T\"\n+++\n## One {#one}\n```messages\nimage-1 = \"H\"\n```\n",
		"b/lab.md":     strings.Replace(front, "[stack]", "prerequisites = [\"aa\"]\n[stack]", 1) + step,
		"c/readme.txt": "",
		"D/lab.md":     front + step,
	}), "")

	for _, want := range []string{
		"a/lab.md:24:1: no variable \"x\"", "   24 | {{x}}", "a/lab.zh.md:2: summary is missing",
		"b/lab.md:7:18: the prerequisite \"aa\" is not a lab", "c/lab.md: this file is missing", "D: the directory name \"D\"",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestLoadReturnsValidLabsBesidesMistakes(t *testing.T) {
	got, err := lab.Load(labs(map[string]string{"good/lab.md": front + step, "bad/lab.md": front, "readme.md": "x", ".git/x": "y"}), "")
	if err == nil || len(got) != 1 || got[0].ID != "good" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestLoadReadsALab(t *testing.T) {
	text := strings.Replace(front, "[variables]", "internet = true\nisolation = \"full\"\n[stack.limits]\nmemory = \"512MiB\"\ndisk = \"2GiB\"\ncpus = 1.5\npids = 300\n[variables]", 1) +
		"Intro.\n\n## One {#one}\nText.\n```hint\nSee `x`.\n```\n```bash {run=node2}\nls\n```\n" +
		"```check\n[[wrong]]\nid = \"w\"\nhint = \"WH\"\n[[wrong.file]]\npath = \"/x\"\n[[wrong.image]]\nname = \"i\"\n\n" +
		"[[http]]\nurl = \"http://h/\"\ntimeout = \"5s\"\n[[container]]\nlabel = \"k=v\"\ncount = 2\nhint = \"CH\"\n[[http]]\nid = \"mine\"\nurl = \"http://h/2\"\n```\n" +
		"~~~\n## no heading {#x}\n```check\n~~~\n<!--\n## no heading either\n-->\n" +
		"```setup {node=node2}\necho setup\n```\n```solution\necho {{code}}\n```\n````wrong {#w}\ntouch /x\n```\n````\n```undo {#w}\nrm /x\n```\n" +
		"## Two {#two}\n```check\n[[shell]]\nscript = \"true\"\n```\n```solution\ntrue\n```\nEnd.\n"
	all, err := lab.Load(labs(map[string]string{"a/lab.md": text, "a/files/app/run.sh": "#!/bin/sh\n", "a/files/x": "y"}), "")
	if err != nil {
		t.Fatal(err)
	}
	l := all[0]
	if l.Stack.Images[1] != "debian:latest" || !l.Stack.Internet || !l.Stack.Full || l.Stack.Limits.MemoryBytes != 512<<20 || l.Stack.Limits.CPUs != 1.5 || l.Stack.Limits.PIDs != 300 {
		t.Errorf("stack: %+v", l.Stack)
	}
	if len(l.Files) != 2 || l.Files[0].Path != "app/run.sh" || l.Files[0].Mode != 0o755 || l.Files[1].Mode != 0o644 {
		t.Errorf("files: %+v", l.Files)
	}
	if got := strings.TrimSpace(string(l.Intro["en"].Source)); got != "Intro." || l.Intro["en"].Line != 21 {
		t.Errorf("intro: %q at %d", got, l.Intro["en"].Line)
	}
	one, two := l.Steps[0], l.Steps[1]
	if one.Anchor != "one" || two.Anchor != "two" || l.Step("two") != two || l.Step("x") != nil {
		t.Errorf("steps: %+v", l.Steps)
	}

	// The prose keeps its line numbers, and has no block that learners must not see.
	body := one.Body["en"]
	lines := strings.Split(string(body.Source), "\n")
	file := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" && line != "<!-- -->" && line != file[body.Line-1+i] {
			t.Errorf("line %d of the body is %q, in the file %q", i, line, file[body.Line-1+i])
		}
	}
	for _, secret := range []string{"touch /x", "rm /x", "WH", "setup", "{{code}}", "See"} {
		if strings.Contains(string(body.Source), secret) {
			t.Errorf("the body holds %q", secret)
		}
	}
	if !strings.Contains(string(body.Source), "```bash {run=node2}\nls\n```") || !strings.Contains(string(body.Source), "## no heading {#x}") {
		t.Errorf("the body lost text: %s", body.Source)
	}
	if h := one.Hints["en"][0]; string(h.Source) != "See `x`." || file[h.Line-1] != "See `x`." {
		t.Errorf("hint: %+v", h)
	}

	var order []string
	for _, p := range one.Check.Probes {
		order = append(order, p.ID)
	}
	if want := []string{"http-1", "container-1", "mine"}; !reflect.DeepEqual(order, want) {
		t.Errorf("probes in the order %v, want %v", order, want)
	}
	if p := one.Check.Probes[0]; p.Timeout != 5*time.Second || p.Hint != nil || file[p.Line-1] != "[[http]]" {
		t.Errorf("probe: %+v", p)
	}
	if p := one.Check.Probes[1]; p.Hint.For("zh") != "CH" || *p.Look.(*lab.ContainerProbe).Count != 2 || p.Look.(*lab.ContainerProbe).Labels[0] != "k=v" {
		t.Errorf("probe: %+v", p)
	}
	w := one.Check.Wrong[0]
	if w.ID != "w" || w.Hint.For("en") != "WH" || w.Probes[0].Look.Kind() != "file" || w.Probes[1].Look.Kind() != "image" {
		t.Errorf("wrong state: %+v", w)
	}
	if w.Demo[0].Source != "touch /x\n```" || w.Undo[0].Source != "rm /x" {
		t.Errorf("scripts of the wrong state: %+v %+v", w.Demo, w.Undo)
	}
	if one.Setup[0].Node != "node2" || one.Solution[0].Source != "echo {{code}}" || file[one.Solution[0].Line-1] != "echo {{code}}" {
		t.Errorf("scripts: %+v %+v", one.Setup, one.Solution)
	}
	if !strings.HasSuffix(strings.TrimSpace(string(two.Body["en"].Source)), "End.") {
		t.Errorf("text after the last block: %q", two.Body["en"].Source)
	}
}

func TestCRLFAndByteOrderMarkAreAccepted(t *testing.T) {
	text := "\ufeff" + strings.ReplaceAll(front+step, "\n", "\r\n")
	if _, err := lab.Load(labs(map[string]string{"a/lab.md": text}), ""); err != nil {
		t.Error(err)
	}
	_, err := lab.Load(labs(map[string]string{"a/lab.md": strings.Replace(text, "hint =", "hnt =", 1)}), "")
	wantMistakes(t, err, `19:1: unknown key "hnt" (did you mean "hint"?)`)
}

const (
	enText = front + "## One {#one}\nDo it.\n```bash {run}\nls # list\n```\n```hint\nH1\n```\n" +
		"```check\n[[wrong]]\nid = \"w\"\nhint = \"WH\"\n[[wrong.image]]\nname = \"x\"\n[[image]]\nname = \"y\"\nhint = \"IH\"\n[[image]]\nname = \"z\"\n```\n```solution\ntrue\n```\n" +
		stepTwo
	stepTwo = "## Two {#two}\n```check\n[[image]]\nname = \"x\"\n```\n```solution\ntrue\n```\n"
	zhText  = "+++\ntitle = \"题\"\nsummary = \"要\"\n+++\n引言\n## 一 {#one}\n做。\n```bash {run}\nls # 列出\n```\n```hint\n提示\n```\n```messages\nw = \"错\"\nimage-1 = \"像\"\n```\n## 二 {#two}\n"
)

func TestTranslationAddsText(t *testing.T) {
	all, err := lab.Load(labs(map[string]string{"a/lab.md": enText, "a/lab.zh.md": zhText}), "")
	if err != nil {
		t.Fatal(err)
	}
	l := all[0]
	s := l.Steps[0]
	for _, got := range [][2]string{
		{strings.Join(l.Langs, " "), "en zh"}, {l.Title.For("zh"), "题"}, {l.Title.For("en"), "T"}, {l.Title.For("fr"), "T"}, {l.Summary.For("zh"), "要"},
		{s.Title.For("zh"), "一"}, {s.Check.Wrong[0].Hint.For("zh"), "错"}, {s.Check.Probes[0].Hint.For("zh"), "像"}, {s.Check.Probes[0].Hint.For("en"), "IH"},
		{string(s.Hints["zh"][0].Source), "提示"}, {strings.TrimSpace(string(l.Intro["zh"].Source)), "引言"}, {s.Body["zh"].File, "a/lab.zh.md"},
	} {
		if got[0] != got[1] {
			t.Errorf("got %q, want %q", got[0], got[1])
		}
	}
}

// Translators translate titles and comments, which also moves marked lines.
func TestTranslatedBlocksMayDifferInTitlesAndComments(t *testing.T) {
	_, err := lab.Load(labs(map[string]string{
		"a/lab.md":    strings.Replace(enText, "```bash {run}", "```bash {run title=\"List\" numbers mark=1}", 1),
		"a/lab.zh.md": strings.Replace(zhText, "```bash {run}", "```bash {run title=\"列出\" 2-3 nocopy}", 1),
	}), "")

	if err != nil {
		t.Error(err)
	}
}

func TestTranslationMustMatch(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"other anchor", "{#one}", "{#eins}", `6: this step has the anchor "eins", but step 1 of lab.md has "one"`},
		{"step missing", "## 二 {#two}\n", "", `18: the step "two" of lab.md is missing`},
		{"step too many", "## 二 {#two}\n", "## 二 {#two}\n## 三 {#three}\n", `19: lab.md has only 2 steps: remove the step "three"`},
		{"hint missing", "```hint\n提示\n```\n", "", "6: this step has 0 hints, but 1 in lab.md"},
		{"message missing", "image-1 = \"像\"\n", "", `14: the hint "image-1" is not translated`},
		{"message unknown", "w = ", "ww = \"x\"\nw = ", `15:1: the check has no hint "ww"; known: image-1, w`},
		{"message of another type", "w = \"错\"", "w = 5", "15:1: w must be a string"},
		{"messages twice", "## 二", "```messages\nw = \"x\"\n```\n## 二", "18: a step has one messages block: the first is on line 14"},
		{"check", "## 二 {#two}\n", "## 二 {#two}\n```check\n```\n", "19: a translation has no check block"},
		{"solution", "## 二 {#two}\n", "## 二 {#two}\n```solution\nrm\n```\n", "19: a translation has no solution block"},
		{"other key", "summary", "minutes = 5\nsummary", "3:1: a translation has only title and summary"},
		{"other command", "ls # 列出", "rm # 列出", "8: the commands of this block differ from the block on line 16 of lab.md"},
		{"other attributes", "```bash {run}", "```sh {run}", "8: the language, run and save of this block differ from the block on line 16"},
		{"other path", "```bash {run}", "```bash {save=x}", "8: the language, run and save of this block differ from the block on line 16"},
		{"block missing", "```bash {run}\nls # 列出\n```\n", "", "6: this step has 0 run and save blocks, but 1 in lab.md"},
		{"unknown variable", "引言", "{{x}}", `5:1: no variable "x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(zhText, tt.old) {
				t.Fatalf("no %q in the text", tt.old)
			}
			_, err := lab.Load(labs(map[string]string{"a/lab.md": enText, "a/lab.zh.md": strings.Replace(zhText, tt.old, tt.new, 1)}), "")
			wantMistakes(t, err, tt.want)
		})
	}
}

func TestUnexpectedFilesInALabAreMistakes(t *testing.T) {
	_, err := lab.Load(labs(map[string]string{"a/lab.md": front + step, "a/lab.en.md": "x", "a/Lab.zh.md": "x", "a/notes": "x"}), "")
	for _, want := range []string{"a/lab.en.md: lab.md already has this language", "a/Lab.zh.md: a lab has only lab.md", "a/notes: a lab has only lab.md"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestValidateReportsImagesThatTheSeedLacks(t *testing.T) {
	text := strings.Replace(front, `["redis:8", "debian"]`, "[\n  \"redis:8\",\n  \"redis:9\",\n  \"debian\",\n]", 1) + step
	l, err := lab.LoadOne(labs(map[string]string{"a/lab.md": text}), "", "a")
	if err != nil {
		t.Fatal(err)
	}
	err = lab.Validate(l, []string{"redis:8", "debian:latest"})
	wantMistakes(t, err, "10:3: the seed has no image redis:9; it has debian:latest, redis:8")
	if err := lab.Validate(l, []string{"redis:8", "debian:latest", "redis:9"}); err != nil {
		t.Error(err)
	}
}

func TestLimitsOnSize(t *testing.T) {
	files := map[string]string{"a/lab.md": front + step}
	for i := range 65 {
		files[fmt.Sprintf("a/files/%d", i)] = ""
	}
	_, err := lab.Load(labs(files), "")
	if err == nil || !strings.Contains(err.Error(), "at most 64 files") {
		t.Errorf("65 files: %v", err)
	}
	_, err = lab.Load(labs(map[string]string{"a/lab.md": front + step + strings.Repeat("x", 256<<10)}), "")
	if err == nil || !strings.Contains(err.Error(), "at most 262144 are allowed") {
		t.Errorf("long lab: %v", err)
	}
	var many strings.Builder
	for i := range 41 {
		many.WriteString(strings.Replace(step, "{#one}", fmt.Sprintf("{#s%d}", i), 1))
	}
	_, err = lab.Load(labs(map[string]string{"a/lab.md": front + many.String()}), "")
	wantMistakes(t, err, "414: a lab has at most 40 steps")
}

func TestEmbeddedLabsAreValid(t *testing.T) {
	all, err := lab.Load(os.DirFS("../../labs"), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if !reflect.DeepEqual(l.Langs, []string{"en", "zh"}) {
			t.Errorf("%s is written in %v, want en and zh", l.ID, l.Langs)
		}
		for _, s := range l.Steps {
			if len(s.Hints["en"]) == 0 {
				t.Errorf("%s, step %s has no hint", l.ID, s.Anchor)
			}
			for _, w := range s.Check.Wrong {
				if len(w.Demo) == 0 {
					t.Errorf("%s:%d: no wrong block brings this wrong state about, so nothing proves it", w.File, w.Line)
				}
			}
			for _, p := range s.Check.Probes {
				if p.Hint == nil {
					t.Errorf("%s:%d: this probe has no hint", p.File, p.Line)
				}
			}
		}
	}
}

func TestTemplateIsValid(t *testing.T) {
	files, err := lab.Template("my-lab")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, f := range files {
		m["my-lab/"+f.Path] = string(f.Data)
	}
	l, err := lab.LoadOne(labs(m), "", "my-lab")
	if err != nil {
		t.Fatal(err)
	}
	if l.Title.For("en") != "my-lab" || len(l.Langs) != 2 {
		t.Errorf("title %q in %v", l.Title.For("en"), l.Langs)
	}
	if _, err := lab.Template("../x"); err == nil {
		t.Error("a path was taken for an id")
	}
}

func TestExpand(t *testing.T) {
	vars := map[string]string{"code": "x7", "n_2": "{{code}}"}
	got := lab.Expand("{{code}} {{n_2}} {{other}} {{ code }} {{.State}} {{json .}} {{", vars)
	if want := "x7 {{code}} {{other}} {{ code }} {{.State}} {{json .}} {{"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if env := lab.Env(vars); env["LAB_CODE"] != "x7" || env["LAB_N_2"] != "{{code}}" {
		t.Errorf("environment: %v", env)
	}
}

func TestNewVarsDiffer(t *testing.T) {
	l := &lab.Lab{Variables: []lab.Variable{{Name: "code", Length: 8}}}
	seen := map[string]bool{}
	for range 100 {
		v := l.NewVars()["code"]
		if len(v) != 8 || strings.Trim(v, "abcdefghjkmnpqrstuvwxyz23456789") != "" || strings.ContainsAny(v[:1], "23456789") {
			t.Fatalf("code %q", v)
		}
		if seen[v] {
			t.Fatalf("code %q twice", v)
		}
		seen[v] = true
	}
}

// FuzzParse checks for any text that the parser does not panic, that every mistake is on a line of
// the file, and that prose keeps its line numbers.
func FuzzParse(f *testing.F) {
	f.Add(front+step, zhText)
	f.Add(enText, zhText)
	for _, name := range []string{"first-container", "compose-two-services"} {
		en, err := os.ReadFile("../../labs/" + name + "/lab.md")
		if err != nil {
			f.Fatal(err)
		}
		zh, err := os.ReadFile("../../labs/" + name + "/lab.zh.md")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(en), string(zh))
	}
	f.Add("+++\na.b.\"c\" = [\n{x='''\n'''}]\n[[a.q]]\n+++\n~~~~ `\n```check {#\n## {#}\n<!-- --> \n", "\ufeff+++\r\n+++\r\n\x00")
	f.Fuzz(func(t *testing.T, en, zh string) {
		l, err := lab.LoadOne(labs(map[string]string{"a/lab.md": en, "a/lab.zh.md": zh}), "", "a")
		if err == nil {
			for _, s := range l.Steps {
				body := s.Body["en"]
				file := strings.Split(en, "\n")
				for i, line := range strings.Split(string(body.Source), "\n") {
					if line != "" && line != "<!-- -->" && line != strings.TrimSuffix(file[body.Line-1+i], "\r") {
						t.Fatalf("step %s: line %d of the body is %q, in the file %q", s.Anchor, i, line, file[body.Line-1+i])
					}
				}
			}
			return
		}
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok {
			t.Fatalf("not a list of mistakes: %v", err)
		}
		for _, e := range joined.Unwrap() {
			var se *source.Error
			if !errors.As(e, &se) {
				t.Fatalf("not an author's mistake: %v", e)
			}
			text := en
			if strings.Contains(se.File, "zh") {
				text = zh
			}
			if n := strings.Count(text, "\n") + 1; se.Line > n {
				t.Fatalf("mistake in line %d of %d: %v", se.Line, n, e)
			}
			if se.Col > len([]rune(se.Text))+1 {
				t.Fatalf("mistake in column %d of %q", se.Col, se.Text)
			}
		}
	})
}

func TestPartsCanBeIncluded(t *testing.T) {
	all, err := lab.Load(labs(map[string]string{
		"a/lab.md": front + step, "a/files/x": "y", "a/_p.md": "### More\nUse {{code}}.\n```bash {run=node2}\nls\n```\n", "a/_code/deep/x.yml": "a: {{nobody}}\n",
	}), "")

	if err != nil {
		t.Fatal(err)
	}
	l := all[0]
	if len(l.Parts) != 2 || l.Parts[0].Path != "_code/deep/x.yml" || l.Parts[1].Path != "_p.md" || len(l.Files) != 1 || l.Files[0].Path != "x" {
		t.Errorf("parts %+v, files %+v", l.Parts, l.Files)
	}
	if got := l.Includable(); len(got) != 3 || string(got["files/x"]) != "y" || got["_p.md"] == nil {
		t.Errorf("to be included: %v", got)
	}
}

func TestMistakesInAPartAreReportedThere(t *testing.T) {
	for name, c := range map[string]struct{ part, want string }{
		"a step":           {"Text\n\n## Two {#two}\n", "a/_p.md:3: an included text cannot begin a step"},
		"a check":          {"```check\n[[image]]\nname = \"x\"\n```\n", "a/_p.md:1: a check block belongs to a step: move it into lab.md"},
		"a solution":       {"Text\n```solution\ntrue\n```\n", "a/_p.md:2: a solution block belongs to a step: move it into lab.md"},
		"a variable":       {"{{kode}}\n", `a/_p.md:1:1: no variable "kode" (did you mean "code"?)`},
		"a node":           {"```bash {run=node3}\nls\n```\n", `a/_p.md:1: no node "node3" (did you mean "node1"?)`},
		"too much to type": {"```bash {run}\n" + strings.Repeat("echo\n", 7000) + "```\n", "a/_p.md:1: this block has 34999 bytes; a click can type at most 31744"},
		"no text":          {"a\x00b\n", "a/_p.md:1: this line contains a NUL byte"},
		"too large":        {strings.Repeat("x", 1<<20+1), "a/_p.md: a lab has at most 64 files of at most 1048576 bytes"},
	} {
		_, err := lab.Load(labs(map[string]string{"a/lab.md": front + step, "a/_p.md": c.part}), "")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "a/_p.md") != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSymbolicLinksAreMistakes(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "secret"), []byte("top secret"), 0o644), os.MkdirAll(filepath.Join(dir, "labs/a/_d"), 0o755),
		os.WriteFile(filepath.Join(dir, "labs/a/lab.md"), []byte(front+step), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"_link.md", "_up", "_d/link.md", "_d/up"} {
		to := filepath.Join(dir, "secret")
		if strings.HasSuffix(link, "up") {
			to = dir
		}
		if err := os.Symlink(to, filepath.Join(dir, "labs/a", link)); err != nil {
			t.Skip(err)
		}
	}
	_, err := lab.Load(os.DirFS(filepath.Join(dir, "labs")), "")
	for _, want := range []string{"a/_link.md: a lab has only lab.md", "a/_up: a lab has only lab.md", "a/_d/link.md: a lab can have only regular files", "a/_d/up: a lab can have only"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}
