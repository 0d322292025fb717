package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/labd-dev/labd/internal/static"
)

const lighthouseTime = 10 * time.Second // for the head of a request

// measureLighthouse: what Lighthouse says of our own course, served as operators serve it: built for its address, by the
// site's own handler.
func measureLighthouse(ctx context.Context, s *siteBench) (rows []row, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	url := "http://" + listener.Addr().String()
	out := filepath.Join(s.dir, "lighthouse")
	server := &http.Server{Handler: static.Handler(out), ReadHeaderTimeout: lighthouseTime}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		err = errors.Join(err, server.Close())
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}()
	if _, err := measured(ctx, ".", s.sitegen, "build", "-out", out, "-base-url", url+"/"); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "node", "lighthouse.bench.mjs", url, "/", "/containers/running-containers/", "/search/", "/zh/containers/running-containers/")
	cmd.Dir = "e2e"
	cmd.Stderr = os.Stderr
	data, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("e2e/lighthouse.bench.mjs: %w", err)
	}
	var pages []struct {
		Path      string
		Scores    map[string]int
		Imperfect []string
	}
	if err := json.Unmarshal(data, &pages); err != nil {
		return nil, fmt.Errorf("e2e/lighthouse.bench.mjs printed %q: %w", data, err)
	}
	for _, p := range pages {
		var scores []string
		met := true
		for _, category := range []string{"performance", "accessibility", "best-practices", "seo"} {
			scores = append(scores, fmt.Sprint(p.Scores[category]))
			met = met && p.Scores[category] == 100
		}
		for _, audit := range p.Imperfect {
			fmt.Fprintf(os.Stderr, "lighthouse, %s: %s\n", p.Path, audit)
		}
		rows = append(rows, row{figure: "Lighthouse, " + p.Path + ": performance, accessibility, best practices, SEO",
			ours: strings.Join(scores, " "), floor: "-", goal: "100 each", met: met})
	}
	return rows, nil
}
