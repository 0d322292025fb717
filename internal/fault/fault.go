// Package fault is the error that crosses from labd to a person: a code for programs, a sentence for the person and a
// cause for the log.
//
// Inside a package plain errors wrapped with %w are enough. At the edge where a failure gets a meaning for the caller,
// wrap it once with New. Code and Message read it back through any number of wraps; an error without one is Internal,
// and its text is never shown.
package fault

import "errors"

// Code is what a program switches on. Package web has the one table from Code to HTTP status.
type Code string

const (
	Internal     Code = "internal"     // a defect or an unexpected failure
	Invalid      Code = "invalid"      // the request can never work
	Unauthorized Code = "unauthorized" // no or an unknown learner
	Forbidden    Code = "forbidden"    // the learner may not do this
	NotFound     Code = "not_found"    // no such thing, or not this learner's
	Conflict     Code = "conflict"     // not in the present state
	Full         Code = "full"         // the class limit is reached
	LabsOff      Code = "labs_off"     // no engine; the site still works
	NodeDown     Code = "node_down"    // the learner's node ended
	TooMany      Code = "too_many"     // rate or count limit of one learner
	TooLarge     Code = "too_large"    // body or message over its limit
	Gone         Code = "gone"         // the session has ended
)

// Error is an error with a code and a sentence for the person.
type Error struct {
	Code    Code
	Detail  string // tells errors with the same Code apart, for pages that have words of their own; "" for none
	Message string // plain English: what happened, what it means, what to do next
	Err     error  // the cause, for the log; may be nil
}

// New returns an Error. err may be nil.
func New(code Code, message string, err error) *Error {
	return &Error{Code: code, Message: message, Err: err}
}

// Because returns a copy of e with another cause: the same sentence for the person, and err for the log.
func (e *Error) Because(err error) *Error {
	return &Error{Code: e.Code, Detail: e.Detail, Message: e.Message, Err: err}
}

// Detailed sets the Detail and returns e.
func (e *Error) Detailed(detail string) *Error {
	e.Detail = detail
	return e
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the outermost Error in err's chain, Internal if there is none, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// DetailOf returns the Detail of the outermost Error in err's chain, "" if there is none.
func DetailOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return ""
}

// MessageOf returns the sentence for the person. An error without one gives a fixed sentence, so nothing internal leaks.
func MessageOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "Something went wrong on the server. Please try again; if it stays, tell your instructor."
}
