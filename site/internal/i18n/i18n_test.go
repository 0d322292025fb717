package i18n

import (
	"reflect"
	"strings"
	"testing"
)

// TestEveryWordIsTranslated finds empty words, and words whose placeholders differ from those of
// the English word.
func TestEveryWordIsTranslated(t *testing.T) {
	all := New()
	en := reflect.ValueOf(*all.For("en"))
	for lang := range all.table {
		compare(t, lang, en, reflect.ValueOf(*all.For(lang)))
	}
}

func compare(t *testing.T, lang string, en, other reflect.Value) {
	t.Helper()
	for i := range en.NumField() {
		if en.Field(i).Kind() == reflect.Struct {
			compare(t, lang, en.Field(i), other.Field(i))
			continue
		}
		name, a, b := en.Type().Field(i).Name, en.Field(i).String(), other.Field(i).String()
		if b == "" {
			t.Errorf("%s: %s is empty", lang, name)
		}
		for _, verb := range []string{"%d", "%s"} {
			if strings.Count(a, verb) != strings.Count(b, verb) {
				t.Errorf("%s: %s has other placeholders than %q: %q", lang, name, a, b)
			}
		}
	}
}

// TestTheNearestLanguageIsUsed has tags as authors write them in course folders and -lang.
func TestTheNearestLanguageIsUsed(t *testing.T) {
	all := New()
	for _, tt := range []struct{ lang, code, name, locale string }{
		{"en", "en", "English", "en_US"},
		{"en-GB", "en", "British English", "en_GB"},
		{"zh", "zh", "中文", "zh_CN"},
		{"zh-CN", "zh", "中文", "zh_CN"},
		{"zh-cn", "zh", "中文", "zh_CN"},
		{"zh-Hans", "zh", "简体中文", "zh_CN"},
		{"zh-Hant", "zh", "繁體中文", "zh_TW"},
		{"zh-TW", "zh", "繁體中文", "zh_TW"},
		{"fr", "en", "français", "fr_FR"},
		{"xx", "en", "xx", "xx"},
		{"no tag", "en", "no tag", "no tag"},
	} {
		w := all.For(tt.lang)
		if w.Code != tt.code || w.Name != tt.name || w.Locale != tt.locale || w.Menu != all.For(tt.code).Menu {
			t.Errorf("%s: words of %s, name %q, locale %q; want %s, %q, %q", tt.lang, w.Code, w.Name, w.Locale, tt.code, tt.name, tt.locale)
		}
	}
}

func TestNearestOfSeveralLanguages(t *testing.T) {
	for _, tt := range []struct {
		lang  string
		among []string
		want  string
	}{
		{"zh-CN", []string{"en", "zh"}, "zh"},
		{"zh-Hant", []string{"zh-Hans", "zh-Hant"}, "zh-Hant"},
		{"fr", []string{"en", "zh"}, ""},
		{"xx", []string{"xx"}, "xx"},
		{"en", nil, ""},
	} {
		if got := New().Nearest(tt.lang, tt.among); got != tt.want {
			t.Errorf("%s among %v: %q, want %q", tt.lang, tt.among, got, tt.want)
		}
	}
}
