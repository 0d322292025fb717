package page

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template/parse"
)

// TestTemplatesNameOnlyFieldsThatExist follows every template, in all of its branches, with the
// type that it is executed with. A template that names a field which its kind of page doesn't have
// would otherwise fail only where a page takes that branch. A field that no template shows is a
// mistake too.
func TestTemplatesNameOnlyFieldsThatExist(t *testing.T) {
	all, err := parseTemplates()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for kind, view := range views() {
		c := &checker{trees: treesOf(all, kind), shown: shown}
		c.template("base.html", reflect.TypeOf(view))
		for _, wrong := range c.wrong {
			t.Errorf("%s: %s", kind, wrong)
		}
	}
	c := &checker{trees: treesOf(all, "lesson"), shown: shown}
	c.template("sidebar", reflect.TypeOf(sidebarView{}))
	for _, wrong := range c.wrong {
		t.Errorf("side bar: %s", wrong)
	}
	for _, view := range append(slices.Collect(maps.Values(views())), any(sidebarView{})) {
		for _, name := range fieldsOf(reflect.TypeOf(view)) {
			if !shown[name] {
				t.Errorf("no template shows %s", name)
			}
		}
	}
}

func TestTheCheckOfTemplatesFindsMissingFields(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"{{.Titel}}", "Titel"},
		{"{{if false}}{{.Body}}{{end}}", "Body"},
		{"{{with .Crumbs}}{{range .}}{{.Link}}{{end}}{{end}}", "Link"},
		{"{{range .Crumbs}}{{$.Nav}}{{end}}", "Nav"},
		{"{{template \"x\" .Title}}{{define \"x\"}}{{.URL}}{{end}}", "URL"},
		{"{{template \"x\" .}}{{define \"x\"}}{{if eq .Kind $.Nothing}}{{end}}{{end}}", "Nothing"},
		{"{{plain .T.Nothing}}", "Nothing"},
	} {
		trees, err := parse.Parse("base.html", tt.text, "", "", map[string]any{"eq": 1, "plain": 1})
		if err != nil {
			t.Fatal(err)
		}
		c := &checker{trees: trees, shown: map[string]bool{}}
		c.template("base.html", reflect.TypeOf(searchView{}))
		if len(c.wrong) != 1 || !strings.Contains(c.wrong[0], tt.want) {
			t.Errorf("%s: %q", tt.text, c.wrong)
		}
	}
}

func treesOf(all *templates, kind string) map[string]*parse.Tree {
	trees := map[string]*parse.Tree{}
	for _, t := range all.byKind[kind].Templates() {
		if t.Tree != nil {
			trees[t.Name()] = t.Tree
		}
	}
	return trees
}

// fieldsOf names the exported fields of a view, and of the structs of this package in it, as
// Type.Field.
func fieldsOf(typ reflect.Type) []string {
	var out []string
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] || !strings.HasSuffix(typ.PkgPath(), "/page") {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.IsExported() && f.Type.Kind() != reflect.Func {
				out = append(out, typ.Name()+"."+f.Name)
			}
			if f.IsExported() || f.Anonymous {
				visit(f.Type)
			}
		}
	}
	visit(typ)
	return out
}

// checker finds the types of what templates name. A nil type is that of anything, as of a
// function's result.
type checker struct {
	trees map[string]*parse.Tree
	shown map[string]bool // fields that templates name, as Type.Field
	wrong []string
	inner []string // templates that are being checked
}

func (c *checker) template(name string, dot reflect.Type) {
	tree := c.trees[name]
	if tree == nil {
		c.wrong = append(c.wrong, fmt.Sprintf("there is no template %q", name))
		return
	}
	if slices.Contains(c.inner, name) {
		return
	}
	c.inner = append(c.inner, name)
	c.list(tree.Root, dot, dot)
	c.inner = c.inner[:len(c.inner)-1]
}

func (c *checker) list(list *parse.ListNode, dot, root reflect.Type) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			c.pipe(n.Pipe, dot, root)
		case *parse.IfNode:
			c.pipe(n.Pipe, dot, root)
			c.list(n.List, dot, root)
			c.list(n.ElseList, dot, root)
		case *parse.WithNode:
			c.list(n.List, c.pipe(n.Pipe, dot, root), root)
			c.list(n.ElseList, dot, root)
		case *parse.RangeNode:
			elem := c.pipe(n.Pipe, dot, root)
			if elem != nil && elem.Kind() == reflect.Slice {
				elem = elem.Elem()
			} else if elem != nil {
				c.wrong = append(c.wrong, fmt.Sprintf("%s ranges over %s", n.Pipe, elem))
			}
			c.list(n.List, elem, root)
			c.list(n.ElseList, dot, root)
		case *parse.TemplateNode:
			c.template(n.Name, c.pipe(n.Pipe, dot, root))
		}
	}
}

// pipe returns the type of a pipeline's value.
func (c *checker) pipe(pipe *parse.PipeNode, dot, root reflect.Type) reflect.Type {
	if pipe == nil {
		return nil
	}
	var typ reflect.Type
	for _, cmd := range pipe.Cmds {
		var first reflect.Type
		for i, arg := range cmd.Args {
			t := c.arg(arg, dot, root)
			if i == 0 || i == 1 && cmd.Args[0].String() == "index" {
				first = t
			}
		}
		if cmd.Args[0].String() == "index" && first != nil {
			first = first.Elem()
		}
		typ = first
	}
	return typ
}

func (c *checker) arg(node parse.Node, dot, root reflect.Type) reflect.Type {
	switch n := node.(type) {
	case *parse.DotNode:
		return dot
	case *parse.FieldNode:
		return c.fields(n.String(), dot, n.Ident)
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			return c.fields(n.String(), root, n.Ident[1:])
		}
	case *parse.PipeNode:
		return c.pipe(n, dot, root)
	}
	return nil
}

func (c *checker) fields(what string, typ reflect.Type, names []string) reflect.Type {
	for _, name := range names {
		if typ == nil {
			return nil
		}
		pointer := typ
		if pointer.Kind() == reflect.Struct {
			pointer = reflect.PointerTo(typ)
		}
		if m, ok := pointer.MethodByName(name); ok {
			return m.Type.Out(0)
		}
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			c.wrong = append(c.wrong, fmt.Sprintf("%s: %s has no field %s", what, typ, name))
			return nil
		}
		f, ok := typ.FieldByName(name)
		if !ok || !f.IsExported() {
			c.wrong = append(c.wrong, fmt.Sprintf("%s: %s has no field %s", what, typ, name))
			return nil
		}
		// The field may be one of an embedded struct.
		owner := typ
		for _, i := range f.Index[:len(f.Index)-1] {
			if owner = owner.Field(i).Type; owner.Kind() == reflect.Pointer {
				owner = owner.Elem()
			}
		}
		c.shown[owner.Name()+"."+name] = true
		typ = f.Type
	}
	return typ
}
