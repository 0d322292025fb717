package config_test

import (
	"strings"
	"testing"

	"github.com/labd-dev/labd/internal/config"
	"github.com/labd-dev/labd/sandbox/docker/isolation"
)

// Behind a reverse proxy labd listens on loopback, but other machines can still reach it.
func TestRuncIsRefusedBehindAPublicName(t *testing.T) {
	for base, ok := range map[string]bool{
		"": true, "http://localhost:8080": true, "http://labs.localhost": true, "http://127.0.0.1:80": true, "http://[::1]:8080": true,
		"https://labs.example.org": false, "http://192.168.1.5": false, "http://localhost.example.org": false,
	} {
		c := config.Default()
		c.BaseURL = base
		c.Sandbox.Isolation = isolation.Runc()
		if err := c.Check(); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "be at "+base) {
			t.Errorf("base_url %q: %v", base, err)
		}
		c.Sandbox.ITrustMyLearners = true
		if err := c.Check(); err != nil {
			t.Errorf("base_url %q with trust: %v", base, err)
		}
		c.Sandbox.ITrustMyLearners, c.Sandbox.Isolation = false, isolation.GVisor()
		if err := c.Check(); err != nil {
			t.Errorf("base_url %q with gVisor: %v", base, err)
		}
	}
}
