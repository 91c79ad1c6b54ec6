//go:build race

package source

// slower is how many times longer the race detector lets things take.
const slower = 15
