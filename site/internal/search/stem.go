package search

import "bytes"

// stem takes the endings off an English word that its other forms may have. What is left need not be a word; it must only
// be the same for all forms. These are the steps of the Snowball project's English stemmer for plurals, -ed and -ing; those
// that make one word of container and contain are left out. Words with other than small Latin letters stay as they are.
// It changes w. stem in site/assets/ts/search/terms.ts does the same.
func stem(w []byte) []byte {
	for _, c := range w {
		if c < 'a' || c > 'z' {
			return w
		}
	}
	if irregular(w) {
		return w
	}
	switch n := len(w); {
	case n > 4 && (ends(w, "ies") || ends(w, "ied")):
		w = w[:n-2]
	case n == 4 && ends(w, "ied"):
		w = w[:n-1]
	case n > 3 && w[n-1] == 's' && !ends(w, "ss") && !ends(w, "us") && !ends(w, "is"):
		w = w[:n-1]
	}
	if irregular(w) {
		return w
	}
	if ends(w, "eed") {
		if region(w) <= len(w)-3 {
			w = w[:len(w)-1] // agreed
		}
	} else {
		w = withoutEnding(w)
	}
	n := len(w)
	if n > 2 && w[n-1] == 'y' && !vowel(w[n-2]) {
		w[n-1] = 'i'
	}
	first := region(w)
	second := first + region(w[first:])
	if w[n-1] == 'e' && (second < n || first < n && !short(w[:n-1])) {
		w = w[:n-1] // cache: caching; but not name: naming
	} else if ends(w, "ll") && second < n {
		w = w[:n-1] // control: controlled; but not call: calling
	}
	return w
}

// irregular says whether a word only looks as if it had an ending.
func irregular(w []byte) bool {
	switch string(w) {
	case "", "alias", "bias", "canvas", "news", "embed", "exceed", "proceed", "succeed":
		return true
	}
	return false
}

// withoutEnding takes -ing and -ed away, and mends what that leaves.
func withoutEnding(w []byte) []byte {
	rest, ok := bytes.CutSuffix(w, []byte("ing"))
	if !ok {
		rest, ok = bytes.CutSuffix(w, []byte("ed"))
	}
	n := len(rest)
	if !ok || n < 2 || !bytes.ContainsAny(rest, "aeiouy") {
		return w
	}
	switch {
	case ends(rest, "at") || ends(rest, "bl") || ends(rest, "iz"), region(rest) == n && short(rest):
		return append(rest, 'e')
	case n > 3 && rest[n-1] == rest[n-2] && bytes.IndexByte([]byte("bdfgmnprt"), rest[n-1]) >= 0:
		return rest[:n-1]
	}
	return rest
}

func vowel(c byte) bool {
	switch c {
	case 'a', 'e', 'i', 'o', 'u', 'y':
		return true
	}
	return false
}

// region is where what comes after a word's first vowel and consonant begins: its length if there is no such thing.
func region(w []byte) int {
	for i := 1; i < len(w); i++ {
		if vowel(w[i-1]) && !vowel(w[i]) {
			return i + 1
		}
	}
	return len(w)
}

// short says whether a word ends in a short syllable: one vowel between consonants.
func short(w []byte) bool {
	n := len(w)
	if n < 2 || vowel(w[n-1]) || !vowel(w[n-2]) {
		return false
	}
	return n == 2 || !vowel(w[n-3]) && w[n-1] != 'w' && w[n-1] != 'x'
}

func ends(w []byte, end string) bool {
	return len(w) >= len(end) && string(w[len(w)-len(end):]) == end
}
