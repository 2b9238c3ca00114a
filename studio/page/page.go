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
