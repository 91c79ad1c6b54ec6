// Package farm is the root of the module; the program is in cmd/farm, and
// ARCHITECTURE.md says where everything else is.
package farm
