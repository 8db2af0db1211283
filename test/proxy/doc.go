// Package proxy tests deploy/proxy: a real nginx with TLS before a real service with two replicas of the API and two
// workers.
package proxy
