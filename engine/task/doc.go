// Package task reads and runs task files in Ansible's language: blocks, loops, conditions,
// includes, roles, handlers and delegation, over an engine.Conn and without Python.
package task
