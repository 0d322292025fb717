package markdown

import (
	"bytes"
	"fmt"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/util"
)

// maxAnswers is the number of letters that can label answers.
const maxAnswers = 26

var kindQuizPart = ast.NewNodeKind("QuizPart")

// quizPart is an element in the HTML of a quiz.
type quizPart struct {
	ast.BaseBlock
	what   quizElement
	quiz   *directive
	right  bool
	number int
}

type quizElement int

const (
	quizQuestion quizElement = iota
	quizAnswers
	quizAnswer
	quizSolution
	quizReason
)

func (n *quizPart) Kind() ast.NodeKind     { return kindQuizPart }
func (n *quizPart) Dump(src []byte, l int) { ast.DumpHelper(n, src, l, nil, nil) }

// quizFacts holds the input for rendering a quiz that comes from the Request.
type quizFacts struct {
	many   bool
	labels QuizLabels
}

// quiz validates a quiz and splits its last list into answers and explanations.
func (st *state) quiz(n *directive) {
	st.quizzes++
	n.id = st.ids.unique(fmt.Sprintf("%squiz-%d", st.req.IDPrefix, st.quizzes))
	n.quiz.labels = st.req.Labels.Quiz
	if n.title == "" {
		st.errorAt(n.at, "the quiz needs a question: :::quiz Which command …?")
	}
	list, ok := n.LastChild().(*ast.List)
	if !ok {
		st.errorAt(n.at, "the quiz ends with its answers: lines of - [ ] for the wrong ones and - [x] for the right ones")
		return
	}
	count, right := 0, 0
	for item := list.FirstChild(); item != nil; item = item.NextSibling() {
		box := checkboxOf(item)
		if box == nil {
			st.errorAt(offsetOf(item), "this answer doesn't say whether it is right: begin it with [x] if it is, with [ ] if not")
			return
		}
		if count++; box.IsChecked {
			right++
		}
	}
	switch {
	case count < 2:
		st.errorAt(n.at, "a quiz needs at least two answers")
	case count > maxAnswers:
		st.errorAt(n.at, "a quiz has at most %d answers", maxAnswers)
	case right == 0:
		st.errorAt(n.at, "no answer is right: mark one with [x]")
	}
	n.quiz.many = right > 1
	answers := &quizPart{what: quizAnswers, quiz: n}
	solution := &quizPart{what: quizSolution, quiz: n}
	number := 0
	for item := list.FirstChild(); item != nil; {
		next := item.NextSibling()
		box := checkboxOf(item)
		number++
		answer := &quizPart{what: quizAnswer, quiz: n, right: box.IsChecked, number: number}
		reason := &quizPart{what: quizReason, quiz: n, right: box.IsChecked}
		line := box.Parent()
		line.RemoveChild(line, box)
		splitLine(line, answer, reason)
		list.RemoveChild(list, item)
		item.RemoveChild(item, line)
		for c := item.FirstChild(); c != nil; c = item.FirstChild() {
			item.RemoveChild(item, c)
			reason.AppendChild(reason, c)
		}
		answers.AppendChild(answers, answer)
		solution.AppendChild(solution, reason)
		item = next
	}
	n.RemoveChild(n, list)
	n.AppendChild(n, answers)
	n.AppendChild(n, solution)
}

// checkboxOf returns the [ ] at the start of a list item, or nil.
func checkboxOf(item ast.Node) *east.TaskCheckBox {
	if item.FirstChild() == nil {
		return nil
	}
	box, _ := item.FirstChild().FirstChild().(*east.TaskCheckBox)
	return box
}

// splitLine moves the first line of a paragraph to the answer and the other lines to the reason.
func splitLine(line, answer, reason ast.Node) {
	into := ast.Node(ast.NewTextBlock())
	answer.AppendChild(answer, into)
	for c := line.FirstChild(); c != nil; {
		next := c.NextSibling()
		line.RemoveChild(line, c)
		into.AppendChild(into, c)
		if t, ok := c.(*ast.Text); ok && into.Parent() == answer && (t.SoftLineBreak() || t.HardLineBreak()) {
			t.SetSoftLineBreak(false)
			t.SetHardLineBreak(false)
			into = ast.NewTextBlock()
			reason.AppendChild(reason, into)
		}
		c = next
	}
}

func renderQuiz(w util.BufWriter, n *directive, entering bool) {
	if !entering {
		_, _ = w.WriteString("</fieldset>\n")
		return
	}
	kind := "one"
	if n.quiz.many {
		kind = "many"
	}
	l := n.quiz.labels
	_, _ = fmt.Fprintf(w, `<fieldset class="quiz" id="%s" data-quiz="%s" data-passed="%s" data-failed="%s">`+"\n",
		escape(n.id), kind, escape(l.Passed), escape(l.Failed))
}

func renderQuizPart(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*quizPart)
	var b bytes.Buffer
	verdict := "wrong"
	if n.right {
		verdict = "right"
	}
	switch n.what {
	case quizQuestion:
		if entering {
			b.WriteString("<legend>")
		} else {
			b.WriteString("</legend>\n")
		}
	case quizAnswers:
		l := n.quiz.quiz.labels
		if entering {
			hint := l.One
			if n.quiz.quiz.many {
				hint = l.Many
			}
			b.WriteString(`<p class="quiz-hint">` + escape(hint) + "</p>\n" + `<ol class="quiz-answers" type="A">` + "\n")
		} else {
			b.WriteString("</ol>\n" + `<p class="quiz-actions"><button type="button" data-quiz-check hidden>` + escape(l.Check) +
				`</button> <span class="quiz-result" role="status"></span></p>` + "\n")
		}
	case quizAnswer:
		if entering {
			kind := "radio"
			if n.quiz.quiz.many {
				kind = "checkbox"
			}
			fmt.Fprintf(&b, `<li data-answer="%s"><label><input type="%s" name="%s" value="%d" autocomplete="off"><span>`, verdict, kind, escape(n.quiz.id), n.number)
		} else {
			b.WriteString("</span></label></li>\n")
		}
	case quizSolution:
		if entering {
			b.WriteString(`<details class="quiz-solution"><summary>` + escape(n.quiz.quiz.labels.Answers) + "</summary>\n" + `<ol type="A">` + "\n")
		} else {
			b.WriteString("</ol>\n</details>\n")
		}
	case quizReason:
		if entering {
			word := n.quiz.quiz.labels.Wrong
			if n.right {
				word = n.quiz.quiz.labels.Right
			}
			fmt.Fprintf(&b, `<li data-answer="%s"><strong class="quiz-verdict">%s</strong> `, verdict, escape(word))
		} else {
			b.WriteString("</li>\n")
		}
	}
	_, _ = w.Write(b.Bytes())
	return ast.WalkContinue, nil
}
