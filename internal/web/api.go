package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/labd-dev/labd/internal/check"
	"github.com/labd-dev/labd/internal/fault"
	"github.com/labd-dev/labd/internal/session"
	"github.com/labd-dev/labd/sandbox"
)

type errorJSON struct {
	Code    fault.Code `json:"code"`
	Detail  string     `json:"detail,omitempty"`
	Message string     `json:"message"`
	ID      string     `json:"id,omitempty"`
}

type sessionJSON struct {
	ID        string              `json:"id"`
	Lab       string              `json:"lab"`
	Lang      string              `json:"lang"`
	State     session.State       `json:"state"`
	Engine    session.EngineState `json:"engine"`
	Error     *errorJSON          `json:"error,omitempty"`
	Notice    string              `json:"notice,omitempty"`
	Created   time.Time           `json:"created_at"`
	Expires   time.Time           `json:"expires_at"`
	Warn      time.Time           `json:"warn_at"`
	Now       time.Time           `json:"now"`
	Nodes     []nodeJSON          `json:"nodes"`
	Terminals []terminalJSON      `json:"terminals"`
	Variables map[string]string   `json:"variables"`
	Steps     []stepJSON          `json:"steps"`
	Replay    *replayJSON         `json:"replay,omitempty"`
}

type nodeJSON struct {
	Name   string              `json:"name"`
	State  session.NodeState   `json:"state"`
	Engine session.EngineState `json:"engine"`
	Notice string              `json:"notice,omitempty"`
}

type replayJSON struct {
	Step   string `json:"step"`
	Done   int    `json:"done"`
	Total  int    `json:"total"`
	To     string `json:"to"`
	Failed bool   `json:"failed,omitempty"`
}

type terminalJSON struct {
	ID   string `json:"id"`
	Node string `json:"node"`
}

type stepJSON struct {
	Anchor string            `json:"anchor"`
	Title  string            `json:"title,omitempty"`
	State  session.StepState `json:"state"`
	Done   *time.Time        `json:"done_at,omitempty"`
	Report *check.Report     `json:"report,omitempty"`
}

func toJSON(v session.View) sessionJSON {
	j := sessionJSON{
		ID: v.ID, Lab: v.Lab, Lang: v.Lang, State: v.State, Engine: v.Engine, Notice: v.Notice,
		Created: v.Created.UTC(), Expires: v.Expires.UTC(), Warn: v.Warn.UTC(), Now: time.Now().UTC(),
		Nodes:     []nodeJSON{},
		Terminals: []terminalJSON{},
		Variables: v.Variables,
		Steps:     []stepJSON{},
	}
	if v.Error != nil {
		j.Error = &errorJSON{Code: v.Error.Code, Detail: v.Error.Detail, Message: v.Error.Message}
	}
	for _, n := range v.Nodes {
		j.Nodes = append(j.Nodes, nodeJSON(n))
	}
	if v.Replay != nil {
		r := replayJSON(*v.Replay)
		j.Replay = &r
	}
	for _, t := range v.Terminals {
		j.Terminals = append(j.Terminals, terminalJSON(t))
	}
	for _, st := range v.Steps {
		s := stepJSON{Anchor: st.Anchor, Title: st.Title, State: st.State}
		if st.State == session.Done {
			done := st.Done.UTC()
			s.Done = &done
		} else {
			s.Report = st.Report
		}
		j.Steps = append(j.Steps, s)
	}
	return j
}

// answer writes v as JSON. Write errors are ignored: the client has gone.
func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only values of our own types are passed
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// takeBody reads the whole body before a handler runs. A client that sends it slowly then only occupies its own goroutine,
// and for a limited time.
// Errors: Invalid, TooLarge.
func takeBody(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTimeout)) // not every ResponseWriter in tests supports deadlines
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = rc.SetReadDeadline(time.Time{})
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return fault.New(fault.TooLarge, "The request is larger than 64 KiB.", err)
	case err != nil:
		return fault.New(fault.Invalid, "The request could not be read.", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return nil
}

// body decodes the request's JSON into v. Errors: Invalid.
func body(r *http.Request, v any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return fault.New(fault.Invalid, "The request's Content-Type must be application/json.", err)
	}
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fault.New(fault.Invalid, "The request is not the JSON that docs/api.md describes.", err)
	}
	return nil
}

func (s *Server) getStatus(w http.ResponseWriter, _ *http.Request) error {
	st := s.cfg.Labs.Status()
	labs := "ready"
	if !st.Ready {
		labs = "off"
	}
	answer(w, http.StatusOK, map[string]any{
		"labs": labs, "reason": st.Reason, "detail": st.Detail, "version": s.cfg.Version, "sessions": st.Sessions, "limit": st.Limit,
	})
	return nil
}

// getMe returns what labd knows about the learner.
func (s *Server) getMe(w http.ResponseWriter, r *http.Request) error {
	l, err := s.who(r)
	if err != nil {
		return err
	}
	orNull := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	answer(w, http.StatusOK, map[string]any{"name": orNull(l.Name), "role": l.Role, "class": orNull(l.Class)})
	return nil
}

func (s *Server) getProgress(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learnerOrNew(w, r)
	if err != nil {
		return err
	}
	list, err := s.cfg.Labs.Progress(r.Context(), learner)
	if err != nil {
		return err
	}
	type labJSON struct {
		Steps map[string]time.Time `json:"steps"`
		Done  bool                 `json:"done"`
	}
	all := map[string]labJSON{}
	for _, p := range list {
		all[p.Lab] = labJSON{Steps: p.Steps, Done: p.Done}
	}
	answer(w, http.StatusOK, map[string]any{"labs": all})
	return nil
}

func (s *Server) postSession(w http.ResponseWriter, r *http.Request) error {
	var req struct {
		Lab  string `json:"lab"`
		Lang string `json:"lang"`

		StartOver bool `json:"start_over"`
	}
	if err := body(r, &req); err != nil {
		return err
	}
	learner, err := s.learnerOrNew(w, r)
	if err != nil {
		return err
	}
	if !s.limits.starts.allow(key(learner)) {
		return errTooFast
	}
	v, existing, err := s.cfg.Labs.Create(r.Context(), learner, req.Lab, req.Lang, req.StartOver)
	if err != nil {
		return err
	}
	st := http.StatusCreated
	if existing {
		st = http.StatusOK
	}
	answer(w, st, toJSON(v))
	return nil
}

func (s *Server) getSessions(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	list := []sessionJSON{}
	for _, v := range s.cfg.Labs.List(learner, r.URL.Query().Get("lab")) {
		list = append(list, toJSON(v))
	}
	answer(w, http.StatusOK, map[string]any{"sessions": list})
	return nil
}

func (s *Server) getSession(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	v, err := s.cfg.Labs.Get(r.Context(), learner, r.PathValue("id"))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, toJSON(v))
	return nil
}

func (s *Server) postExtend(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	v, err := s.cfg.Labs.Extend(r.Context(), learner, r.PathValue("id"))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, toJSON(v))
	return nil
}

func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	if err := s.cfg.Labs.End(r.Context(), learner, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) postReset(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	var req struct {
		StartOver bool `json:"start_over"`
	}
	if err := body(r, &req); err != nil {
		return err
	}
	if !s.limits.starts.allow(key(learner)) { // it costs as much as a start
		return errTooFast
	}
	v, err := s.cfg.Labs.Reset(r.Context(), learner, r.PathValue("id"), req.StartOver)
	if err != nil {
		return err
	}
	answer(w, http.StatusAccepted, toJSON(v))
	return nil
}

func (s *Server) postRestoreImages(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	if !s.limits.starts.allow(key(learner)) {
		return errTooFast
	}
	if err := s.cfg.Labs.RestoreImages(r.Context(), learner, r.PathValue("id"), r.PathValue("node")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) postCheck(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	if !s.limits.checks.allow(key(learner)) {
		return errTooFast
	}
	step, err := s.cfg.Labs.Check(r.Context(), learner, r.PathValue("id"), r.PathValue("step"))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, step.Report)
	return nil
}

func (s *Server) postTerminal(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	var req struct {
		ID   string `json:"id"`
		Node string `json:"node"`
		Cols uint16 `json:"cols"`
		Rows uint16 `json:"rows"`
	}
	if err := body(r, &req); err != nil {
		return err
	}
	if !s.limits.terminals.allow(key(learner)) {
		return errTooFast
	}
	id := r.PathValue("id")
	node, err := s.cfg.Shells.OpenTerminal(r.Context(), learner, id, req.ID, req.Node, sandbox.Size{Cols: req.Cols, Rows: req.Rows})
	if err != nil {
		return err
	}
	ticket, err := s.tickets.issue(grant{learner: learner, session: id, terminal: req.ID}, time.Now())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, map[string]string{"id": req.ID, "node": node, "ticket": ticket})
	return nil
}

func (s *Server) deleteTerminal(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	if err := s.cfg.Shells.CloseTerminal(r.Context(), learner, r.PathValue("id"), r.PathValue("tid")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// getEvents streams the session's views as server-sent events. A slow client only gets the newest view, not all of them.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	learner, err := s.learner(r)
	if err != nil {
		return err
	}
	sub, err := s.cfg.Labs.Subscribe(r.Context(), learner, r.PathValue("id"))
	if err != nil {
		return err
	}
	defer sub.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // tells nginx not to buffer the stream
	rc := http.NewResponseController(w)
	send := func(text string) error {
		if err := rc.SetWriteDeadline(time.Now().Add(eventTimeout)); err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		return rc.Flush()
	}
	sendView := func() error {
		data, err := json.Marshal(toJSON(sub.View()))
		if err != nil {
			return err
		}
		return send("event: session\ndata: " + string(data) + "\n\n")
	}
	// The response has begun, so an error can only end it.
	if sendView() != nil {
		return nil
	}
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	for {
		select {
		case <-r.Context().Done():
			return nil
		case <-s.closing:
			return nil
		case <-sub.Gone():
			_ = sendView()
			return nil
		case <-sub.Changed():
			err = sendView()
		case <-ticker.C:
			err = send(":\n\n")
		}
		if err != nil {
			return nil
		}
	}
}
