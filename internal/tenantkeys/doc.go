// Package tenantkeys has the keys of tenants: those in Redis, which the API creates, and those in API_KEYS_FILE.
//
// A key is a secret of 256 random bits, which its owner receives once. Everything here that is stored has its SHA-256
// instead, so that neither Redis nor the file has anything with which a request could be made.
package tenantkeys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"

	"cellblock/internal/jobs"
)

// Sum is the SHA-256 of a key.
type Sum [sha256.Size]byte

// String returns the sum in hexadecimal.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// Prefix is what each key begins with, so that people and scanners of repositories recognize one.
const Prefix = "cb_"

// secretBytes is the number of random bytes in a key.
const secretBytes = 32

// NewKey returns a new key, of which nothing is stored.
func NewKey() string {
	var random [secretBytes]byte
	_, _ = rand.Read(random[:]) // never fails
	return Prefix + base64.RawURLEncoding.EncodeToString(random[:])
}

const secretPattern = Prefix + `[A-Za-z0-9_-]{43}`

var (
	wholeSecret  = regexp.MustCompile(`^` + secretPattern + `$`)
	secretWithin = regexp.MustCompile(secretPattern)
)

// IsKey reports whether a text has the form of a key.
func IsKey(text string) bool { return wholeSecret.MatchString(text) }

// Hash returns the sum of a key.
func Hash(key string) Sum { return sha256.Sum256([]byte(key)) }

// idLength is the number of characters of an id behind its prefix: 50 random bits.
const idLength = 10

// newID returns a new public id of a key.
func newID() string { return jobs.KeyIDPrefix + strings.ToLower(rand.Text()[:idLength]) }
