// Package page is the studio's page: HTML, a style and a script without framework, compiled in. The script asks
// nobody but the server that it came from.
package page

import (
	"embed"
	"net/http"
	"path"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// types do not depend on what the system thinks of endings.
var types = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// Secure forbids the page everything that it does not need: other origins, frames, scripts and styles
// within the HTML.
func Secure(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "+
		"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// Serve sends one of the files.
func Serve(w http.ResponseWriter, name string) {
	data, err := files.ReadFile(name)
	if err != nil {
		http.Error(w, "no such page", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", types[path.Ext(name)])
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(data)
}
