package mathml

import "strings"

// symbol is the output for a command without arguments.
type symbol struct {
	text   string
	tag    string
	attrs  string
	class  class
	limits limits
}

// Each table contains pairs of a name and its character.
const (
	greek = `alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ varkappa ϰ
		lambda λ mu μ nu ν xi ξ omicron ο pi π varpi ϖ rho ρ varrho ϱ sigma σ varsigma ς tau τ upsilon υ phi ϕ varphi φ
		chi χ psi ψ omega ω digamma ϝ`
	upright = `Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω
		infty ∞ partial ∂ nabla ∇ hbar ℏ ell ℓ Re ℜ Im ℑ wp ℘ aleph ℵ beth ℶ imath ı jmath ȷ emptyset ∅ varnothing ∅
		forall ∀ exists ∃ nexists ∄ neg ¬ lnot ¬ top ⊤ bot ⊥ angle ∠ measuredangle ∡ triangle △ square □ Box □ blacksquare ■
		qed □ degree ° prime ′ clubsuit ♣ diamondsuit ♢ heartsuit ♡ spadesuit ♠ flat ♭ natural ♮ sharp ♯ surd √ checkmark ✓
		dag † dagger † ddag ‡ ddagger ‡ S § P ¶ copyright © pounds £ euro € yen ¥ complement ∁ backslash \ colon : eth ð mho ℧
		bigstar ★ lozenge ◊ circledR ® And &`
	operations = `pm ± mp ∓ times × div ÷ cdot ⋅ ast ∗ star ⋆ circ ∘ bullet ∙ oplus ⊕ ominus ⊖ otimes ⊗ oslash ⊘ odot ⊙
		cap ∩ cup ∪ uplus ⊎ sqcap ⊓ sqcup ⊔ vee ∨ lor ∨ wedge ∧ land ∧ setminus ∖ smallsetminus ∖ wr ≀ amalg ⨿ diamond ⋄
		bigtriangleup △ bigtriangledown ▽ triangleleft ◃ triangleright ▹ dotplus ∔ ltimes ⋉ rtimes ⋊ boxplus ⊞ boxtimes ⊠
		centerdot ⋅ barwedge ⌅ veebar ⊻ intercal ⊺ bmod mod`
	relations = `leq ≤ le ≤ geq ≥ ge ≥ neq ≠ ne ≠ equiv ≡ approx ≈ sim ∼ simeq ≃ cong ≅ propto ∝ varpropto ∝ ll ≪ gg ≫ lll ⋘ ggg ⋙
		prec ≺ succ ≻ preceq ⪯ succeq ⪰ subset ⊂ supset ⊃ subseteq ⊆ supseteq ⊇ subsetneq ⊊ supsetneq ⊋ sqsubseteq ⊑ sqsupseteq ⊒
		in ∈ notin ∉ ni ∋ owns ∋ mid ∣ nmid ∤ parallel ∥ nparallel ∦ perp ⟂ asymp ≍ doteq ≐ coloneqq ≔ coloneq ≔ eqqcolon ≕
		vdash ⊢ dashv ⊣ models ⊨ vDash ⊨ Vdash ⊩ bowtie ⋈ smile ⌣ frown ⌢ lt < gt > leqslant ⩽ geqslant ⩾ lesssim ≲ gtrsim ≳
		approxeq ≊ triangleq ≜ nleq ≰ ngeq ≱ nless ≮ ngtr ≯ nsubseteq ⊈ nsupseteq ⊉ trianglelefteq ⊴ trianglerighteq ⊵ vartriangleleft ⊲
		vartriangleright ⊳ because ∵ therefore ∴ between ≬ Subset ⋐ Supset ⋑ backsim ∽ eqsim ≂ circeq ≗ gtrless ≷ lessgtr ≶`
	arrows = `to → rightarrow → leftarrow ← gets ← leftrightarrow ↔ Rightarrow ⇒ Leftarrow ⇐ Leftrightarrow ⇔ iff ⟺ implies ⟹ impliedby ⟸
		uparrow ↑ downarrow ↓ updownarrow ↕ Uparrow ⇑ Downarrow ⇓ Updownarrow ⇕ mapsto ↦ longmapsto ⟼ longrightarrow ⟶ longleftarrow ⟵
		longleftrightarrow ⟷ Longrightarrow ⟹ Longleftarrow ⟸ Longleftrightarrow ⟺ hookrightarrow ↪ hookleftarrow ↩ nearrow ↗
		searrow ↘ swarrow ↙ nwarrow ↖ rightharpoonup ⇀ rightharpoondown ⇁ leftharpoonup ↼ leftharpoondown ↽ rightleftharpoons ⇌
		leftrightharpoons ⇋ leadsto ⇝ rightsquigarrow ⇝ twoheadrightarrow ↠ rightleftarrows ⇄ nrightarrow ↛ nleftarrow ↚
		nRightarrow ⇏ circlearrowleft ↺ circlearrowright ↻ curvearrowright ↷ curvearrowleft ↶ upharpoonright ↾ dashrightarrow ⇢`
	bigSums      = `sum ∑ prod ∏ coprod ∐ bigcup ⋃ bigcap ⋂ bigvee ⋁ bigwedge ⋀ bigoplus ⨁ bigotimes ⨂ bigodot ⨀ biguplus ⨄ bigsqcup ⨆`
	bigIntegrals = `int ∫ iint ∬ iiint ∭ iiiint ⨌ oint ∮ oiint ∯ oiiint ∰`
	functions    = `sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp arg deg dim hom ker tr`
	limitNames   = `lim max min sup inf det gcd Pr limsup liminf injlim projlim`
	dots         = `ldots … dots … dotsc … dotso … cdots ⋯ dotsb ⋯ dotsm ⋯ dotsi ⋯ vdots ⋮ ddots ⋱`
	openings     = `langle ⟨ lfloor ⌊ lceil ⌈ lbrace { lbrack [ lvert | lVert ‖ lgroup ⟮ ulcorner ⌜ llbracket ⟦`
	closings     = `rangle ⟩ rfloor ⌋ rceil ⌉ rbrace } rbrack ] rvert | rVert ‖ rgroup ⟯ urcorner ⌝ rrbracket ⟧`
	bars         = `vert | Vert ‖`
)

// symbols maps names to one character each.
func symbols() map[string]symbol {
	m := map[string]symbol{}
	add := func(table string, s symbol) {
		words := strings.Fields(table)
		for i := 0; i < len(words); i += 2 {
			s.text = words[i+1]
			m[words[i]] = s
		}
	}
	add(greek, symbol{tag: "mi"})
	add(upright, symbol{tag: "mi", attrs: ` mathvariant="normal"`})
	add(operations, symbol{tag: "mo", class: bin})
	add(relations, symbol{tag: "mo", class: rel})
	add(arrows, symbol{tag: "mo", class: rel, attrs: ` stretchy="false" lspace="0.2778em" rspace="0.2778em"`})
	add(bigSums, symbol{tag: "mo", class: op, limits: movable})
	add(bigIntegrals, symbol{tag: "mo", class: op})
	add(dots, symbol{tag: "mo", attrs: ` lspace="0" rspace="0.1667em"`})
	add(openings, symbol{tag: "mo", class: opening, attrs: ` form="prefix" stretchy="false"`})
	add(closings, symbol{tag: "mo", class: closing, attrs: ` form="postfix" stretchy="false"`})
	add(bars, symbol{tag: "mo", attrs: ` form="prefix" stretchy="false"`})
	for _, name := range strings.Fields(functions) {
		m[name] = symbol{text: name, tag: "mi", class: op}
	}
	for _, name := range strings.Fields(limitNames) {
		words := name
		if len(name) == 6 && (name[:3] == "lim" || name[3:] == "lim") {
			words = name[:3] + " " + name[3:]
		}
		m[name] = symbol{text: words, tag: "mo", class: op, limits: movable, attrs: ` movablelimits="true" lspace="0" rspace="0"`}
	}
	m["bmod"] = symbol{text: "mod", tag: "mo", class: bin, attrs: ` lspace="0.2222em" rspace="0.2222em"`}
	for _, name := range []string{"iff", "implies", "impliedby"} {
		s := m[name]
		s.attrs = ` stretchy="false" lspace="0.5556em" rspace="0.5556em"`
		m[name] = s
	}
	return m
}

// characters maps characters that need other output than themselves.
var characters = map[rune]symbol{
	'+': {text: "+", class: bin}, '-': {text: "−", class: bin}, '*': {text: "∗", class: bin},
	'=': {text: "=", class: rel}, '<': {text: "<", class: rel}, '>': {text: ">", class: rel}, ':': {text: ":", class: rel, attrs: ` lspace="0.2778em" rspace="0.2778em"`},
	'(': {text: "(", class: opening, attrs: ` stretchy="false"`}, '[': {text: "[", class: opening, attrs: ` stretchy="false"`},
	')': {text: ")", class: closing, attrs: ` stretchy="false"`}, ']': {text: "]", class: closing, attrs: ` stretchy="false"`},
	'|': {text: "|", attrs: ` form="prefix" stretchy="false"`}, '/': {text: "/", attrs: ` lspace="0" rspace="0"`},
	',': {text: ",", class: punct}, ';': {text: ";", class: punct}, '!': {text: "!", class: closing, attrs: ` form="postfix" lspace="0"`}, '?': {text: "?", class: closing},
	'.': {text: ".", attrs: ` lspace="0" rspace="0"`},
}

// escaped lists the characters that a backslash makes ordinary.
var escaped = map[string]symbol{
	"{": {text: "{", class: opening, attrs: ` form="prefix" stretchy="false"`}, "}": {text: "}", class: closing, attrs: ` form="postfix" stretchy="false"`},
	"|": {text: "‖", attrs: ` form="prefix" stretchy="false"`}, "%": {text: "%"}, "$": {text: "$"}, "#": {text: "#"}, "&": {text: "&"}, "_": {text: "_"},
}

// spaces maps spacing commands to widths.
var spaces = map[string]string{
	",": "0.1667em", "thinspace": "0.1667em", ":": "0.2222em", ">": "0.2222em", "medspace": "0.2222em", ";": "0.2778em",
	"thickspace": "0.2778em", "!": "-0.1667em", "negthinspace": "-0.1667em", " ": "0.25em", "space": "0.25em", "enspace": "0.5em", "quad": "1em", "qquad": "2em",
}

// accents maps accent commands to characters. Wide accents stretch.
var accents = map[string]struct {
	mark        string
	wide, below bool
}{
	"hat": {"ˆ", false, false}, "widehat": {"ˆ", true, false}, "bar": {"‾", false, false}, "vec": {"→", false, false},
	"dot": {"˙", false, false}, "ddot": {"¨", false, false}, "dddot": {"⃛", false, false}, "tilde": {"~", false, false}, "widetilde": {"~", true, false},
	"check": {"ˇ", false, false}, "breve": {"˘", false, false}, "acute": {"´", false, false}, "grave": {"`", false, false},
	"mathring": {"˚", false, false}, "overrightarrow": {"→", true, false}, "overleftarrow": {"←", true, false},
	"overleftrightarrow": {"↔", true, false}, "overbrace": {"⏞", true, false}, "underbrace": {"⏟", true, true},
	"underrightarrow": {"→", true, true}, "underleftarrow": {"←", true, true}, "overbracket": {"⎴", true, false}, "underbracket": {"⎵", true, true},
}

// negated maps relations to the character for their negation with \not.
var negated = map[string]string{
	"=": "≠", "<": "≮", ">": "≯", "∈": "∉", "∋": "∌", "≡": "≢", "⊂": "⊄", "⊃": "⊅", "⊆": "⊈", "⊇": "⊉", "∼": "≁", "≈": "≉", "≅": "≇",
	"≤": "≰", "≥": "≱", "∥": "∦", "∣": "∤", "⊢": "⊬", "⊨": "⊭", "→": "↛", "∃": "∄",
}

// font is a mathematical alphabet.
type font struct{ upper, lower, digit, greekUpper, greekLower rune }

var fonts = map[string]font{
	"mathbf":   {upper: 0x1D400, lower: 0x1D41A, digit: 0x1D7CE, greekUpper: 0x1D6A8, greekLower: 0x1D6C2},
	"bm":       {upper: 0x1D468, lower: 0x1D482, digit: 0x1D7CE, greekUpper: 0x1D6A8, greekLower: 0x1D736},
	"mathit":   {upper: 0x1D434, lower: 0x1D44E},
	"mathcal":  {upper: 0x1D49C, lower: 0x1D4B6},
	"mathfrak": {upper: 0x1D504, lower: 0x1D51E},
	"mathbb":   {upper: 0x1D538, lower: 0x1D552, digit: 0x1D7D8},
	"mathsf":   {upper: 0x1D5A0, lower: 0x1D5BA, digit: 0x1D7E2},
	"mathtt":   {upper: 0x1D670, lower: 0x1D68A, digit: 0x1D7F6},
	"mathrm":   {},
}

// fontNames maps alternative names of fonts.
var fontNames = map[string]string{
	"boldsymbol": "bm", "pmb": "bm", "mathscr": "mathcal", "Bbb": "mathbb", "mathnormal": "mathit", "bold": "mathbf", "frak": "mathfrak",
}

// early maps letters that Unicode encoded before the mathematical alphabets.
var early = map[rune]rune{
	0x1D455: 'ℎ', 0x1D49D: 'ℬ', 0x1D4A0: 'ℰ', 0x1D4A1: 'ℱ', 0x1D4A3: 'ℋ', 0x1D4A4: 'ℐ', 0x1D4A7: 'ℒ', 0x1D4A8: 'ℳ', 0x1D4AD: 'ℛ',
	0x1D4BA: 'ℯ', 0x1D4BC: 'ℊ', 0x1D4C4: 'ℴ', 0x1D506: 'ℭ', 0x1D50B: 'ℌ', 0x1D50C: 'ℑ', 0x1D515: 'ℜ', 0x1D51D: 'ℨ',
	0x1D53A: 'ℂ', 0x1D53F: 'ℍ', 0x1D545: 'ℕ', 0x1D547: 'ℙ', 0x1D548: 'ℚ', 0x1D549: 'ℝ', 0x1D551: 'ℤ',
}

// letter returns r in a font, or r itself if the font lacks it.
func (f font) letter(r rune) rune {
	var out rune
	switch {
	case r >= 'A' && r <= 'Z' && f.upper != 0:
		out = f.upper + r - 'A'
	case r >= 'a' && r <= 'z' && f.lower != 0:
		out = f.lower + r - 'a'
	case r >= '0' && r <= '9' && f.digit != 0:
		out = f.digit + r - '0'
	case r >= 'Α' && r <= 'Ω' && f.greekUpper != 0:
		out = f.greekUpper + r - 'Α'
	case r >= 'α' && r <= 'ω' && f.greekLower != 0:
		out = f.greekLower + r - 'α'
	default:
		return r
	}
	if e, ok := early[out]; ok {
		return e
	}
	return out
}
