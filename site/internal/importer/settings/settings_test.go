package settings_test

import (
	"reflect"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/site/internal/importer/report"
	"github.com/labd-dev/labd/site/internal/importer/settings"
	"github.com/labd-dev/labd/site/internal/importer/syntax"
	"github.com/labd-dev/labd/site/internal/importer/tree"
)

func source(files map[string]string) fstest.MapFS {
	src := fstest.MapFS{}
	for name, text := range files {
		src[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return src
}

func TestFormatsAreDetectedByTheirFiles(t *testing.T) {
	for _, tt := range []struct {
		want  syntax.Format
		files []string
	}{
		{syntax.Obsidian, []string{".obsidian/app.json", "a.md"}},
		{syntax.Docusaurus, []string{"website/docusaurus.config.ts", "docs/a.md"}},
		{syntax.Docusaurus, []string{"docs/a.mdx"}},
		{syntax.Starlight, []string{"astro.config.mjs", "src/content/docs/a.md"}},
		{syntax.MDBook, []string{"book.toml", "src/SUMMARY.md"}},
		{syntax.MDBook, []string{"src/SUMMARY.md"}},
		{syntax.GitBook, []string{"book.json", "a.md"}},
		{syntax.GitBook, []string{"SUMMARY.md"}},
		{syntax.Markdown, []string{"notes/a.md"}},
	} {
		src := fstest.MapFS{}
		for _, name := range tt.files {
			src[name] = &fstest.MapFile{}
		}
		if got, err := settings.Detect(src); err != nil || got != tt.want {
			t.Errorf("%v: %q, %v; want %q", tt.files, got, err, tt.want)
		}
	}
	if got, err := settings.Detect(source(map[string]string{"a.txt": ""})); err == nil {
		t.Errorf("a folder without pages is %q", got)
	}
}

func TestSettingsThatLeaveTheSourceAreReportedAndNotFollowed(t *testing.T) {
	for _, tt := range []struct {
		format syntax.Format
		files  map[string]string
		root   string
		kind   report.Kind
	}{
		{syntax.MDBook, map[string]string{"book.toml": "[book]\nsrc = \"../x\"", "src/SUMMARY.md": ""}, "src", report.SettingUnknown},
		{syntax.GitBook, map[string]string{"book.json": `{"root": "../x"}`, "SUMMARY.md": ""}, ".", report.SettingsBroken},
		{syntax.Docusaurus, map[string]string{"docusaurus.config.js": "module.exports = {presets: [['classic', {docs: {path: '../../x'}}]]}", "docs/a.md": ""}, ".", report.SettingsBroken},
	} {
		var log report.Log
		files, err := tree.List(t.Context(), source(tt.files), &log)
		if err != nil {
			t.Fatal(err)
		}
		got, err := settings.Read(files, tt.format, "", "", &log)
		if err != nil {
			t.Fatal(err)
		}
		if got.Root != tt.root || log.Count(tt.kind) != 1 {
			t.Errorf("%s: root %q, reported %v", tt.format, got.Root, log.Entries())
		}
	}
}

func TestEachLanguageHasOneFolder(t *testing.T) {
	var log report.Log
	files, err := tree.List(t.Context(), source(map[string]string{
		"a.md": "", "zh-CN/a.md": "", "zh_cn/a.md": "", "ja/a.md": "", "en/a.md": "", "api/a.md": "",
	}), &log)
	if err != nil {
		t.Fatal(err)
	}
	got, err := settings.Read(files, syntax.Markdown, "", "", &log)
	if err != nil {
		t.Fatal(err)
	}
	want := []settings.Translation{{Tag: "ja", Root: "ja"}, {Tag: "zh-CN", Root: "zh-CN"}}
	if !reflect.DeepEqual(got.Translations, want) {
		t.Errorf("translations are %v, want %v", got.Translations, want)
	}
}
