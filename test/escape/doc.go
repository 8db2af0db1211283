// Package escape holds the escape suite: scripts that try to get out of their
// sandbox, to reach their neighbours, to lie about how they ended, or to leave
// something behind. Each is sent over HTTP to a real stack, with both kinds of
// sandbox.
//
// One file in attempts/ is one attempt. The comment at its top says what it
// tries, the incident that it comes from, the protection that it tests, what
// must be seen inside, and what is looked at outside; attempt_test.go has the
// fields. prelude.py stands in front of each.
package escape
