package page

// maxSaved is how many pages a course may have to be offered for saving as a whole.
const maxSaved = 300

// saveURL is the address of the list that a course's pages are on, or "" if the course can't be saved as a whole.
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

// offlinePage stands in for a page that is not kept when there is no network.
func (m *Maker) offlinePage(lang string) *draft {
	p := m.begin("offline", lang, OfflineFolder)
	p.view = &offlineView{frame: &p.frame, lead: &p.lead}
	p.Title, p.Summary = p.T.Offline, p.T.OfflineText
	p.NoIndex = true
	p.ExtraBundle = m.assets.readable
	return p
}
