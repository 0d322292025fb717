package cjk_test

import (
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"github.com/labd-dev/labd/site/internal/cjk"
)

func convert(t *testing.T, md goldmark.Markdown, text string) string {
	t.Helper()
	var b strings.Builder
	if err := md.Convert([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), "<p>"), "</p>")
}

func TestEmphasisNextToCJKTextAndPunctuation(t *testing.T) {
	md := goldmark.New(goldmark.WithExtensions(cjk.Emphasis{}))
	for text, want := range map[string]string{
		// Code and links beside Chinese.
		"使用**`docker run`**命令；**[链接](a.md)**后": `使用<strong><code>docker run</code></strong>命令；<strong><a href="a.md">链接</a></strong>后`,
		"先看*`compose.yml`*文件":                  `先看<em><code>compose.yml</code></em>文件`,
		// Punctuation inside, letters outside.
		"**注意：**容器会停止。":      "<strong>注意：</strong>容器会停止。",
		"**注意：**Docker 会停止。": "<strong>注意：</strong>Docker 会停止。",
		"**镜像（image）**是只读的":  "<strong>镜像（image）</strong>是只读的",
		"**镜像(image)**是只读的":  "<strong>镜像(image)</strong>是只读的",
		"这是**“容器”**的意思":      "这是<strong>“容器”</strong>的意思",
		"价格**$5**起":          "价格<strong>$5</strong>起",
		"运行**100%**成功":       "运行<strong>100%</strong>成功",
		// Several in a line: a run that stays text would make the words between them bold.
		"**一。**二**三。**四":     "<strong>一。</strong>二<strong>三。</strong>四",
		"**甲**、**乙**和**丙**。": "<strong>甲</strong>、<strong>乙</strong>和<strong>丙</strong>。",
		// Japanese and Korean.
		"これは**コンテナ。**です":             "これは<strong>コンテナ。</strong>です",
		"**컨테이너(container)**를 시작합니다": "<strong>컨테이너(container)</strong>를 시작합니다",
		"***`a`***的":                    "<em><strong><code>a</code></strong></em>的",
		"使用~~`docker-compose`~~命令":      "使用<del><code>docker-compose</code></del>命令",
		"**\U00020BB7（a）**字":            "<strong>\U00020BB7（a）</strong>字",
		"葛\U000E0100**(a)**b 葛":         "葛\U000E0100**(a)**b 葛",
		"“\uFE01甲”\uFE01**乙**":          "“\uFE01甲”\uFE01<strong>乙</strong>",
		"甲**“\uFE01乙”\uFE01**b":         "甲<strong>“\uFE01乙”\uFE01</strong>b",
		"葛\U000E0100**(a)**葛\U000E0100": "葛\U000E0100<strong>(a)</strong>葛\U000E0100",
		"。\uFE00_a_":                    "。\uFE00<em>a</em>",
		// _ stays as strict within words as CommonMark has it.
		"文件_name_是": "文件_name_是",
		"：__注意__：":  "：<strong>注意</strong>：",
		// What CommonMark leaves alone stays text.
		"中文**(a)**b": "中文**(a)**b",
		"中 ** 文":     "中 ** 文",
		"2**3 与 4**": "2<strong>3 与 4</strong>",
		"a😀**(b)**c": "a😀**(b)**c", // an emoji is not CJK text
	} {
		if got := convert(t, md, text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// Any text of these characters must come out as goldmark's own parsers have it.
func TestTextWithoutCJKIsParsedAsCommonMarkHasIt(t *testing.T) {
	ours := goldmark.New(goldmark.WithExtensions(cjk.Emphasis{}))
	stock := goldmark.New()
	alphabet := []string{"*", "**", "_", "a", " ", "(", "é", "“", "😀", "\u00a0"}
	var text []string
	var try func(int)
	try = func(depth int) {
		if depth == 0 {
			s := "x" + strings.Join(text, "") + "y"
			if got, want := convert(t, ours, s), convert(t, stock, s); got != want {
				t.Fatalf("%q\n got %s\nwant %s", s, got, want)
			}
			return
		}
		for _, c := range alphabet {
			text = append(text, c)
			try(depth - 1)
			text = text[:len(text)-1]
		}
	}
	try(4)
}

func TestStrikethrough(t *testing.T) {
	md := goldmark.New(goldmark.WithExtensions(cjk.Emphasis{}))
	stock := goldmark.New(goldmark.WithExtensions(extension.Strikethrough))
	for _, text := range []string{"~~Hi~~ Hello, ~there~ world!", "a ~~~b~~~ c", "a~~(b)~~c", "~a ~b~ c~", "~~a **b~~ c**"} {
		if got, want := convert(t, md, text), convert(t, stock, text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
	for _, text := range []string{"~~a~", "~a~~", "8~15 分钟，2~4 GB", "10%~20%，2~4 倍", "周一~周五，上午~下午", "a~b~c"} {
		if got := convert(t, md, text); got != text {
			t.Errorf("%s: got %s", text, got)
		}
	}
}

func FuzzEmphasis(f *testing.F) {
	for _, s := range []string{"**中。**a", "*\uFE01**", "~~\U000E0100~~a", "\xff**\xff", "_\uFE0F__"} {
		f.Add(s)
	}
	md := goldmark.New(goldmark.WithExtensions(cjk.Emphasis{}))
	f.Fuzz(func(t *testing.T, s string) { convert(t, md, s) })
}
