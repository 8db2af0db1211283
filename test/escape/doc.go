// Package escape has the escape suite: scripts that try to escape from their sandbox, to reach other sandboxes, to
// forge how they ended, or to leave something behind. Each is sent over HTTP to a real stack, with both kinds of
// sandbox.
//
// Each file in attempts/ is one attempt. Its header comment has what it tries, the incident that it is based on, the
// protection that it tests, the required result inside, and the checks outside; attempt_test.go documents the fields.
// prelude.py is prepended to each.
package escape
