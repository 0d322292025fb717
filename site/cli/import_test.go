package cli

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/labd-dev/labd/site/internal/importer"
	"github.com/labd-dev/labd/site/internal/importer/report"
)

// TestImportReportsMistakesOfACourseThatDoesNotBuild checks a course as a faulty importer would
// write it.
func TestImportReportsMistakesOfACourseThatDoesNotBuild(t *testing.T) {
	course := fstest.MapFS{
		"en/_index.md":   {Data: []byte("+++\ntitle = \"C\"\n+++\n")},
		"en/m/_index.md": {Data: []byte("+++\ntitle = \"M\"\n+++\n")},
		"en/m/a.md":      {Data: []byte("+++\ntitle = \"A\"\n+++\n\n[gone](nowhere.md)\n\n```nolanguage\nx\n```\n")},
	}
	rep := importer.Report{Lang: "en"}
	if err := checkCourse(t.Context(), course, "out/c", &rep, nil); err != nil {
		t.Fatal(err)
	}
	if n := rep.Log.Count(report.CourseMistake); n != 1 {
		t.Errorf("%d mistakes", n)
	}
	if n := rep.Log.Count(report.CourseWarning); n != 1 {
		t.Errorf("%d warnings", n)
	}
	var b strings.Builder
	if err := rep.Log.Summary(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"error        1  mistakes that keep the course from building", "out/c/en/m/a.md:5\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in the summary:\n%s", want, b.String())
		}
	}
}
