package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/internal/command"
	"github.com/labd-dev/labd/sandbox/docker/seed"
)

// runImagesWith runs `labd images` and returns its exit code and output.
func runImagesWith(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Program().Run(t.Context(), &command.Env{Stdout: &out, Stderr: &errs}, append([]string{"images"}, args...))
	return code, out.String(), errs.String()
}

func TestImagesUsage(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		code int
		want string // in stdout if the code is 0, else in stderr
	}{
		"NoAction":      {nil, 2, "usage: labd images COMMAND"},
		"UnknownAction": {[]string{"bake"}, 2, `labd images: no command "bake"`},
		"UnknownFlag":   {[]string{"build", "--fast"}, 2, "fast"},
		"ExtraWord":     {[]string{"list", "x"}, 2, `unexpected argument "x"`},
		"Help":          {[]string{"--help"}, 0, "usage: labd images COMMAND"},
		"HelpOfAction":  {[]string{"build", "--help"}, 0, "usage: labd images build"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := runImagesWith(t, tt.args...)
			out := stdout
			if tt.code != 0 {
				out = stderr
			}
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
}

func TestImagesListWithoutASeedSaysHowToBuildOne(t *testing.T) {
	code, _, stderr := runImagesWith(t, "list", "--seed-dir", t.TempDir())
	if code != 1 || !strings.Contains(stderr, "labd images build") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func TestImagesListPrintsTheSeedsImages(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data", "d")
	if err := os.MkdirAll(filepath.Join(data, "layers", "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		filepath.Join(data, "template.ext4"):        "",
		filepath.Join(data, "layers", "images.tar"): "",
		filepath.Join(dir, "current-5.json"):        `{"digest":"x","data":"d","node_image":"labd/node:x","images":["nginx:1.26","redis:8"]}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("LABD_SEED_DIR", dir)
	if code, stdout, stderr := runImagesWith(t, "list"); code != 0 || stdout != "nginx:1.26\nredis:8\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestImagesProgressPrintsTaskAndTime(t *testing.T) {
	events := []seed.Event{
		{Task: "image a", State: seed.Started},
		{Task: "image a", State: seed.Output, Text: "unpacking"},
		{Task: "image a", State: seed.Done, Elapsed: 2500 * time.Millisecond},
		{Task: "image b", State: seed.Cached},
		{Task: "image c", State: seed.Failed, Elapsed: time.Second},
	}
	show := func(verbose bool) string {
		var out bytes.Buffer
		p := imagesProgress(&out, time.Now(), verbose)
		for _, e := range events {
			p(e)
		}
		return out.String()
	}
	quiet, verbose := show(false), show(true)
	for _, want := range []string{"] image a ...\n", "] image a: done in 2.5 s\n", "] image c: failed after 1.0 s\n"} {
		if !strings.Contains(quiet, want) || !strings.Contains(verbose, want) {
			t.Errorf("%q is missing in %q or %q", want, quiet, verbose)
		}
	}
	for _, want := range []string{"unpacking", "image b: up to date"} {
		if strings.Contains(quiet, want) || !strings.Contains(verbose, want) {
			t.Errorf("%q belongs into the verbose output only: %q, %q", want, quiet, verbose)
		}
	}
}

func TestCheckoutRootIsFoundFromBelow(t *testing.T) {
	root, err := checkoutRoot() // tests run in their package directory
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "cmd", "labnode")); err != nil {
		t.Errorf("root %q: %v", root, err)
	}
	t.Chdir(t.TempDir())
	if root, err := checkoutRoot(); err != nil || root != "" {
		t.Errorf("outside a checkout: %q, %v", root, err)
	}
}

func TestFindLabnodeOutsideACheckoutSaysWhatIsMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := findLabnode(context.Background(), "amd64")
	if err == nil || !strings.Contains(err.Error(), "labnode-linux-amd64") || !strings.Contains(err.Error(), "make") {
		t.Errorf("error %v", err)
	}
}
