// Package traces reads the traces of a running service: an OTLP receiver in the tests, and the API and a worker as real
// processes that export to it.
package traces
