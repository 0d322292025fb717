package highlight

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/alecthomas/chroma/v2"
)

// A match takes a step for each thing it tries. What needs more than a text of its length should is not coloured.
const (
	minSteps     = 1 << 20
	stepsPerByte = 256
	maxStack     = 10_000 // states
	maxIdle      = 1000   // matches of nothing in a row
	maxNested    = 20     // languages in languages
)

// maxToken is where chroma begins a new token of the same type.
const maxToken = 8192

var (
	errSteps = errors.New("colouring takes too long")
	errRules = errors.New("the language's rules went astray")
)

// lexer is a language of chroma's with its rules as programs.
type lexer struct {
	from     *chroma.RegexLexer
	flags    string
	states   []state
	names    map[string]int
	ensureNL bool
	sets     *sets
}

// state is made when a text first comes to it: many texts see few of a language's states.
type state struct {
	from  []*chroma.CompiledRule
	once  sync.Once
	err   error
	table [256][]*rule // those that can match, by the next byte
}

type rule struct {
	program *program
	change  []change
	emit    *emit
}

// change is a change of the stack of states: a state to push, or how many to pop.
type change struct{ push, pop int }

// What change.push says besides states.
const (
	pushSame    = -1
	pushUnknown = -2
)

// emit is what becomes of a match.
type emit struct {
	kind   emitKind
	token  chroma.TokenType
	groups []*emit
	state  string
	lexer  string
	call   chroma.EmitterFunc
	// The groups that name a language and that are in it, of emitNamed.
	name, code int
}

type emitKind int

const (
	emitToken emitKind = iota
	emitGroups
	emitSelf  // the same language again, in another state
	emitOther // another language
	emitNamed // groups, one of them in the language that another names
	emitCall  // whatever a function says
)

// newLexer makes a lexer of chroma's rules.
func newLexer(from *chroma.RegexLexer, sets *sets) (*lexer, error) {
	raw, err := from.Rules()
	if err != nil {
		return nil, err
	}
	config := from.Config()
	l := &lexer{from: from, names: map[string]int{}, ensureNL: config.EnsureNL, sets: sets}
	if !config.NotMultiline {
		l.flags += "m"
	}
	if config.CaseInsensitive {
		l.flags += "i"
	}
	if config.DotAll {
		l.flags += "s"
	}
	rules := chroma.CompiledRules{}
	for name, list := range raw {
		rules[name] = nil
		for _, r := range list {
			rules[name] = append(rules[name], &chroma.CompiledRule{Rule: r})
		}
	}
	if err := include(rules); err != nil {
		return nil, err
	}
	l.states = make([]state, len(rules))
	for name, list := range rules {
		l.states[len(l.names)].from = list
		l.names[name] = len(l.names)
	}
	return l, nil
}

// prepare compiles a state's rules.
func (l *lexer) prepare(s *state) error {
	rules := make([]rule, len(s.from))
	for i, from := range s.from {
		pattern := "(?:" + from.Pattern + ")"
		if l.flags != "" {
			pattern = "(?" + l.flags + ")" + pattern
		}
		var err error
		if rules[i].program, err = compile(`\G`+pattern, l.sets); err != nil {
			return fmt.Errorf("%s: %w", pattern, err)
		}
		if rules[i].emit, err = l.newEmit(from.Type); err != nil {
			return err
		}
		if rules[i].change, err = l.changes(from.Mutator, nil); err != nil {
			return err
		}
	}
	same := map[string][]*rule{}
	for b := range s.table {
		var key []byte
		var list []*rule
		for i := range rules {
			if rules[i].program.start.first.byte[b] {
				list = append(list, &rules[i])
				key = binary.AppendUvarint(key, uint64(i))
			}
		}
		if known, ok := same[string(key)]; ok {
			list = known
		}
		same[string(key)] = list
		s.table[b] = list
	}
	return nil
}

// include lets the rules that stand for others put them in their place.
func include(rules chroma.CompiledRules) error {
	for again := true; again; {
		again = false
		for state := range rules {
			for i := 0; i < len(rules[state]); i++ {
				m, ok := rules[state][i].Mutator.(chroma.LexerMutator)
				if !ok {
					continue
				}
				if err := m.MutateLexer(rules, state, i); err != nil {
					return err
				}
				again = true
				i = -1
			}
		}
	}
	return nil
}

// changes reads a mutator. Chroma tells nobody but its own XML writer what is in there, in fields that reflection can read.
func (l *lexer) changes(m chroma.Mutator, out []change) ([]change, error) {
	if m == nil {
		return out, nil
	}
	s, ok := m.(chroma.SerialisableMutator)
	if !ok {
		return nil, errUnsupported
	}
	switch v := reflect.Indirect(reflect.ValueOf(m)); s.MutatorKind() {
	case "mutators":
		list, ok := field[[]chroma.Mutator](v, "Mutators")
		if !ok {
			return nil, errUnsupported
		}
		var err error
		for _, m := range list {
			if out, err = l.changes(m, out); err != nil {
				return nil, err
			}
		}
		return out, nil
	case "push":
		states, ok := field[[]string](v, "States")
		if !ok {
			return nil, errUnsupported
		}
		if len(states) == 0 {
			return append(out, change{push: pushSame}), nil
		}
		for _, name := range states {
			if name == "#pop" {
				out = append(out, change{pop: 1})
				continue
			}
			state, ok := l.names[name]
			if !ok {
				state = pushUnknown
			}
			out = append(out, change{push: state})
		}
		return out, nil
	case "pop":
		depth, ok := field[int](v, "Depth")
		if !ok {
			return nil, errUnsupported
		}
		return append(out, change{pop: depth}), nil
	}
	return nil, errUnsupported
}

// trusted says whether functions among a language's rules use nothing but the groups they are given.
func trusted(language string) bool { return language == "Go" }

func (l *lexer) newEmit(e chroma.Emitter) (*emit, error) {
	if e == nil {
		return nil, nil
	}
	if t, ok := e.(chroma.TokenType); ok {
		return &emit{kind: emitToken, token: t}, nil
	}
	if f, ok := e.(chroma.EmitterFunc); ok && trusted(l.from.Config().Name) {
		return &emit{kind: emitCall, call: f}, nil
	}
	s, ok := e.(chroma.SerialisableEmitter)
	if !ok {
		return nil, errUnsupported
	}
	switch v := reflect.Indirect(reflect.ValueOf(e)); s.EmitterKind() {
	case "bygroups", "usingbygroup":
		list, ok := field[chroma.Emitters](v, "Emitters")
		if !ok {
			return nil, errUnsupported
		}
		out := &emit{kind: emitGroups, groups: make([]*emit, len(list))}
		if s.EmitterKind() == "usingbygroup" {
			var ok1, ok2 bool
			out.kind = emitNamed
			out.name, ok1 = field[int](v, "SublexerNameGroup")
			out.code, ok2 = field[int](v, "CodeGroup")
			if !ok1 || !ok2 || min(out.name, out.code) < 1 || max(out.name, out.code) > len(list) {
				return nil, errUnsupported
			}
		}
		for i, e := range list {
			var err error
			if out.groups[i], err = l.newEmit(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case "usingself":
		if state, ok := field[string](v, "State"); ok {
			return &emit{kind: emitSelf, state: state}, nil
		}
	case "using":
		if name, ok := field[string](v, "Lexer"); ok {
			return &emit{kind: emitOther, lexer: name}, nil
		}
	}
	return nil, errUnsupported
}

func field[T any](v reflect.Value, name string) (T, bool) {
	var none T
	if v.Kind() != reflect.Struct {
		return none, false
	}
	f := v.FieldByName(name)
	if !f.IsValid() || !f.CanInterface() {
		return none, false
	}
	out, ok := f.Interface().(T)
	return out, ok
}

// run is the colouring of one text, one after the other.
type run struct {
	lexers func(name string) (l *lexer, known bool) // of other languages; nil if only chroma can do it
	out    []chroma.Token
	// Where the last token is in the text that is being read; from is -1 if it isn't all there.
	from, to int
	steps    int

	words  []chroma.Token // of shellWords
	levels []*level       // by how deep a language is in others
}

type level struct {
	machine machine
	stack   []int // of states
}

// tokens cuts text into the tokens that chroma.Coalesce makes of it.
func (r *run) tokens(l *lexer, text string) ([]chroma.Token, error) {
	if strings.Contains(text, "\r") {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	}
	if !utf8.ValidString(text) {
		text = string([]rune(text))
	}
	text, added := l.withNewline(text)
	r.out, r.steps = r.out[:0], minSteps+stepsPerByte*len(text)
	if err := r.lex(l, text, "root", added, 0); err != nil {
		return nil, err
	}
	return r.out, nil
}

// withNewline adds the line end that some languages' rules rely on.
func (l *lexer) withNewline(text string) (string, bool) {
	if l.ensureNL && !strings.HasSuffix(text, "\n") {
		return text + "\n", true
	}
	return text, false
}

func (r *run) lex(l *lexer, text, first string, added bool, nested int) error {
	root, ok := l.names[first]
	if !ok || nested > maxNested {
		return errRules
	}
	for len(r.levels) <= nested {
		r.levels = append(r.levels, new(level))
	}
	lv := r.levels[nested]
	m, stack := &lv.machine, append(lv.stack[:0], root)
	defer func() { lv.stack = stack[:0] }()
	m.text, m.steps = text, r.steps
	p, end, idle := 0, len(text), 0
	if added {
		end--
	}
	for p < end && len(stack) > 0 {
		at := stack[len(stack)-1]
		s := &l.states[at]
		if s.once.Do(func() { s.err = l.prepare(s) }); s.err != nil {
			return s.err
		}
		var found *rule
		for _, rule := range s.table[text[p]] {
			if rule.program.match(m, p) {
				found = rule
				break
			}
			if m.steps < 0 {
				return errSteps
			}
		}
		if found == nil {
			if text[p] == '\n' && at != root {
				stack = append(stack[:0], root)
				continue
			}
			from := p
			p += size(text, p)
			r.add(chroma.Error, text, from, p)
			continue
		}
		to := m.groups[1]
		if idle++; to > p {
			idle = 0
		}
		if idle > maxIdle {
			return errRules
		}
		p = to
		for _, c := range found.change {
			switch {
			case c.pop > len(stack):
				return errRules
			case c.pop > 0:
				stack = stack[:len(stack)-c.pop]
			case c.push == pushSame:
				stack = append(stack, at)
			case c.push == pushUnknown:
				return errRules
			default:
				stack = append(stack, c.push)
			}
		}
		if len(stack) > maxStack {
			return errRules
		}
		if found.emit != nil {
			r.steps = m.steps
			if err := r.emit(l, found, m, nested); err != nil {
				return err
			}
			m.steps = r.steps
		}
	}
	r.steps = m.steps
	if p != len(text) && len(stack) == 0 {
		r.add(chroma.Error, text, p, len(text))
	}
	return nil
}

func (r *run) emit(l *lexer, found *rule, m *machine, nested int) error {
	e := found.emit
	if e.kind != emitGroups && e.kind != emitNamed {
		return r.emitPart(l, e, m.text, m.groups[0], m.groups[1], nested)
	}
	if len(e.groups) != found.program.groups-1 {
		r.add(chroma.Error, m.text, m.groups[0], m.groups[1])
		return nil
	}
	for i, e := range e.groups {
		from, to := m.groups[2*i+2], m.groups[2*i+3]
		if found.emit.kind == emitNamed && i+1 == found.emit.code {
			if done, err := r.emitNamed(found.emit, m, nested); done || err != nil {
				if err != nil {
					return err
				}
				continue
			}
		}
		if e == nil || from < 0 {
			continue
		}
		if err := r.emitPart(l, e, m.text, from, to, nested); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) emitPart(l *lexer, e *emit, text string, from, to, nested int) error {
	switch {
	case from == to:
		return nil
	case e.kind == emitToken:
		r.add(e.token, text, from, to)
		return nil
	case e.kind == emitSelf:
		return r.nested(l, text[from:to], e.state, nested)
	case e.kind == emitOther:
		other, _ := r.lexers(e.lexer)
		if other == nil {
			return errUnsupported
		}
		return r.nested(other, text[from:to], "root", nested)
	case e.kind == emitCall:
		r.from = -1
		it := e.call([]string{text[from:to]}, nil)
		for t := it(); t != chroma.EOF; t = it() {
			r.add(t.Type, t.Value, 0, len(t.Value))
			r.from = -1
		}
		return nil
	}
	if len(e.groups) > 0 { // a group has no groups
		r.add(chroma.Error, text, from, to)
	}
	return nil
}

// emitNamed reads a group in the language that another group names. It returns false if there is none of that name.
func (r *run) emitNamed(e *emit, m *machine, nested int) (bool, error) {
	name, code := "", ""
	if m.groups[2*e.name] >= 0 {
		name = m.text[m.groups[2*e.name]:m.groups[2*e.name+1]]
	}
	if m.groups[2*e.code] >= 0 {
		code = m.text[m.groups[2*e.code]:m.groups[2*e.code+1]]
	}
	other, known := r.lexers(name)
	if !known {
		return false, nil
	}
	if other == nil {
		return false, errUnsupported
	}
	code, added := other.withNewline(code)
	r.from = -1
	err := r.lex(other, code, "root", added, nested+1)
	r.from = -1
	return true, err
}

func (r *run) nested(l *lexer, text, first string, nested int) error {
	r.from = -1
	err := r.lex(l, text, first, false, nested+1)
	r.from = -1
	return err
}

// add adds a token, to the one before if that is of the same type.
func (r *run) add(t chroma.TokenType, text string, from, to int) {
	if t == chroma.Ignore || from == to {
		return
	}
	if n := len(r.out); n > 0 && r.out[n-1].Type == t && len(r.out[n-1].Value) < maxToken {
		last := &r.out[n-1]
		if r.from >= 0 && r.to == from {
			last.Value = text[r.from:to]
		} else {
			last.Value += text[from:to]
			r.from = -1
		}
	} else {
		r.out = append(r.out, chroma.Token{Type: t, Value: text[from:to]})
		r.from = from
	}
	r.to = to
}
