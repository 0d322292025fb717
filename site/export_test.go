package site

// Terms is the search's way to cut text, for the test that compares it with the browser's.
func Terms(text string) []string { return terms(text) }
