package page

// maxSaved is how many lessons a course may have for its page to offer saving it for offline
// reading.
const maxSaved = 300

// saveURL is the URL of the list of files for saving a course, "" if the course is too large for
// that.
func (m *Maker) saveURL(lang, course string, pages int) string {
	if !m.keepsPages() || pages > maxSaved {
		return ""
	}
	name := "course.json"
	if course != "" {
		name = "course-" + course + ".json"
	}
	return m.URL(lang, OfflineFolder+name)
}

// offlinePage is shown instead of a page that was not saved, while there is no network.
func (m *Maker) offlinePage(lang string) *draft {
	p := m.begin("offline", lang, OfflineFolder)
	p.view = &offlineView{frame: &p.frame, lead: &p.lead}
	p.Title, p.Summary = p.T.Offline, p.T.OfflineText
	p.NoIndex = true
	p.ExtraBundle = m.assets.Readable
	return p
}
