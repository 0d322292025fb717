package lab

import "time"

// Limits on what an author may write. They catch accidents; nobody who writes a lab for people meets them.
const (
	maxLabBytes    = 256 << 10
	maxFiles       = 64
	maxFileBytes   = 1 << 20
	maxFilesBytes  = 4 << 20
	maxLabs        = 500
	maxLangs       = 20
	maxSteps       = 40
	maxHints       = 8
	maxWrongs      = 20
	maxProbes      = 40   // of one step, those of its wrong states included
	maxScripts     = 60   // of one step: those of its wrong states included
	maxTextRunes   = 1000 // a hint or summary
	maxTitleRunes  = 100
	maxNodes       = 5
	maxImages      = 40
	maxVariables   = 16
	minVarLength   = 4
	maxVarLength   = 32
	maxMinutes     = 600
	maxNesting     = 100     // quotes and lists within each other in one line; parsing takes time that grows with its square
	maxReferences  = 1000    // lines of "[name]: address"; likewise
	maxSaveWords   = 1 << 10 // around the text of a {save} block
	minCPUs        = 0.1
	maxCPUs        = 16
	minMemoryBytes = 128 << 20
	maxMemoryBytes = 64 << 30
	minDiskBytes   = 64 << 20
	maxDiskBytes   = 256 << 30
	minPIDs        = 64
	maxPIDs        = 32768

	// MaxRunText is how many bytes a click can type into a terminal: the text of a {run} or {save} block and what is
	// typed around it. The terminal's own limit must not be smaller; package labrun checks that.
	MaxRunText = 32 << 10

	// MaxProbeTimeout is the most that a probe may ask for.
	MaxProbeTimeout = 10 * time.Second
)
