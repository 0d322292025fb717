package seed

import (
	"slices"
	"testing"
	"time"

	"github.com/docker/docker/api/types/image"
)

func TestStaleImagesAreOldOursAndNotCurrent(t *testing.T) {
	now := time.Now()
	old, young := now.Add(-2*time.Hour).Unix(), now.Unix()
	list := []image.Summary{
		{RepoTags: []string{"labd/nginx:old", "nginx:mine"}, Created: old},
		{RepoTags: []string{"labd/nginx:current"}, Created: old},
		{RepoTags: []string{"labd/nginx:just-made"}, Created: young},
		{RepoTags: []string{"labd/busybox:old"}, Created: old},
		{RepoTags: []string{"somebody/labd:old"}, Created: old},
		{Created: old},
	}
	got := stale(list, map[string]bool{"labd/nginx:current": true}, now.Add(-time.Hour))
	if want := []string{"labd/busybox:old", "labd/nginx:old"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
