// Package i18n has the words of the interface: everything on a page that the author did not write.
//
// A course may be written in any language. Its interface is in the nearest language that has words,
// by BCP 47 matching: zh-CN and zh-Hans have that of zh, en-GB that of en. A language without any
// near one has English words.
package i18n

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/labd-dev/labd/site/internal/markdown"
)

// Words are the words of the interface, for pages in one language. Every field has a value in every
// language.
type Words struct {
	Code                                                    string // the language of these words: "en" or "zh"
	Name, Locale                                            string // of the pages' language: its own name for itself, and as OpenGraph writes it
	Dir                                                     string // ltr or rtl
	SkipToContent, Menu, MainMenu, CloseMenu, Course, Theme string
	ThemeLight, ThemeDark, OtherLanguage                    string
	Home, Lessons, Labs, Lab                                string
	StartLearning, TryLab, OpenLab                          string
	OnThisPage, Previous, Next, Breadcrumbs                 string
	Minutes, Steps, LessonsCount                            string // each with one %d
	OneStep, OneLesson                                      string
	Step, Hint, HintN                                       string // Step: "Step %d"; HintN: "Hint %d"
	Beginner, Intermediate, Advanced                        string
	Prerequisites, Fallback, FallbackLab                    string // Fallback: "… %s …" with the language's name
	NotFound, NotFoundText, LabsIntro, LabCardTitle         string
	LabOffline, LabOfflineTitle, NoScript                   string
	PracticeTitle, AllLabs, AllLessons, CopyDone            string
	MoreCourses                                             string
	Tags, Draft, Glossary                                   string
	Search, SearchHint, SearchNoScript                      string
	BackHome                                                string
	MarkDone, Done, Progress, Resume                        string // Progress has two %d: of those lessons, so many
	Updated, DateForm, EditPage                             string // DateForm is a layout of package time
	PrintModule, Print, Contents                            string
	SaveOffline, Saved, SaveFailed, Megabytes               string // Megabytes has one %s
	Offline, OfflineText, OfflineSome, OfflineNone          string
	Markdown                                                markdown.Labels
}

// fallback is the language of the interface where no other is near.
const fallback = "en"

// Languages finds words by language. It is safe for concurrent use.
type Languages struct {
	table map[string]Words

	mu      sync.Mutex
	found   map[string]*Words // by language; guarded by mu, like nearest
	nearest map[string]string // answers of Nearest, which is slow, by its arguments
}

// New returns all languages of the interface.
func New() *Languages {
	return &Languages{table: languages(), found: map[string]*Words{}, nearest: map[string]string{}}
}

// For returns the words for pages in a language, which is a BCP 47 tag as authors write it. Nobody
// may change them.
func (l *Languages) For(lang string) *Words {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.found[lang]; w != nil {
		return w
	}
	code := cmp.Or(nearest(lang, slices.Sorted(maps.Keys(l.table))), fallback)
	w := l.table[code]
	w.Code, w.Name, w.Locale = code, lang, strings.ReplaceAll(lang, "-", "_")
	if tag, err := language.Parse(lang); err == nil {
		base, _ := tag.Base()
		region, _ := tag.Region() // the likely one if the tag names none
		w.Name, w.Locale = cmp.Or(display.Self.Name(tag), lang), base.String()+"_"+region.String()
	}
	l.found[lang] = &w
	return &w
}

// Nearest returns the one of several languages that readers of lang understand best, or "" if they
// understand none. All are BCP 47 tags; what is none is only near itself.
func (l *Languages) Nearest(lang string, among []string) string {
	if slices.Contains(among, lang) {
		return lang
	}
	key := lang + " " + strings.Join(among, " ")
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.nearest[key]
	if !ok {
		found = nearest(lang, among)
		l.nearest[key] = found
	}
	return found
}

func nearest(lang string, among []string) string {
	var tags []language.Tag
	var known []string
	for _, other := range among {
		if other == lang {
			return lang
		}
		if tag, err := language.Parse(other); err == nil {
			tags, known = append(tags, tag), append(known, other)
		}
	}
	tag, err := language.Parse(lang)
	if err != nil || len(tags) == 0 {
		return ""
	}
	_, i, confidence := language.NewMatcher(tags).Match(tag)
	if confidence == language.No {
		return ""
	}
	return known[i]
}

// LevelName returns the word for a level of the front matter, "" if there is none.
func (w *Words) LevelName(level string) string {
	switch level {
	case "beginner":
		return w.Beginner
	case "intermediate":
		return w.Intermediate
	case "advanced":
		return w.Advanced
	}
	return ""
}

// languages is the one table of words.
func languages() map[string]Words {
	return map[string]Words{
		"en": {
			Dir:           "ltr",
			SkipToContent: "Skip to content", Menu: "Menu", MainMenu: "Main menu", CloseMenu: "Close menu", Course: "Course", Theme: "Theme",
			ThemeLight: "Light theme", ThemeDark: "Dark theme", OtherLanguage: "Read in %s",
			Home: "Home", Lessons: "Lessons", Labs: "Labs", Lab: "Lab",
			StartLearning: "Start learning", TryLab: "Try a lab", OpenLab: "Open the lab",
			OnThisPage: "On this page", Previous: "Previous", Next: "Next", Breadcrumbs: "Breadcrumbs",
			Minutes: "%d min", Steps: "%d steps", LessonsCount: "%d lessons", OneStep: "1 step", OneLesson: "1 lesson",
			Step: "Step %d", Hint: "Hint", HintN: "Hint %d",
			Beginner: "Beginner", Intermediate: "Intermediate", Advanced: "Advanced",
			Prerequisites: "Do this first",
			Fallback:      "This lesson has not been translated yet, so you are reading it in %s.",
			FallbackLab:   "This lab has not been translated yet, so you are reading it in %s.",
			NotFound:      "This page does not exist",
			NotFoundText:  "The address may be wrong, or the page has moved. These are the modules of the course:",
			LabsIntro:     "Each lab gives you a machine of your own in the browser. Steps turn green automatically when you get them right.",
			LabCardTitle:  "Practise this in a lab", LabOfflineTitle: "No lab server here",
			LabOffline:    "This site has no lab server, so this page has no terminal. You can copy every command and run it on your own machine with Docker.",
			NoScript:      "The terminal of this lab needs JavaScript. Without it, you can read the lab and run the commands on your own machine with Docker.",
			PracticeTitle: "Labs", AllLabs: "All labs", AllLessons: "All lessons", MoreCourses: "More courses", CopyDone: "Copied",
			Search: "Search", SearchHint: "Search lessons and labs", SearchNoScript: "The search needs JavaScript. The menu lists all lessons and labs.",
			Tags: "Tags", Draft: "Draft", Glossary: "Glossary",
			MarkDone: "Mark as done", Done: "done", Progress: "%d of %d lessons done", Resume: "Continue where you left off:",
			Updated: "Last updated", DateForm: "2 January 2006", EditPage: "Edit this page",
			PrintModule: "Print this module", Print: "Print", Contents: "Contents",
			SaveOffline: "Save this course for offline reading", Saved: "Saved. You can now read and search this course without a network.",
			SaveFailed: "The course could not be saved. Try again when you are online.", Megabytes: "%s MB",
			Offline: "You are offline", OfflineText: "You have not opened this page in this browser before, so it needs a network.",
			OfflineSome: "You can read these pages now:", OfflineNone: "No pages are saved in this browser yet.",
			BackHome: "Go to the home page",
			Markdown: markdown.English(),
		},
		"zh": {
			Dir:           "ltr",
			SkipToContent: "跳到正文", Menu: "菜单", MainMenu: "主导航", CloseMenu: "关闭菜单", Course: "课程", Theme: "主题",
			ThemeLight: "浅色主题", ThemeDark: "深色主题", OtherLanguage: "阅读%s版",
			Home: "首页", Lessons: "课程", Labs: "实验", Lab: "实验",
			StartLearning: "开始学习", TryLab: "试做实验", OpenLab: "打开实验",
			OnThisPage: "本页内容", Previous: "上一篇", Next: "下一篇", Breadcrumbs: "当前位置",
			Minutes: "%d 分钟", Steps: "%d 个步骤", LessonsCount: "%d 课", OneStep: "1 个步骤", OneLesson: "1 课",
			Step: "第 %d 步", Hint: "提示", HintN: "提示 %d",
			Beginner: "入门", Intermediate: "进阶", Advanced: "高级",
			Prerequisites: "请先完成",
			Fallback:      "本课尚无中文翻译，下面显示的是%s版本。",
			FallbackLab:   "本实验尚无中文翻译，下面显示的是%s版本。",
			NotFound:      "找不到这个页面",
			NotFoundText:  "地址可能有误，或者页面已经移走。课程的模块都在这里：",
			LabsIntro:     "每个实验都会在浏览器里给你一台专属的机器。做对了，步骤会自动变绿。",
			LabCardTitle:  "在实验中练习", LabOfflineTitle: "这里没有实验服务器",
			LabOffline:    "本站没有实验服务器，所以这一页没有终端。你可以复制任何命令，在自己装有 Docker 的机器上运行。",
			NoScript:      "实验的终端需要 JavaScript。没有它，你仍然可以阅读全部内容，并在自己装有 Docker 的机器上运行命令。",
			PracticeTitle: "动手实验", AllLabs: "全部实验", AllLessons: "全部课程", MoreCourses: "更多课程", CopyDone: "已复制",
			Search: "搜索", SearchHint: "搜索课程和实验", SearchNoScript: "搜索需要 JavaScript。菜单里列出了全部课程和实验。",
			Tags: "标签", Draft: "草稿", Glossary: "术语表",
			MarkDone: "标记为已学完", Done: "已学完", Progress: "已学完 %d 课，共 %d 课", Resume: "继续上次的学习：",
			Updated: "最后更新于", DateForm: "2006年1月2日", EditPage: "编辑此页",
			PrintModule: "打印本模块", Print: "打印", Contents: "目录",
			SaveOffline: "保存本课程以便离线阅读", Saved: "已保存，没有网络时也可以阅读和搜索。",
			SaveFailed: "保存失败，请在网络恢复后重试。", Megabytes: "%s MB",
			Offline: "当前没有网络", OfflineText: "这个页面还没有在此浏览器中读过，需要联网才能打开。",
			OfflineSome: "现在可以阅读这些页面：", OfflineNone: "此浏览器中还没有保存任何页面。",
			BackHome: "回到首页",
			Markdown: markdown.Labels{
				Copy: "复制",
				Note: "说明", Tip: "技巧", Important: "重要", Warning: "注意", Caution: "当心",
				Done: "已完成", NotDone: "未完成", Table: "表格",
				Quiz: markdown.QuizLabels{
					One: "请选择一个答案。", Many: "请选出所有正确的答案。",
					Check: "检查", Answers: "查看答案", Right: "正确。", Wrong: "错误。",
					Passed: "答对了！", Failed: "还不对。再试一次，或者查看答案。",
				},
			},
		},
	}
}
