//go:build race

package source

// slower is how many times longer the race detector lets a processor take.
const slower = 4
