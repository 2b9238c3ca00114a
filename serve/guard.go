package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// guard decides who may ask: the right Host, no page of another site, the token.
type guard struct {
	tokens  [][sha256.Size]byte // digests, so that comparing takes the same time for each
	hosts   []string            // names that are allowed besides addresses and localhost; "*" is any
	origins *http.CrossOriginProtection
}

func newGuard(o Options) *guard {
	g := &guard{origins: http.NewCrossOriginProtection()}
	for _, t := range o.Tokens {
		g.tokens = append(g.tokens, sha256.Sum256([]byte(t)))
	}
	for _, h := range o.Hosts {
		g.hosts = append(g.hosts, strings.ToLower(strings.TrimSuffix(h, ".")))
	}
	return g
}

// protect answers what g refuses and hands on the rest.
func (g *guard) protect(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.check(r); err != nil {
			if err.code == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="finetune"`)
			}
			fail(w, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (g *guard) check(r *http.Request) *refusal {
	if !g.host(r.Host) {
		return &refusal{http.StatusForbidden,
			"this server does not answer for the host " + clip(r.Host) + "; if it should, start it with --allow-host"}
	}
	if err := g.origins.Check(r); err != nil {
		return &refusal{http.StatusForbidden, "requests from pages of another origin are refused: put page and " +
			"server behind one name"}
	}
	if len(g.tokens) > 0 && !g.authorised(r.Header.Get("Authorization")) {
		return &refusal{http.StatusUnauthorized, "a token is needed: Authorization: Bearer TOKEN"}
	}
	return nil
}

// host stands against DNS rebinding: a page can make its own name lead here, but
// then the browser says that name. Addresses are nobody's name, and no Host is
// nobody's browser.
func (g *guard) host(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return slices.Contains(g.hosts, host) || slices.Contains(g.hosts, "*")
}

func (g *guard) authorised(header string) bool {
	kind, token, _ := strings.Cut(header, " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	found := 0
	for _, t := range g.tokens {
		found |= subtle.ConstantTimeCompare(t[:], given[:])
	}
	return found == 1 && strings.EqualFold(kind, "bearer")
}

// clip keeps what a client sends short in answers.
func clip(text string) string {
	if len(text) > 100 {
		return text[:100] + "…"
	}
	return text
}
