package diagram

import "encoding/json"

// recipe changes whenever the same text gives another picture than before; a test tells when.
const recipe = "2"

// Cache keeps pictures from one run to the next: laying one out takes a tenth of a second, and what is kept of it is some 5 KB.
// Get returns nil for what is not there.
type Cache interface {
	Get(key string) []byte
	Put(key string, data []byte)
}

type entry struct {
	Width, Height, Left, Top int
	Labels                   []string
	Body                     string
}

func key(text string) string { return "diagram\x00" + recipe + "\x00" + text }

// fetch returns the picture of a text if it is kept.
func (m *Maker) fetch(text string) *Picture {
	if m.disk == nil {
		return nil
	}
	var e entry
	if data := m.disk.Get(key(text)); data == nil || json.Unmarshal(data, &e) != nil {
		return nil
	}
	return &Picture{Width: e.Width, Height: e.Height, Labels: e.Labels, left: e.Left, top: e.Top, body: e.Body}
}

func (m *Maker) keep(text string, p *Picture) {
	if m.disk == nil {
		return
	}
	if data, err := json.Marshal(entry{p.Width, p.Height, p.left, p.top, p.Labels, p.body}); err == nil {
		m.disk.Put(key(text), data)
	}
}
