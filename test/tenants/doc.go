// Package tenants has the attacks of one tenant on another: named attempts against a real service, with a key of the
// tenant mallory, to read, find, change, slow down or guess what belongs to the tenant acme, or to get what a key's
// scopes do not include.
//
// An attempt returns what it got as evidence, or "". The suite fails if one got something. Each has a control, mostly
// the same call by acme, which must get it: an attempt that is broken tests nothing. mutants/ removes the checks of the
// service, one at a time; an attempt must then succeed.
package tenants
