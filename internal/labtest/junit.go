package labtest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The subset of JUnit XML that CI systems read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the cases as JUnit XML, one suite per lab.
func WriteJUnit(w io.Writer, cases []Case) error {
	var out junitSuites
	var total time.Duration
	took := map[string]time.Duration{}
	for _, c := range cases {
		if n := len(out.Suites); n == 0 || out.Suites[n-1].Name != c.Lab {
			out.Suites = append(out.Suites, junitSuite{Name: c.Lab})
		}
		s := &out.Suites[len(out.Suites)-1]
		jc := junitCase{Class: c.Lab, Name: strings.TrimPrefix(c.Step+": "+c.Name, ": "), Time: seconds(c.Took)}
		s.Tests++
		out.Tests++
		if c.Err != nil {
			first, _, _ := strings.Cut(c.Err.Error(), "\n")
			jc.Failure = &junitFailure{Message: printable(first), Text: printable(c.Err.Error())}
			s.Failures++
			out.Failures++
		}
		s.Cases = append(s.Cases, jc)
		took[c.Lab] += c.Took
		total += c.Took
		s.Time = seconds(took[c.Lab])
	}
	out.Time = seconds(total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// printable removes characters that XML cannot contain, because a script can print any bytes.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0xFFFE && r != 0xFFFF {
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
