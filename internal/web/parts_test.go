package web_test

import (
	"crypto/md5"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/labd-dev/labd/sandbox"
)

func md5sum(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func readAttachment(t testing.TB, att sandbox.Attachment, want string) {
	t.Helper()
	guard := time.AfterFunc(patience, func() { _ = att.Close() })
	defer guard.Stop()
	var all strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(all.String(), want) {
		n, err := att.Read(buf)
		all.Write(buf[:n])
		if err != nil {
			t.Fatalf("read %q instead of %q: %v", all.String(), want, err)
		}
	}
}
