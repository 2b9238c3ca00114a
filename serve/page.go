package serve

import (
	"bytes"
	"embed"
	"net/http"
	"time"
)

//go:embed page openapi.json
var files embed.FS

// policy lets the page load what this server has and nothing else, and run no
// script that is in its text.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pages are the routes of the page. Its addresses are relative, so that a proxy may
// put it below any path.
func pages() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /{$}":      file("page/index.html", "text/html; charset=utf-8"),
		"GET /page.css": file("page/page.css", "text/css; charset=utf-8"),
		"GET /page.js":  file("page/page.js", "text/javascript; charset=utf-8"),
	}
}

// described is the description of this server for programs.
var described = file("openapi.json", "application/json")

// file answers with a file of this program.
func file(name, kind string) http.Handler {
	data, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(self), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-cache") // another version of the program has another page
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
}
