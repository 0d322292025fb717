package corpus_test

import (
	"bytes"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"path"
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/corpus"
)

// TestVault checks that notes show all pictures, that these can be decoded, and that they are as large as promised.
func TestVault(t *testing.T) {
	const notes, pictures = 16, 20
	vault, err := corpus.NewVault(notes, pictures)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range vault.Files() {
		if files[name], err = vault.File(name); err != nil {
			t.Fatal(err)
		}
	}
	shown, total := map[string]bool{}, 0
	for name, data := range files {
		if path.Ext(name) == ".md" {
			for _, part := range strings.Split(string(data), "](")[1:] {
				target, _, _ := strings.Cut(part, ")")
				shown[path.Join(path.Dir(name), target)] = true
			}
			continue
		}
		total += len(data)
		if _, _, err := image.DecodeConfig(bytes.NewReader(data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name := range shown {
		if files[name] == nil {
			t.Errorf("a note shows %s, which is not there", name)
		}
	}
	if len(shown) != pictures || total/pictures < 150_000 || total/pictures > 350_000 {
		t.Errorf("%d pictures are shown, of %d bytes on average", len(shown), total/pictures)
	}
	again, err := vault.File("en/module-000/picture-00000.png")
	if err != nil || !bytes.Equal(again, files["en/module-000/picture-00000.png"]) {
		t.Errorf("the same picture has other bytes the second time: %v", err)
	}
}
