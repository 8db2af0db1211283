// Package compose tests the images and compose files with a real Docker daemon: the service behind its published port,
// a killed worker, a stop of the whole service, and scripts that try to escape.
//
// `make test-compose` runs it. All tests but that of the settings' example need Docker and have the build tag
// "compose".
package compose

//go:generate sh -c "go -C ../../tools run ./dockerseccomp >../../deploy/compose/seccomp.json"
