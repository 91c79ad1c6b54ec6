package engine

// SystemScript is shell that sets the variable system to what tells a host from others that
// may share its files, such as a home folder on a file server.
const SystemScript = `system=$({ cat /etc/machine-id; uname -n; } 2>/dev/null | tr '\n' ' ')
`
