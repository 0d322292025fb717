// Package literal reads the values in JavaScript and JSON settings files without running any code.
//
// It understands objects, arrays, strings, numbers, true and false, names of constants that the
// same file declares, and calls whose arguments are such values. Everything else (functions,
// conditions, require) becomes Unknown, and the rest of the file is still read.
package literal

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Limits on one file.
const (
	maxDepth  = 40      // nesting depth of objects and arrays
	maxValues = 200_000 // values of one file
	maxNames  = 20      // constants that refer to others
)

// Value is nil, a bool, a string, a Number, an Array, an *Object, a Call or Unknown.
type Value any

// Number is the source text of a number.
type Number string

// Array is a list of values.
type Array []Value

// Object is an object. It keeps the order of its keys and omits spread objects.
type Object struct {
	Keys   []string
	Values map[string]Value
}

// Call is a function call.
type Call struct {
	Name string
	Args []Value
}

// Unknown stands for a value that only running the code would tell.
type Unknown struct{}

// name refers to a constant. resolve replaces it by the constant's value.
type name string

// Get returns the value of a key, nil if there is none.
func (o *Object) Get(key string) Value {
	if o == nil {
		return nil
	}
	return o.Values[key]
}

// Text returns v if it is a string, else "".
func Text(v Value) string {
	switch v := v.(type) {
	case string:
		return v
	case Number:
		return string(v)
	}
	return ""
}

// AsObject returns v if it is an object, else nil. For a call it returns the first argument, as in
// defineConfig({…}).
func AsObject(v Value) *Object {
	switch v := v.(type) {
	case *Object:
		return v
	case Call:
		if len(v.Args) > 0 {
			return AsObject(v.Args[0])
		}
	}
	return nil
}

// AsArray returns v if it is an array, else nil.
func AsArray(v Value) Array {
	a, _ := v.(Array)
	return a
}

// Parse returns the value that a file exports, with module.exports or export default, or the value
// of a JSON file. It returns an error if there is no such value.
func Parse(src string) (Value, error) {
	p := &parser{s: src, consts: map[string]Value{}}
	var exported Value
	p.space()
	if c := p.peek(); c == '{' || c == '[' {
		exported = p.value(0)
	} else {
		exported = p.file()
	}
	if exported == nil {
		return nil, errors.New("it exports no value that can be read without running it")
	}
	return p.resolve(exported, 0, 0), nil
}

type parser struct {
	s      string
	i      int
	count  int
	consts map[string]Value
}

// file reads the statements of a script.
func (p *parser) file() Value {
	var exported Value
	for p.i < len(p.s) {
		p.space()
		word := p.word()
		switch word {
		case "":
			p.skipOne()
			continue
		case "const", "let", "var":
			p.space()
			if id := p.word(); id != "" && p.assignment() {
				p.consts[id] = p.value(0)
			}
		case "export":
			p.space()
			if p.word() == "default" {
				exported = p.value(0)
			}
		case "module.exports":
			p.space()
			if p.peek() == '=' {
				p.i++
				exported = p.value(0)
			}
		}
	}
	return exported
}

// assignment skips a type annotation and moves behind the = of a declaration.
func (p *parser) assignment() bool {
	for p.i < len(p.s) {
		p.space()
		switch p.peek() {
		case '=':
			p.i++
			return p.peek() != '>'
		case ';', ',', 0:
			return false
		default:
			p.skipOne()
		}
	}
	return false
}

func (p *parser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

// space skips blanks and comments.
func (p *parser) space() {
	for p.i < len(p.s) {
		rest := p.s[p.i:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			p.i++
		case strings.HasPrefix(rest, "//"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			p.i += n
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				p.i = len(p.s)
				return
			}
			p.i += n + 4
		default:
			return
		}
	}
}

// word reads an identifier, or several joined by dots.
func (p *parser) word() string {
	start := p.i
	for p.i < len(p.s) {
		c := p.s[p.i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c >= 0x80 || p.i > start && (c >= '0' && c <= '9' || c == '.') {
			p.i++
			continue
		}
		break
	}
	return p.s[start:p.i]
}

// skipOne skips a character, a string, or a pair of brackets with its content.
func (p *parser) skipOne() {
	switch c := p.peek(); c {
	case '"', '\'', '`':
		p.text()
	case '(', '[', '{':
		depth := 0
		for p.i < len(p.s) {
			p.space()
			switch p.peek() {
			case '(', '[', '{':
				depth++
				p.i++
			case ')', ']', '}':
				depth--
				p.i++
			case '"', '\'', '`':
				p.text()
			default:
				p.i++
			}
			if depth <= 0 {
				return
			}
		}
	default:
		p.i++
	}
}

// text reads a string. ok is false for a template string with expressions.
func (p *parser) text() (s string, ok bool) {
	quote := p.s[p.i]
	var b strings.Builder
	ok = true
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == quote:
			p.i++
			return b.String(), ok
		case c == '\n' && quote != '`':
			return b.String(), false
		case c == '$' && quote == '`' && strings.HasPrefix(p.s[p.i:], "${"):
			ok = false
		case c == '\\' && p.i+1 < len(p.s):
			p.i++
			switch e := p.s[p.i]; e {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case 'u':
				if r, ok := hex4(p.s[p.i+1:]); ok {
					b.WriteRune(r)
					p.i += 4
				}
			default:
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), false
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for i := range 4 {
		d := strings.IndexByte("0123456789abcdef", s[i]|0x20)
		if d < 0 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, utf8.ValidRune(r)
}

// value reads a value and skips what follows it up to the next comma or bracket, such as a type or
// an operator.
func (p *parser) value(depth int) Value {
	v := p.primary(depth)
	for p.i < len(p.s) {
		before := p.i
		p.space()
		switch c := p.peek(); {
		case c == 0 || strings.IndexByte(",;}])", c) >= 0:
			return v
		case depth == 0 && strings.Contains(p.s[before:p.i], "\n") && isLetter(c):
			if rest := p.s[p.i:]; !strings.HasPrefix(rest, "as ") && !strings.HasPrefix(rest, "satisfies ") {
				return v // the next statement
			}
			p.word()
		case isLetter(c): // as const, satisfies Config
			p.word()
		default:
			if c != '<' && c != '>' && c != '.' {
				v = Unknown{}
			}
			p.skipOne()
		}
	}
	return v
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$'
}

func (p *parser) primary(depth int) Value {
	p.space()
	if p.count++; depth > maxDepth || p.count > maxValues {
		p.skipOne()
		return Unknown{}
	}
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth, ']')
	case c == '"' || c == '\'' || c == '`':
		if s, ok := p.text(); ok {
			return s
		}
		return Unknown{}
	case c >= '0' && c <= '9' || c == '-':
		start := p.i
		for p.i++; p.i < len(p.s) && strings.IndexByte("0123456789.eE+-_xabcdefABCDF", p.s[p.i]) >= 0; p.i++ {
		}
		return Number(p.s[start:p.i])
	case isLetter(c) || c >= 0x80:
		word := p.word()
		p.space()
		switch {
		case word == "true" || word == "false":
			return word == "true"
		case word == "null" || word == "undefined":
			return nil
		case word == "async" || word == "function" || word == "new" || word == "await":
			return Unknown{}
		case p.peek() == '(':
			return Call{Name: word, Args: p.array(depth, ')')}
		}
		return name(word)
	}
	return Unknown{}
}

func (p *parser) array(depth int, end byte) Array {
	out := Array{}
	p.i++
	for p.i < len(p.s) {
		p.space()
		switch c := p.peek(); {
		case c == end:
			p.i++
			return out
		case c == ',':
			p.i++
		case strings.IndexByte("}]);", c) >= 0:
			return out
		case strings.HasPrefix(p.s[p.i:], "..."):
			p.i += 3
			if spread, ok := p.value(depth + 1).(Array); ok {
				out = append(out, spread...)
			}
		default:
			out = append(out, p.value(depth+1))
		}
	}
	return out
}

func (p *parser) object(depth int) Value {
	o := &Object{Values: map[string]Value{}}
	p.i++
	for p.i < len(p.s) {
		p.space()
		key := ""
		switch c := p.peek(); {
		case c == '}':
			p.i++
			return o
		case c == ',':
			p.i++
			continue
		case strings.IndexByte("]);", c) >= 0:
			return o
		case c == '"' || c == '\'':
			key, _ = p.text()
		case strings.HasPrefix(p.s[p.i:], "..."):
			p.i += 3
			p.value(depth + 1)
			continue
		default:
			start := p.i
			for p.i < len(p.s) && (isLetter(p.s[p.i]) || p.s[p.i] >= 0x80 || p.s[p.i] >= '0' && p.s[p.i] <= '9') {
				p.i++
			}
			if key = p.s[start:p.i]; key == "" {
				p.skipOne()
				continue
			}
		}
		p.space()
		var v Value = name(key) // {docs} is short for {docs: docs}
		switch p.peek() {
		case ':':
			p.i++
			v = p.value(depth + 1)
		case '(': // a method
			p.skipOne()
			p.space()
			if p.peek() == '{' {
				p.skipOne()
			}
			v = Unknown{}
		case ',', '}':
		default: // async f() {}, get x() {}
			continue
		}
		if _, ok := o.Values[key]; !ok {
			o.Keys = append(o.Keys, key)
		}
		o.Values[key] = v
	}
	return o
}

// resolve replaces names by the values of their constants.
func (p *parser) resolve(v Value, depth, names int) Value {
	if p.count++; depth > maxDepth || p.count > 2*maxValues {
		return Unknown{}
	}
	switch v := v.(type) {
	case name:
		c, ok := p.consts[string(v)]
		if !ok || names > maxNames {
			return Unknown{}
		}
		return p.resolve(c, depth+1, names+1)
	case Array:
		out := make(Array, len(v))
		for i := range v {
			out[i] = p.resolve(v[i], depth+1, names)
		}
		return out
	case Call:
		args := make([]Value, len(v.Args))
		for i := range v.Args {
			args[i] = p.resolve(v.Args[i], depth+1, names)
		}
		return Call{v.Name, args}
	case *Object:
		out := &Object{Keys: v.Keys, Values: make(map[string]Value, len(v.Values))}
		for k, value := range v.Values {
			out.Values[k] = p.resolve(value, depth+1, names)
		}
		return out
	}
	return v
}
