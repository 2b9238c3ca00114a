package serve

import (
	"bytes"
	"embed"
	"net/http"
	"time"

	"finetune/internal/guard"
)

//go:embed page openapi.json
var files embed.FS

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
		guard.Page(h, "blob: data:")
		h.Set("Content-Type", kind)
		h.Set("Permissions-Policy", "camera=(self), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-cache") // another version of the program has another page
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
}
