package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/labd-dev/labd/site/corpus"
)

// hugoVersion is what sitegen is compared with, built from Go's module proxy.
const hugoVersion = "v0.165.0"

// hugoFiles is a Hugo site with the features that a sitegen site has and Hugo can have without a theme: side bar (once per
// module), table of contents, previous and next, tags, feed, sitemap, robots, 404, coloured code by class, fingerprinted and
// minified assets with integrity, minified HTML, resolved links between pages, and all text as one search file.
//
//go:embed all:hugo
var hugoFiles embed.FS

// buildHugo returns the hugo program, built once into build/.
func buildHugo(ctx context.Context) (string, error) {
	dir, err := filepath.Abs(filepath.Join("build", "hugo-"+hugoVersion))
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "hugo")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	fmt.Fprintf(os.Stderr, "building Hugo %s from the module proxy: this takes minutes, once\n", hugoVersion)
	cmd := exec.CommandContext(ctx, "go", "install", "github.com/gohugoio/hugo@"+hugoVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("building Hugo: %w", err)
	}
	return bin, nil
}

// writeCourses puts one corpus of n lessons on disk twice: as sitegen's content folder and as a Hugo site.
func writeCourses(c courseDirs, n int) error {
	layouts, err := fs.Sub(hugoFiles, "hugo")
	if err != nil {
		return err
	}
	if err := os.CopyFS(c.hugoSite, layouts); err != nil {
		return err
	}
	style, err := os.ReadFile(filepath.Join("site", "assets", "css", "base.css"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.hugoSite, "assets", "site.css"), style, 0o644); err != nil {
		return err
	}
	for name, f := range corpus.New(n) {
		for _, target := range []string{
			filepath.Join(c.content, filepath.FromSlash(name)),
			filepath.Join(c.hugoSite, "content", filepath.FromSlash(strings.TrimPrefix(name, "en/"))),
		} {
			if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(target, f.Data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
