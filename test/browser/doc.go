// Package browser has tests with a real browser, Debian's Chromium, and a real service: what a web page of another
// origin can do to the service, also one that binds its own name to the service's address (DNS rebinding), and what a
// page of an origin in CORS_ORIGINS can do. Every attempt is also made against a service that allows all origins and
// all hosts, where it must succeed.
package browser
