package web

import "time"

// SetStall shortens the time after which a client that does not read is given up.
func (s *Server) SetStall(d time.Duration) { s.stall = d }

// Terminals returns how many WebSockets are open.
func (s *Server) Terminals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.terminals)
}
