// Package daemonjson adds gVisor to the Docker engine's configuration file, daemon.json. It reads
// and changes only
//
//	{"runtimes": {"runsc": {"path": PATH, "runtimeArgs": [ARG, …]}}}
//
// All other keys keep their place and formatting, and the operator's own arguments for runsc are
// kept too.
package daemonjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/labd-dev/labd/internal/source"
)

// Runtime is gVisor's name in the engine's list of runtimes.
const Runtime = "runsc"

// Args returns the arguments that labd needs: raw sockets for ping, and no overlay, so that files
// survive a stop and start.
func Args() []string { return []string{"--net-raw", "--overlay2=none"} }

// Merge returns daemon.json with the runtime runsc at path. changed is false if old contains it
// already. old may be empty. file is used in errors.
func Merge(file string, old []byte, path string) (merged []byte, changed bool, err error) {
	top, err := parseObject(file, old, old)
	if err != nil {
		return nil, false, err
	}
	runtimes, err := top.object(file, old, "runtimes")
	if err != nil {
		return nil, false, err
	}
	entry, err := runtimes.object(file, old, Runtime)
	if err != nil {
		return nil, false, err
	}
	var have struct {
		Path string
		Args []string
	}
	if raw, ok := entry.get("path"); ok {
		if err := json.Unmarshal(raw, &have.Path); err != nil {
			return nil, false, fmt.Errorf("%s: runtimes.%s.path is not a string", file, Runtime)
		}
	}
	if raw, ok := entry.get("runtimeArgs"); ok {
		if err := json.Unmarshal(raw, &have.Args); err != nil {
			return nil, false, fmt.Errorf("%s: runtimes.%s.runtimeArgs is not a list of strings", file, Runtime)
		}
	}
	if have.Path == path && Missing(have.Args) == nil {
		return old, false, nil
	}
	entry.set("path", path)
	entry.set("runtimeArgs", mergeArgs(have.Args))
	// A runtime has either a path or a type.
	entry.remove("runtimeType")
	runtimes.set(Runtime, entry)
	top.set("runtimes", runtimes)
	compact, err := json.Marshal(top)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", file, err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", indentOf(old)); err != nil {
		return nil, false, fmt.Errorf("%s: %w", file, err)
	}
	out.WriteByte('\n')
	return out.Bytes(), true, nil
}

// Missing returns the Args that args lacks, nil if none.
func Missing(args []string) []string {
	var missing []string
	for _, want := range Args() {
		if !slices.Contains(args, want) {
			missing = append(missing, want)
		}
	}
	return missing
}

// mergeArgs adds Args to args. It replaces other values of the same flags.
func mergeArgs(args []string) []string {
	merged := slices.DeleteFunc(slices.Clone(args), func(a string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		return name == "net-raw" || name == "overlay2"
	})
	return append(merged, Args()...)
}

// indentOf returns the indentation of the first indented line, two spaces if there is none.
func indentOf(data []byte) string {
	for _, line := range bytes.Split(data, []byte("\n")) {
		trimmed := bytes.TrimLeft(line, " \t")
		if n := len(line) - len(trimmed); n > 0 && len(trimmed) > 0 {
			return string(line[:n])
		}
	}
	return "  "
}

// object is a JSON object that keeps the order of its keys.
type object struct{ members []member }

type member struct {
	key   string
	value json.RawMessage
}

// parseObject reads an object from data, a part of whole; errors show the line. Empty data is an
// empty object.
func parseObject(file string, whole, data []byte) (*object, error) {
	o := &object{}
	if len(bytes.TrimSpace(data)) == 0 {
		return o, nil
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
			return nil, fmt.Errorf("not valid JSON, so labd leaves it alone; fix it and run this again: %w",
				source.At(file, whole, line, 0, "%v", syntax))
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, fmt.Errorf("%s: an object { } is expected, not %s", file, bytes.TrimSpace(data))
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		o.members = append(o.members, member{key.(string), value})
	}
	if _, err := dec.Token(); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return o, nil
}

// object returns the object under key, empty if there is none.
func (o *object) object(file string, whole []byte, key string) (*object, error) {
	raw, ok := o.get(key)
	if !ok || string(raw) == "null" {
		return &object{}, nil
	}
	sub, err := parseObject(file, whole, raw)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", key, err)
	}
	return sub, nil
}

func (o *object) get(key string) (json.RawMessage, bool) {
	// If a key occurs twice, the last one counts, as in the engine.
	for _, m := range slices.Backward(o.members) {
		if m.key == key {
			return m.value, true
		}
	}
	return nil, false
}

// set replaces key where it stands, or adds it at the end. value must be marshalable.
func (o *object) set(key string, value any) {
	raw, err := json.Marshal(value)
	if err != nil {
		panic("setup: " + err.Error()) // strings and valid JSON objects can always be encoded
	}
	for i := len(o.members) - 1; i >= 0; i-- {
		if o.members[i].key == key {
			o.members[i].value = raw
			return
		}
	}
	o.members = append(o.members, member{key, raw})
}

func (o *object) remove(key string) {
	o.members = slices.DeleteFunc(o.members, func(m member) bool { return m.key == key })
}

// MarshalJSON writes the members in order.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o.members {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
