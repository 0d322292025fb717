package page

import (
	"reflect"
	"strings"
	"testing"
)

// TestEveryWordIsTranslated finds empty words, and such with other placeholders than in English.
func TestEveryWordIsTranslated(t *testing.T) {
	all := languages()
	en := reflect.ValueOf(all["en"])
	for lang, s := range all {
		compare(t, lang, en, reflect.ValueOf(s))
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
