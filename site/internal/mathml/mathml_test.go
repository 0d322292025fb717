package mathml_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/labd-dev/labd/site/internal/mathml"
)

// formulas are the cases of testdata/formulas.txt: a formula, what it reads like as text, and its
// MathML.
func formulas(t testing.TB) [][3]string {
	data, err := os.ReadFile("testdata/formulas.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out [][3]string
	for _, c := range strings.Split(string(data), "\n==== ")[1:] {
		tex, rest, _ := strings.Cut(c, "\n---- ")
		text, mathml, _ := strings.Cut(rest, "\n")
		out = append(out, [3]string{tex, text, strings.TrimSpace(mathml)})
	}
	if len(out) < 40 {
		t.Fatalf("only %d cases were read", len(out))
	}
	return out
}

// TestFormulas compares the cases. UPDATE=1 writes what is made now, to be looked at in a browser.
func TestFormulas(t *testing.T) {
	c := mathml.New()
	var now strings.Builder
	now.WriteString("Formulas: the TeX after ====, the text for search after ----, and the MathML without its annotation.\n")
	for _, f := range formulas(t) {
		got, err := c.Convert(f[0], true)
		if err != nil {
			t.Errorf("%s: %v", f[0], err)
			continue
		}
		body := regexp.MustCompile(`(?s)^<math display="block"><semantics>(.*)<annotation.*$`).ReplaceAllString(got.MathML, "$1")
		now.WriteString("\n==== " + f[0] + "\n---- " + got.Text + "\n" + body + "\n")
		if got.Text != f[1] || body != f[2] {
			t.Errorf("%s\ngot  %s\n     %s\nwant %s\n     %s", f[0], got.Text, body, f[1], f[2])
		}
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("testdata/formulas.txt", []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMistakesSayWhereTheyAre(t *testing.T) {
	c := mathml.New()
	for tex, want := range map[string]string{
		``:                                 "0 the formula is empty",
		`  `:                               "0 the formula is empty",
		`a + \frc{1}{2}`:                   `4 \frc is not known`,
		`{a`:                               "0 the { is not closed by }",
		`a}`:                               "1 a } without its {",
		`\frac{1}`:                         `0 \frac needs two parts`,
		`\frac`:                            `0 \frac needs something after it`,
		`x^`:                               `1 ^ needs something after it`,
		`x^2^3`:                            `3 two parts are raised beside each other`,
		`x_1_2`:                            `3 two parts are lowered`,
		`x^2'`:                             `3 the prime belongs before`,
		`a & b`:                            `2 & parts the columns`,
		`a \\ b`:                           `2 \\ ends the lines`,
		`\left( x`:                         `0 the \left is not closed by \right`,
		`\left( x }`:                       `9 } stands where \right must close the \left`,
		`x \right)`:                        `2 \right without its \left`,
		`\left x \right)`:                  `0 \left needs a delimiter`,
		`\begin{matrix} a`:                 `0 the \begin{matrix} is not closed by \end{matrix}`,
		`\begin{matrix} a \end{pmatrix}`:   `17 \end{pmatrix} stands where \end{matrix} must close`,
		`\begin{matrx} a \end{matrx}`:      `0 the environment "matrx" is not known`,
		`\begin{array}{lxc} a \end{array}`: `0 the columns of array are`,
		`\end{matrix}`:                     `0 \end without its \begin`,
		`50%`:                              `2 TeX takes % for the begin of a comment`,
		`#1`:                               `0 write \# for the sign`,
		`\newcommand{\R}{x}`:               `0 \newcommand is not possible`,
		`a \over b`:                        `2 write \frac{a}{b}`,
		`\text{a`:                          `5 the { after \text is not closed`,
		`\text a`:                          `0 \text needs braces`,
		`\text{a \frac b}`:                 `8 a command within \text`,
		`\text{if $x$}`:                    `9 no formula within \text`,
		`\sqrt[3{x}`:                       `5 the [ is not closed by ]`,
		`\textcolor{red}`:                  `0 \textcolor needs something after it`,
		`\color red`:                       `0 \color needs braces after it`,
		`\cancelto{0}`:                     `0 \cancelto needs two parts`,
		`x\limits_a`:                       `1 \limits follows an operator`,
		`\`:                                `0 a \ needs a name`,
		"a\x00":                            `1 this is no text`,
		"a\xff":                            `1 this is no text`,
		strings.Repeat("{", 61) + strings.Repeat("}", 61): "60 groups within each other more than 60 deep",
		strings.Repeat(`\sqrt`, 100) + "x":                "300 groups within each other",
		strings.Repeat(`\sqrt[`, 100):                     "359 groups within each other",
		strings.Repeat(`\begin{matrix}`, 100):             "840 groups within each other",
		strings.Repeat("x", mathml.MaxFormula+1):          "0 the formula has 8193 bytes; at most 8192",
	} {
		_, err := c.Convert(tex, true)
		var e *mathml.Error
		if !errors.As(err, &e) {
			t.Errorf("%.60q: no mistake", tex)
			continue
		}
		if got := sprint(e); !strings.HasPrefix(got, want) {
			t.Errorf("%.60q: got %s, want %s", tex, got, want)
		}
	}
}

func sprint(e *mathml.Error) string { return strings.TrimSpace(strconv.Itoa(e.Offset) + " " + e.Msg) }

var tags = regexp.MustCompile(`^ (class|display|displaystyle|scriptlevel|encoding|mathvariant|form|fence|stretchy|symmetric|lspace|rspace|minsize|maxsize|movablelimits|accent|accentunder|width|linethickness)$`)

// wellFormed checks that s is XML of known elements and attributes, with the children that MathML
// asks for.
func wellFormed(s string) error {
	d := xml.NewDecoder(strings.NewReader(s))
	arity := map[string]int{"mfrac": 2, "mroot": 2, "msup": 2, "msub": 2, "mover": 2, "munder": 2, "msubsup": 3, "munderover": 3, "semantics": 2}
	type open struct {
		name string
		kids int
	}
	stack := []open{{}}
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			name := tok.Name.Local
			if !strings.Contains(" math semantics annotation mrow mi mn mo mtext mspace mfrac msqrt mroot msup msub msubsup mover munder munderover mtable mtr mtd mstyle mphantom ", " "+name+" ") {
				return errors.New("element " + name)
			}
			for _, a := range tok.Attr {
				if !tags.MatchString(" " + a.Name.Local) {
					return errors.New("attribute " + a.Name.Local)
				}
			}
			stack[len(stack)-1].kids++
			stack = append(stack, open{name: name})
		case xml.EndElement:
			top := stack[len(stack)-1]
			if n, ok := arity[top.name]; ok && n != top.kids {
				return errors.New(top.name + " with another number of children")
			}
			stack = stack[:len(stack)-1]
		}
	}
}

func FuzzConvert(f *testing.F) {
	for _, c := range formulas(f) {
		f.Add(c[0], true)
	}
	c := mathml.New()
	f.Fuzz(func(t *testing.T, tex string, display bool) {
		got, err := c.Convert(tex, display)
		var e *mathml.Error
		if errors.As(err, &e) {
			if e.Offset < 0 || e.Offset > len(tex) || e.Msg == "" {
				t.Errorf("%q: mistake %+v", tex, e)
			}
			return
		}
		if err := wellFormed(got.MathML); err != nil {
			t.Errorf("%q: %v in %s", tex, err, got.MathML)
		}
		if len(got.MathML) > 400*len(tex)+200 {
			t.Errorf("%q: %d bytes of MathML", tex, len(got.MathML))
		}
	})
}

func BenchmarkConvert(b *testing.B) {
	c := mathml.New()
	for b.Loop() {
		if _, err := c.Convert(`\sum_{i=1}^{n} \frac{x_i^2}{\sqrt{a+b}} = \begin{pmatrix} a & b \\ c & d \end{pmatrix}`, true); err != nil {
			b.Fatal(err)
		}
	}
}
