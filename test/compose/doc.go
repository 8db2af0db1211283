// Package compose tries out the images and compose files with a real Docker
// daemon: the service behind its published port, a worker that is killed, the
// stop of everything, and scripts that try to get out.
//
// `make test-compose` runs it. All but the test of the settings' example needs
// Docker and has the build tag "compose".
package compose

//go:generate sh -c "go -C ../../tools run ./dockerseccomp >../../deploy/compose/seccomp.json"
