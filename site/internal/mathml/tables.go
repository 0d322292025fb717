package mathml

import "strings"

// table is the layout of an environment's cells.
type table struct {
	open, end string // delimiters around it
	class     string
	attrs     string
	columns   bool // the alignment of columns is an argument
	one       bool // one cell: no & and no \\
}

// environments maps the names for \begin to layouts. Most names also exist with a star.
func environments() map[string]table {
	m := map[string]table{
		"matrix": {}, "pmatrix": {open: "(", end: ")"}, "bmatrix": {open: "[", end: "]"}, "Bmatrix": {open: "{", end: "}"},
		"vmatrix": {open: "|", end: "|"}, "Vmatrix": {open: "‖", end: "‖"}, "smallmatrix": {attrs: `scriptlevel="1"`},
		"array": {columns: true}, "cases": {open: "{", class: "cases"}, "dcases": {open: "{", class: "cases", attrs: `displaystyle="true"`},
		"rcases": {end: "}", class: "cases"},
		"gather": {attrs: `displaystyle="true"`}, "gathered": {attrs: `displaystyle="true"`}, "equation": {one: true},
	}
	for _, name := range []string{"align", "aligned", "split", "eqnarray"} {
		m[name] = table{class: "aligned", attrs: `displaystyle="true"`}
	}
	for _, name := range []string{"align", "gather", "equation", "eqnarray"} {
		m[name+"*"] = m[name]
	}
	return m
}

func environment(p *parser, t token) (*node, error) {
	name, err := p.text(t)
	if err != nil {
		return nil, err
	}
	env, ok := p.environments[name]
	if !ok {
		return nil, &Error{Offset: t.at, Msg: `the environment "` + name + `" is not known`, Name: name}
	}
	var columns []string
	if env.columns {
		if columns, err = p.columns(t); err != nil {
			return nil, err
		}
	}
	grid, err := p.cells(t, env, columns)
	if err != nil {
		return nil, err
	}
	end := p.peek()
	if end.text != `\end` {
		return nil, p.unclosed(t, end, `\begin{`+name+`}`, `\end{`+name+`}`)
	}
	p.take()
	closed, err := p.text(end)
	if err != nil {
		return nil, err
	}
	if closed != name {
		return nil, p.fail(end.at, `\end{%s} stands where \end{%s} must close \begin{%s}`, closed, name, name)
	}
	if env.one {
		return element("mstyle", grid.kids[0].kids[0].kids...).with(`displaystyle="true"`), nil
	}
	if env.open == "" && env.end == "" {
		return grid, nil
	}
	out := element("mrow")
	if env.open != "" {
		out.kids = append(out.kids, fence(env.open, "prefix"))
	}
	out.kids = append(out.kids, grid)
	if env.end != "" {
		out.kids = append(out.kids, fence(env.end, "postfix"))
	}
	return out, nil
}

// columns parses the argument of array, such as {lc|r}, to the classes of the columns.
func (p *parser) columns(t token) ([]string, error) {
	spec, err := p.text(t)
	if err != nil {
		return nil, err
	}
	var out []string
	line := false
	for _, c := range spec {
		var class []string
		switch c {
		case ' ':
			continue
		case '|':
			line = true
			continue
		case 'l':
			class = []string{"left"}
		case 'r':
			class = []string{"right"}
		case 'c':
		default:
			return nil, p.fail(t.at, `the columns of array are l, c, r and |, as in \begin{array}{l|c}`)
		}
		if line {
			class = append(class, "line")
		}
		line = false
		out = append(out, strings.Join(class, " "))
	}
	return out, nil
}

// cells parses rows up to \end.
func (p *parser) cells(t token, env table, columns []string) (*node, error) {
	grid := element("mtable")
	if env.class != "" {
		grid.with(`class="` + env.class + `"`)
	}
	if env.attrs != "" {
		grid.with(env.attrs)
	}
	for {
		tr := element("mtr")
		lined := false
		for p.peek().text == `\hline` {
			p.take()
			lined = true
		}
		for {
			n, err := p.row()
			if err != nil {
				return nil, err
			}
			td := element("mtd", n.kids...)
			if i := len(tr.kids); i < len(columns) && columns[i] != "" {
				td.with(`class="` + columns[i] + `"`)
			}
			tr.kids = append(tr.kids, td)
			next := p.peek()
			if next.text != "&" {
				break
			}
			if env.one {
				return nil, p.fail(next.at, `& belongs into aligned: \begin{aligned} … \end{aligned}`)
			}
			p.take()
		}
		next := p.peek()
		empty := len(tr.kids) == 1 && len(tr.kids[0].kids) == 0
		switch {
		case empty && next.text != `\\` && next.text != `\cr`:
			// Nothing after the last \\ is not a row, but \hline there is a rule.
			if n := len(grid.kids); lined && n > 0 {
				if last := grid.kids[n-1]; last.attrs == "" {
					last.with(`class="last"`)
				} else {
					last.attrs = ` class="line last"`
				}
			}
		case lined:
			grid.kids = append(grid.kids, tr.with(`class="line"`))
		default:
			grid.kids = append(grid.kids, tr)
		}
		if next.text != `\\` && next.text != `\cr` {
			if len(grid.kids) == 0 {
				grid.kids = append(grid.kids, tr)
			}
			return grid, nil
		}
		if env.one {
			return nil, p.fail(next.at, `\\ belongs into aligned: \begin{aligned} … \end{aligned}`)
		}
		p.take()
		if p.pos < len(p.src) && p.src[p.pos] == '[' { // \\[1ex] is more space, which the page decides
			end := strings.IndexByte(p.src[p.pos:], ']')
			if end < 0 {
				return nil, p.fail(p.pos, "the [ is not closed by ]")
			}
			p.pos += end + 1
		}
	}
}

func substack(p *parser, t token) (*node, error) {
	open := p.take()
	if open.text != "{" {
		return nil, p.fail(t.at, `\substack needs braces: \substack{a \\ b}`)
	}
	grid, err := p.cells(t, table{}, nil)
	if err != nil {
		return nil, err
	}
	if end := p.take(); end.text != "}" {
		return nil, p.unclosed(open, end, "{", "}")
	}
	return grid, nil
}
