// Package fault has the error type that labd shows to people: a code for programs, a sentence for the person, and a cause
// for the log.
//
// Inside a package, wrap plain errors with %w. Where a failure gets a meaning for the caller, wrap it once with New. CodeOf,
// DetailOf and MessageOf find the Error in a chain of wrapped errors. An error without one has the code Internal, and its
// text is never shown to people.
package fault

import "errors"

// Code says what kind of error it is. Package web maps it to an HTTP status.
type Code string

const (
	Internal     Code = "internal"     // a defect or an unexpected failure
	Invalid      Code = "invalid"      // the request is wrong and can never work
	Unauthorized Code = "unauthorized" // no cookie, or one that labd does not know
	Forbidden    Code = "forbidden"    // the learner may not do this
	NotFound     Code = "not_found"    // it does not exist, or belongs to another learner
	Conflict     Code = "conflict"     // not possible in the present state
	Full         Code = "full"         // the limit of the whole class is reached
	LabsOff      Code = "labs_off"     // the container engine is unavailable; the site still works
	NodeDown     Code = "node_down"    // the learner's node can't be reached, and is being restarted
	TooMany      Code = "too_many"     // a rate or count limit of one learner is reached
	TooLarge     Code = "too_large"    // the body or message is over its limit
	Gone         Code = "gone"         // the session has ended
)

// Error is an error with a code and a sentence for the person.
type Error struct {
	Code    Code
	Detail  string // distinguishes errors with the same Code, for pages in other languages; "" if there is none
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

// MessageOf returns the sentence for the person. For an error without one it returns a fixed sentence, so no internal text
// leaks.
func MessageOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "Something went wrong on the server. Please try again; if it stays, tell your instructor."
}
