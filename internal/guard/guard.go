// Package guard decides who may ask a server of this program: a Host that is its own, no
// page of another site, a client that knows the token and does not ask too much.
//
// A browser is given the token once, in the address that it opens. It gets a cookie and the
// same address without the token, so that no history, referrer or log keeps it. Programs
// send the token in the header Authorization: Bearer TOKEN.
//
// No header of CORS is ever sent: a page of another site can read no answer.
package guard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Options say who is let in. The zero value lets in everybody who asks this machine by an address
// or as localhost, and is not led here by another site's page.
type Options struct {
	Tokens  []string // one of them is needed; none: no token is asked for
	Hosts   []string // names of this server besides addresses and localhost; "*" is any
	InPath  bool     // a token is taken from the address too, /?token=TOKEN, and kept as a cookie
	MaxBody int64    // bytes of a request's body; 0: no limit here
	Rate    float64  // requests a second of one client, above Burst at once; 0: no limit
	Burst   int

	Client func(*http.Request) string // who asks; nil: the address of the connection
	Host   string                     // what to do about a wrong Host, for the refusal

	// Refuse answers; nil: plain text.
	Refuse func(w http.ResponseWriter, r *http.Request, code int, why string)
}

// Guard is a door. Any number of goroutines use it.
type Guard struct {
	o       Options
	tokens  [][sha256.Size]byte // digests, so that comparing takes the same time for each
	hosts   []string
	cookie  string // its name tells servers on one host apart, as cookies know no ports
	origins *http.CrossOriginProtection
	rate    *limiter
}

// parameter is where an address has the token.
const parameter = "token"

// New makes a guard.
func New(o Options) *Guard {
	g := &Guard{o: o, origins: http.NewCrossOriginProtection()}
	for _, t := range o.Tokens {
		g.tokens = append(g.tokens, sha256.Sum256([]byte(t)))
	}
	for _, h := range o.Hosts {
		g.hosts = append(g.hosts, strings.ToLower(strings.TrimSuffix(h, ".")))
	}
	if len(g.tokens) > 0 {
		again := sha256.Sum256(g.tokens[0][:])
		g.cookie = "finetune-" + hex.EncodeToString(again[:6])
	}
	if o.Rate > 0 {
		g.rate = newLimiter(o.Rate, max(o.Burst, 1))
	}
	if o.Client == nil {
		g.o.Client = client
	}
	if o.Refuse == nil {
		g.o.Refuse = plain
	}
	return g
}

// NewToken draws a token of 128 bits.
func NewToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Protect answers what g refuses and hands on the rest.
func (g *Guard) Protect(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code, why := g.Check(r); code != 0 {
			switch code {
			case http.StatusUnauthorized:
				w.Header().Set("WWW-Authenticate", `Bearer realm="finetune"`)
			case http.StatusTooManyRequests:
				w.Header().Set("Retry-After", "1")
			}
			g.o.Refuse(w, r, code, why)
			return
		}
		if g.enter(w, r) {
			return
		}
		if g.o.MaxBody > 0 {
			r.Body = http.MaxBytesReader(w, r.Body, g.o.MaxBody)
		}
		h.ServeHTTP(w, r)
	})
}

// Check is 0 for a request that may go on, else the status and the reason of its refusal.
func (g *Guard) Check(r *http.Request) (code int, why string) {
	if !g.host(r.Host) {
		why = "this server does not answer for the host " + clip(r.Host)
		if g.o.Host != "" {
			why += "; " + g.o.Host
		}
		return http.StatusForbidden, why
	}
	if g.origins.Check(r) != nil || g.foreign(r) {
		return http.StatusForbidden, "requests from pages of another origin are refused: put page and server behind one name"
	}
	if g.rate != nil && !g.rate.allow(g.o.Client(r), time.Now()) {
		return http.StatusTooManyRequests, "too many requests; wait a second"
	}
	if len(g.tokens) > 0 && !g.authorised(r) {
		if g.o.InPath {
			return http.StatusUnauthorized, "a token is needed: open the address that the command printed, with its token"
		}
		return http.StatusUnauthorized, "a token is needed: Authorization: Bearer TOKEN"
	}
	if g.o.MaxBody > 0 && r.ContentLength > g.o.MaxBody {
		return http.StatusRequestEntityTooLarge, "the request is too large"
	}
	return 0, ""
}

// host stands against DNS rebinding: a page can make its own name lead here, but then the
// browser says that name. Addresses are nobody's name, and no Host is nobody's browser.
func (g *Guard) host(host string) bool {
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

// foreign tells reading by another site's page, which CrossOriginProtection lets pass: it
// could not see the answer, but would spend this machine's time. Following a link is fine.
func (g *Guard) foreign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return (site == "cross-site" || site == "same-site") && r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

func (g *Guard) authorised(r *http.Request) bool {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(kind, "bearer") && g.known(strings.TrimSpace(token)) {
		return true
	}
	if !g.o.InPath {
		return false
	}
	if c, err := r.Cookie(g.cookie); err == nil && g.known(c.Value) {
		return true
	}
	return g.known(r.URL.Query().Get(parameter))
}

func (g *Guard) known(token string) bool {
	given, found := sha256.Sum256([]byte(token)), 0
	for _, t := range g.tokens {
		found |= subtle.ConstantTimeCompare(t[:], given[:])
	}
	return found == 1
}

// enter turns a token in the address into a cookie, and reports whether that was the answer.
func (g *Guard) enter(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	token := q.Get(parameter)
	if !g.o.InPath || token == "" || r.Method != http.MethodGet || !g.known(token) {
		return false
	}
	http.SetCookie(w, &http.Cookie{Name: g.cookie, Value: token, Path: "/", HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	q.Del(parameter)
	to := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/") // never //host, which is another site
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return true
}

// Address is where a browser begins: http://ADDR/?token=TOKEN.
func Address(addr net.Addr, token string) string {
	if token == "" {
		return "http://" + addr.String() + "/"
	}
	return "http://" + addr.String() + "/?" + parameter + "=" + token
}

func client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func plain(w http.ResponseWriter, _ *http.Request, code int, why string) { http.Error(w, why, code) }

// clip keeps what a client sends short in answers.
func clip(text string) string {
	if len(text) > 100 {
		return strings.ToValidUTF8(text[:100], "") + "…"
	}
	return text
}
