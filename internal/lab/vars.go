package lab

import (
	"crypto/rand"
	"regexp"
	"strings"
)

// EnvPrefix is the prefix of the environment variables that hold a lab's variables.
const EnvPrefix = "LAB_"

var placeholder = regexp.MustCompile(`\{\{([a-z][a-z0-9_]{0,31})\}\}`)

// reserved are keywords of Go templates, which commands such as `docker ps --format` use in double
// braces.
var reserved = map[string]bool{"end": true, "else": true, "break": true, "continue": true}

// Expand replaces every {{name}} in text by the value of the variable. It keeps names that are not
// in vars.
func Expand(text string, vars map[string]string) string {
	if !strings.Contains(text, "{{") {
		return text
	}
	return placeholder.ReplaceAllStringFunc(text, func(m string) string {
		if v, ok := vars[m[2:len(m)-2]]; ok {
			return v
		}
		return m
	})
}

// Env returns the environment variables that hold vars in shells and scripts.
func Env(vars map[string]string) map[string]string {
	env := make(map[string]string, len(vars))
	for name, v := range vars {
		env[EnvPrefix+strings.ToUpper(name)] = v
	}
	return env
}

// NewVars returns random values for a new session. They begin with a letter and avoid characters
// that look alike.
func (l *Lab) NewVars() map[string]string {
	const letters = "abcdefghjkmnpqrstuvwxyz"
	const all = letters + "23456789"
	vars := make(map[string]string, len(l.Variables))
	for _, v := range l.Variables {
		b := make([]byte, v.Length)
		_, _ = rand.Read(b) // never returns an error
		for i := range b {
			set := all
			if i == 0 {
				set = letters
			}
			b[i] = set[int(b[i])%len(set)]
		}
		vars[v.Name] = string(b)
	}
	return vars
}
