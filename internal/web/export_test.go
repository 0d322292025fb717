package web

import "time"

// SetStall makes a client that takes nothing a lost one sooner.
func (s *Server) SetStall(d time.Duration) { s.stall = d }

// Terminals is how many WebSockets are open.
func (s *Server) Terminals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.terminals)
}
