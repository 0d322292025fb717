package site_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/internal/lab"
	mistakes "github.com/labd-dev/labd/internal/source"
	"github.com/labd-dev/labd/internal/static"
	"github.com/labd-dev/labd/site"
)

// checkedLive waits until a live site is checked.
func checkedLive(t testing.TB, l *site.Live) site.State {
	t.Helper()
	for {
		s, changed := l.State()
		if s.Checked == s.Version {
			return s
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("the course was not checked")
		}
	}
}

// TestLiveEqualsBuild edits a course at random and compares every file of the live site with a
// fresh build.
func TestLiveEqualsBuild(t *testing.T) {
	editAndCompare(t, 40, 0)
	editAndCompare(t, 10, 1) // painting cards takes the race detector long; the other edits come without it
}

func editAndCompare(t *testing.T, steps int, seeds ...int) {
	if testing.Short() {
		steps = 10
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			a := &author{t: t, dir: t.TempDir(), rnd: rand.New(rand.NewPCG(uint64(seed), 7))}
			if err := os.CopyFS(a.dir, course()); err != nil {
				t.Fatal(err)
			}
			opts := options()
			opts.BaseURL = "https://example.org/c/"
			opts.LiveScript = "/-/live.js"
			opts.Force = true
			if seed%2 == 0 {
				opts.Cards = site.CardsOff // with cards, every page tells how long the course is
			}
			l, err := site.NewLive(t.Context(), a.source(), opts)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); l.Run(ctx) }()
			defer func() { stop(); <-done }()
			known, good, broken := map[string]bool{}, read(t, a.dir), false
			for range steps {
				var what []string
				update := func() {
					l.Update(t.Context(), a.source(), a.changed)
					a.changed = nil
				}
				if broken {
					a.restore(good)
					broken, what = false, []string{"all as it was before"}
				} else {
					for range 1 + a.rnd.IntN(3) {
						what = append(what, a.edit())
						if a.rnd.IntN(2) == 0 {
							update() // and another one follows before all is known
						}
					}
				}
				update()
				out := filepath.Join(t.TempDir(), "site")
				report, err := site.Build(t.Context(), a.source(), out, opts)
				state := checkedLive(t, l)
				if got, want := fmt.Sprint(state.Warnings), fmt.Sprint(report.Warnings); got != want {
					t.Fatalf("after %q: warnings\n%s\nwant\n%s", what, got, want)
				}
				if got, want := fmt.Sprint(slices.Clone(state.Mistakes).Err()), fmt.Sprint(err); got != want {
					t.Fatalf("after %q: mistakes\n%s\nwant\n%s", what, got, want)
				}
				if err != nil {
					var one *mistakes.Error
					if !errors.As(err, &one) {
						t.Fatal(err)
					}
					broken = true
					continue
				}
				good = read(t, a.dir)
				built := map[string]bool{}
				err = fs.WalkDir(os.DirFS(out), ".", func(name string, d fs.DirEntry, err error) error {
					if err != nil || d.IsDir() || name == ".sitegen" {
						return err
					}
					built[name], known[name] = true, true
					want, err := os.ReadFile(filepath.Join(out, name))
					if err != nil {
						return err
					}
					got, _, err := l.File(t.Context(), name)
					if err != nil || !bytes.Equal(got, want) {
						return fmt.Errorf("after %q: %s is other than built (%v):\n%s\nwant\n%s", what, name, err, got, want)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				for name := range known {
					if _, _, err := l.File(t.Context(), name); !built[name] && !errors.Is(err, fs.ErrNotExist) {
						t.Fatalf("after %q: %s is still there (%v)", what, name, err)
					}
				}
			}
		})
	}
}

// live runs a live site until the test ends.
func live(t *testing.T, src site.Source, opts site.Options) *site.Live {
	t.Helper()
	opts.LiveScript = "/-/live.js"
	l, err := site.NewLive(t.Context(), src, opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return l
}

func liveFile(t *testing.T, l *site.Live, name string) string {
	t.Helper()
	data, _, err := l.File(t.Context(), name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(data)
}

// TestAPageIsDeletedBeforeItIsChecked changes a lesson and deletes it while Run is not running.
func TestAPageIsDeletedBeforeItIsChecked(t *testing.T) {
	a := &author{t: t, dir: t.TempDir()}
	if err := os.CopyFS(a.dir, course()); err != nil {
		t.Fatal(err)
	}
	a.write("en/one/extra.md", "+++\ntitle = \"Extra\"\n+++\nText.\n")
	l, err := site.NewLive(t.Context(), a.source(), options())
	if err != nil {
		t.Fatal(err)
	}
	a.write("en/one/extra.md", "+++\ntitle = \"Extra\"\n+++\nAnother text.\n")
	l.Update(t.Context(), a.source(), []string{"en/one/extra.md"})
	wantIn(t, liveFile(t, l, "one/extra/index.html"), "Another text.")
	a.remove("en/one/extra.md")
	l.Update(t.Context(), a.source(), []string{"en/one/extra.md"})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	defer func() { stop(); <-done }()
	checkedLive(t, l)
	if data := liveFile(t, l, "search/d-0.json"); strings.Contains(data, "/one/extra/") {
		t.Errorf("the search still leads to it: %s", data)
	}
}

func TestAChangedStyleSheetKeepsTheVersion(t *testing.T) {
	assets := assetsFS()
	l := live(t, source(), site.Options{Assets: assets})
	before := checkedLive(t, l)
	assets["css/a.css"] = &fstest.MapFile{Data: []byte("a{color:blue}")}
	l.UpdateAssets()
	after := checkedLive(t, l)
	if after.Version != before.Version || slices.Equal(after.Styles, before.Styles) {
		t.Errorf("version %d, styles %v, were %d, %v", after.Version, after.Styles, before.Version, before.Styles)
	}
	for _, address := range after.Styles {
		if strings.HasPrefix(address, "/assets/site-") {
			wantIn(t, liveFile(t, l, strings.TrimPrefix(address, "/")), "#00f")
			wantIn(t, liveFile(t, l, "one/start/index.html"), address)
		}
	}
	assets["ts/site.ts"] = &fstest.MapFile{Data: []byte("console.log('(')); // a mistake")}
	l.UpdateAssets()
	if s := checkedLive(t, l); s.Err == nil || !strings.Contains(s.Err.Error(), "site/assets/ts/site.ts:1:") {
		t.Errorf("a broken script says %v", s.Err)
	}
	wantIn(t, liveFile(t, l, "one/start/index.html"), "Start")
	assets["ts/site.ts"] = &fstest.MapFile{Data: []byte("console.log(7);")}
	l.UpdateAssets()
	if s := checkedLive(t, l); s.Err != nil || s.Version == after.Version {
		t.Errorf("another script: version %d, %v", s.Version, s.Err)
	}
}

func TestLabsOfALiveSite(t *testing.T) {
	src := source()
	l := live(t, src, options())
	checkedLive(t, l)
	other := demo()
	other.Steps[0].Body["en"] = lab.Markdown{File: "labs/demo/lab.md", Line: 12, Source: []byte("Another step text, [nowhere](/nowhere/).\n")}
	src.Labs = []*lab.Lab{other}
	l.Update(t.Context(), src, []string{})
	wantIn(t, liveFile(t, l, "labs/demo/index.html"), "Another step text")
	if s := checkedLive(t, l); len(s.Mistakes) != 1 || s.Mistakes[0].File != "labs/demo/lab.md" {
		t.Errorf("mistakes: %v", s.Mistakes)
	}
	src.Labs = nil
	l.Update(t.Context(), src, []string{})
	if _, _, err := l.File(t.Context(), "labs/demo/index.html"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a lab that is gone: %v", err)
	}
	if s := checkedLive(t, l); !strings.Contains(fmt.Sprint(s.Mistakes.Err()), `there is no lab "demo"`) {
		t.Errorf("mistakes: %v", s.Mistakes)
	}
}

func TestPicturesOfALiveSite(t *testing.T) {
	a := &author{t: t, dir: t.TempDir()}
	if err := os.CopyFS(a.dir, course()); err != nil {
		t.Fatal(err)
	}
	l := live(t, a.source(), options())
	picture := regexp.MustCompile(`src="/(assets/pic-[^"]+)"`)
	shown := func() string {
		t.Helper()
		m := picture.FindStringSubmatch(liveFile(t, l, "two/bundle/index.html"))
		if m == nil {
			t.Fatal("no picture")
		}
		liveFile(t, l, m[1])
		return m[1]
	}
	first := shown()
	a.write("en/two/bundle/pic.png", onePixel(9, 9))
	l.Update(t.Context(), a.source(), a.changed)
	if second := shown(); second == first {
		t.Errorf("another picture at the same address %s", second)
	}
	checkedLive(t, l)
	if _, _, err := l.File(t.Context(), first); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the picture that was there before: %v", err)
	}
}

// TestLiveHandlerEqualsStaticHandler sends the same requests to both handlers.
func TestLiveHandlerEqualsStaticHandler(t *testing.T) {
	opts := options()
	opts.LiveScript = "/-/live.js"
	out := filepath.Join(t.TempDir(), "site")
	if _, err := site.Build(t.Context(), source(), out, opts); err != nil {
		t.Fatal(err)
	}
	built, live := static.Handler(out), live(t, source(), opts)
	checkedLive(t, live)
	for _, address := range []string{"/", "/one/start/", "/one/start", "/zh/one/start/", "/zh/", "/nowhere/", "/zh/nowhere", "/search/index.json", "/robots.txt", "/../x", "/.sitegen", "/404.html"} {
		answer := func(h http.Handler) (int, string, string) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
			return w.Code, w.Header().Get("Content-Type") + w.Header().Get("Content-Security-Policy"), w.Body.String()
		}
		code, head, body := answer(live)
		wantCode, wantHead, wantBody := answer(built)
		if wantCode == http.StatusMovedPermanently {
			wantCode, body, wantBody = http.StatusFound, "", "" // browsers keep the other for ever
		}
		if code != wantCode || head != wantHead || body != wantBody {
			t.Errorf("%s: status %d, %q, %d bytes; want %d, %q, %d bytes", address, code, head, len(body), wantCode, wantHead, len(wantBody))
		}
	}
}

func TestALiveSiteBelowAPath(t *testing.T) {
	opts := options()
	opts.BaseURL, opts.LiveScript = "https://example.org/course/", "/-/live.js"
	l := live(t, source(), opts)
	for _, c := range []struct {
		address, location string
		status            int
	}{
		{"/course/", "", http.StatusOK},
		{"/course", "/course/", http.StatusFound},
		{"/", "/course/", http.StatusFound},
		{"/course/one/start/", "", http.StatusOK},
		{"/course/one/start?x=1", "/course/one/start/?x=1", http.StatusFound},
		{"/course/nowhere", "", http.StatusNotFound},
		{"/one/start/", "", http.StatusNotFound},
		{"/courses", "", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		l.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.address, nil))
		if w.Code != c.status || w.Header().Get("Location") != c.location {
			t.Errorf("%s: status %d to %q", c.address, w.Code, w.Header().Get("Location"))
		}
	}
}
