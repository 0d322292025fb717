package web_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/labd-dev/labd/sandbox"
)

// Every layer must accept the largest run that docs/api.md allows. A larger one is a protocol error: it must not look like a
// node that went down, because the page would then send it again for ever.
func TestRunAcceptsIDsAndTextsUpToTheirLimits(t *testing.T) {
	w := newWorld(t, nil)
	l := w.learner()
	s := l.start()
	c := l.attach(s.ID, "t1", -1)
	c.typeText("stty -echo; PS1=; echo quiet-$((1+1))\n")
	c.until("quiet-2")
	const line = ": '<<<<<<<<<<<<<<<<<<<<<<<'\n" // which JSON writes as escapes
	text := strings.Repeat(line, (sandbox.MaxRunText-100)/len(line)) + "echo sum-$((40+2))\n"
	text = strings.Repeat("\n", sandbox.MaxRunText-len(text)) + text
	run := func(id, text string) {
		b, err := json.Marshal(map[string]string{"type": "run", "id": id, "text": text})
		if err != nil {
			t.Fatal(err)
		}
		// As browsers write JSON: without escapes for <.
		c.send(websocket.TextMessage, []byte(strings.ReplaceAll(string(b), `\u003c`, "<")))
	}
	run(strings.Repeat("i", sandbox.MaxRunID), text)
	c.until("sum-42")
	run(strings.Repeat("i", sandbox.MaxRunID+1), "true\n")
	if code := c.closed(); code != websocket.ClosePolicyViolation {
		t.Errorf("an id that is too long closes with %d", code)
	}
	c = l.attach(s.ID, "t1", -1)
	run("j", text+"\n")
	if code := c.closed(); code != websocket.ClosePolicyViolation {
		t.Errorf("a text that is too long closes with %d", code)
	}
}
