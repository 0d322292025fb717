package lab

import "time"

// Limits on lab files, which are untrusted. They are far above what a useful lab needs.
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
	maxProbes      = 40   // of one step, including those of its wrong states
	maxScripts     = 60   // of one step, including those of its wrong states
	maxTextRunes   = 1000 // a hint or summary
	maxTitleRunes  = 100
	maxNodes       = 5
	maxImages      = 40
	maxVariables   = 16
	minVarLength   = 4
	maxVarLength   = 32
	maxMinutes     = 600
	maxNesting     = 100     // of quotes and lists on one line; parsing time grows with its square
	maxReferences  = 1000    // link reference definitions, lines of "[name]: URL"; likewise
	maxSaveWords   = 1 << 10 // bytes of the command that a click types around a {save} block
	minCPUs        = 0.1
	maxCPUs        = 16
	minMemoryBytes = 128 << 20
	maxMemoryBytes = 64 << 30
	minDiskBytes   = 64 << 20
	maxDiskBytes   = 256 << 30
	minPIDs        = 64
	maxPIDs        = 32768

	// MaxRunText is the maximum number of bytes that a click types into a terminal: the text of a
	// {run} or {save} block and the command around it. It must not exceed the terminal's limit;
	// package labrun checks that at compile time.
	MaxRunText = 32 << 10

	// MaxProbeTimeout is the maximum timeout of a probe.
	MaxProbeTimeout = 10 * time.Second
)
