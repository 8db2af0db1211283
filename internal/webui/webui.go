// Package webui has the two pages for browsers, the playground and the console, and serves their files. The sources are
// in web/; `go generate` bundles them into dist. The pages use the public contract alone, so they know no more than any
// other client.
package webui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:generate go -C ../../tools run ./web

//go:embed dist
var dist embed.FS

// pages are the files that have paths of their own. The others are at /ui/NAME.
var pages = map[string]string{"/": "playground.html", "/console": "console.html"}

// frame is the document in which HTML of jobs is shown.
const frame = "frame.html"

// pagePolicy is the Content-Security-Policy of a page: scripts, styles and data of this server alone, and no text that
// becomes HTML or script (Trusted Types, https://www.w3.org/TR/trusted-types/). Pictures of jobs are blob: and data:
// URLs.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// framePolicy is that of the frame for HTML of jobs. Its origin is opaque, also in a tab of its own; the HTML may have
// styles and embedded pictures, but neither scripts nor anything from a server.
const framePolicy = "sandbox allow-scripts; default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; " +
	"img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}

// file is a file of dist.
type file struct {
	content []byte
	etag    string
	// compressed returns the content with gzip. The first call computes it.
	compressed func() []byte
}

// Pages serves the files. It is safe for concurrent use.
type Pages struct{ files map[string]file }

// New returns the Pages.
func New() (*Pages, error) {
	entries, err := dist.ReadDir("dist")
	if err != nil {
		return nil, fmt.Errorf("read the pages: %w", err)
	}
	p := &Pages{files: make(map[string]file, len(entries))}
	for _, entry := range entries {
		content, err := dist.ReadFile(path.Join("dist", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the pages: %w", err)
		}
		sum := sha256.Sum256(content)
		p.files[entry.Name()] = file{
			content:    content,
			etag:       hex.EncodeToString(sum[:16]),
			compressed: sync.OnceValue(func() []byte { return compress(content) }),
		}
	}
	return p, nil
}

func compress(content []byte) []byte {
	var buffer bytes.Buffer
	writer, err := gzip.NewWriterLevel(&buffer, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = writer.Write(content) // a bytes.Buffer returns no errors
	_ = writer.Close()
	return buffer.Bytes()
}

// Serve sends the file that the path of the request names, and reports whether there is one; if not, it sends nothing.
// Browsers keep a file, and ask before each use whether it has changed, so that a page and its scripts are of one
// version.
func (p *Pages) Serve(w http.ResponseWriter, r *http.Request) bool {
	name, ok := pages[r.URL.Path]
	if !ok {
		name = strings.TrimPrefix(r.URL.Path, "/ui/")
	}
	file, ok := p.files[name]
	if !ok {
		return false
	}
	header := w.Header()
	setPolicies(header, name)
	header.Set("Content-Type", types[path.Ext(name)])
	header.Set("Cache-Control", "no-cache")
	header.Add("Vary", "Accept-Encoding") // beside the origin, where CORS_ORIGINS has any
	content, etag := file.content, `"`+file.etag+`"`
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		content, etag = file.compressed(), `"`+file.etag+`-gzip"`
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("ETag", etag)
	if matches(r.Header.Get("If-None-Match"), etag) {
		header.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	header.Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content) // fails only if the client has disconnected
	return true
}

// setPolicies restricts what the browser does with a file.
func setPolicies(header http.Header, name string) {
	header.Set("Referrer-Policy", "no-referrer")
	// Browsers would look up the hosts of links that a script displays.
	header.Set("X-DNS-Prefetch-Control", "off")
	switch {
	case name == frame:
		header.Set("Content-Security-Policy", framePolicy)
	case strings.HasPrefix(name, "frame."):
		// The frame's origin is opaque, so its own script is another origin's to the browser.
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	default:
		header.Set("Content-Security-Policy", pagePolicy)
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	}
}

// acceptsGzip reports whether the header Accept-Encoding names gzip with a weight above 0.
func acceptsGzip(accepted string) bool {
	for coding := range strings.SplitSeq(accepted, ",") {
		name, weight, weighed := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		if !weighed {
			return true
		}
		_, value, _ := strings.Cut(weight, "=")
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		return err == nil && q > 0
	}
	return false
}

// matches reports whether the header If-None-Match has the ETag (RFC 9110, section 13.1.2: a weak comparison).
func matches(header, etag string) bool {
	for each := range strings.SplitSeq(header, ",") {
		each = strings.TrimPrefix(strings.TrimSpace(each), "W/")
		if each == etag || each == "*" {
			return true
		}
	}
	return false
}
