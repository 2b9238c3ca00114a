package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// description reads openapi.json as programs get it.
func description(t *testing.T, url string) (doc struct {
	OpenAPI    string
	Paths      map[string]map[string]struct{ Responses map[string]response }
	Components struct{ Schemas map[string]any }
}) {
	t.Helper()
	r, err := http.Get(url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&doc); err != nil || !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Fatalf("%q, %v", doc.OpenAPI, err)
	}
	return doc
}

type response struct {
	Content map[string]struct{ Schema any }
	Headers map[string]any
}

func TestDescriptionHasTheRoutes(t *testing.T) {
	url, _ := start(t, &fake{}, Options{Page: true})
	var want, got []string
	for path, methods := range description(t, url).Paths {
		for m := range methods {
			want = append(want, strings.ToUpper(m)+" "+path)
		}
	}
	for pattern := range New(&fake{}, Options{Page: true}).routes() {
		got = append(got, strings.TrimSuffix(pattern, "{$}"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the server has %q, openapi.json %q", got, want)
	}
}

// Every answer is one that openapi.json has, in form and status, and every status of
// /predict that it has is answered here, but for those that other tests see.
func TestAnswersAreAsDescribed(t *testing.T) {
	const token = "a-token-of-this-test"
	url, _ := start(t, &fake{glare: true}, Options{Page: true, Tokens: []string{token}, MaxBody: 1 << 20, Coverage: .9,
		Limit: .3})
	open, _ := start(t, &fake{}, Options{Rate: .001})
	broken := &fake{}
	broken.fail.Store(true)
	failing, _ := start(t, broken, Options{})
	doc := description(t, open)
	formKind, formBody := form(t, map[string][]byte{"a.png": grey(10), "b.png": []byte("\x89PNG\r\n\x1a\n")})
	asked := 0
	for _, tt := range []struct {
		method, path string
		headers      map[string]string
		body         []byte
		want         int
	}{
		{"POST", "/predict", nil, grey(200), 200},
		{"POST", "/predict", map[string]string{"Content-Type": formKind}, formBody, 200},
		{"POST", "/predict", map[string]string{"Content-Type": "application/json"}, []byte(`{"images":["","Zm9v"]}`), 200},
		{"POST", "/predict", map[string]string{"Content-Type": "application/json"}, []byte(`{"images":`), 400},
		{"POST", "/predict", nil, nil, 400},
		{"POST", "/predict", map[string]string{"Authorization": "Bearer wrong"}, grey(1), 401},
		{"POST", "/predict", map[string]string{"Host": "evil.example"}, grey(1), 403},
		{"POST", "/predict", nil, make([]byte, 2<<20), 413},
		{"POST", "/predict", nil, []byte("%PDF-1.4 no photograph at all, but a document of some length"), 415},
		{"POST", "/predict", nil, grey(200)[:60], 422},
		{"POST", "/predict", nil, grey(255), 422},
		{"POST", open + "/predict", nil, grey(1), 200},
		{"POST", open + "/predict", nil, grey(1), 429},
		{"POST", failing + "/predict", nil, grey(1), 500},
		{"GET", "/readyz", nil, nil, 200}, {"GET", "/livez", nil, nil, 200}, {"GET", "/healthz", nil, nil, 200},
		{"GET", "/metrics", nil, nil, 200}, {"GET", "/openapi.json", nil, nil, 200},
		{"GET", "/", nil, nil, 200}, {"GET", "/page.css", nil, nil, 200}, {"GET", "/page.js", nil, nil, 200},
		{"GET", "/?token=" + token, map[string]string{"Authorization": ""}, nil, 303},
		{"GET", "/", map[string]string{"Authorization": ""}, nil, 401},
		{"GET", "/metrics", map[string]string{"Host": "evil.example"}, nil, 403},
	} {
		at := tt.path
		if strings.HasPrefix(at, "/") {
			at = url + at
		}
		r, err := http.NewRequest(tt.method, at, bytes.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		for k, v := range tt.headers {
			if r.Header.Set(k, v); k == "Host" {
				r.Host = v
			}
		}
		path := r.URL.Path
		what := fmt.Sprintf("%s %s %v %.10q", tt.method, path, tt.headers, tt.body)
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != tt.want {
			t.Errorf("%s: %d %.200s, want %d", what, answer.StatusCode, text, tt.want)
		}
		known, ok := doc.Paths[path][strings.ToLower(tt.method)].Responses[fmt.Sprint(answer.StatusCode)]
		if !ok {
			t.Errorf("%s: openapi.json has no answer %d", what, answer.StatusCode)
			continue
		}
		for name := range known.Headers {
			if answer.Header.Get(name) == "" {
				t.Errorf("%s: no header %s", what, name)
			}
		}
		if answer.Header.Get("X-Request-ID") == "" {
			t.Errorf("%s: no X-Request-ID", what)
		}
		if path == "/predict" {
			asked++
		}
		kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
		if tt.want == 303 {
			continue
		}
		media, ok := known.Content[kind]
		if !ok {
			t.Errorf("%s: it is %q, not one of %v", what, kind, slices.Collect(maps.Keys(known.Content)))
			continue
		}
		var v any = string(text)
		if kind == "application/json" {
			if err := json.Unmarshal(text, &v); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := fits(v, media.Schema, doc.Components.Schemas); err != nil {
			t.Errorf("%s: %s: %v", what, text, err)
		}
	}
	if asked != 14 {
		t.Errorf("%d answers of /predict", asked)
	}
	for _, path := range []string{"/predict"} {
		var list []string
		for code := range doc.Paths[path]["post"].Responses {
			list = append(list, code)
		}
		slices.Sort(list)
		// 408: TestSlowUploadEnds; 503: TestFullServerSaysSo
		if got := strings.Join(list, " "); got != "200 400 401 403 408 413 415 422 429 500 503" {
			t.Errorf("%s is described with %s", path, got)
		}
	}
}

// fits checks a value by a schema. It knows the words that openapi.json uses, and fails at others.
func fits(v, schema any, named map[string]any) error {
	s := schema.(map[string]any)
	if ref, ok := s["$ref"].(string); ok {
		return fits(v, named[regexp.MustCompile(`[^/]+$`).FindString(ref)], named)
	}
	if list, ok := s["oneOf"].([]any); ok {
		var errs []string
		for _, one := range list {
			err := fits(v, one, named)
			if err == nil {
				return nil
			}
			errs = append(errs, err.Error())
		}
		return fmt.Errorf("%s", strings.Join(errs, "; "))
	}
	for word := range s {
		if !slices.Contains([]string{"type", "description", "enum", "items", "required", "properties",
			"additionalProperties"}, word) {
			return fmt.Errorf("this test does not know the word %q", word)
		}
	}
	if list, ok := s["enum"].([]any); ok && !slices.Contains(list, v) {
		return fmt.Errorf("%v is not one of %v", v, list)
	}
	switch x := v.(type) {
	case string:
		return typed(s, "string")
	case float64:
		if s["type"] == "integer" && x == float64(int(x)) {
			return nil
		}
		return typed(s, "number")
	case []any:
		for _, e := range x {
			if err := fits(e, s["items"], named); err != nil {
				return err
			}
		}
		return typed(s, "array")
	case map[string]any:
		if list, ok := s["required"].([]any); ok {
			for _, name := range list {
				if _, ok := x[name.(string)]; !ok {
					return fmt.Errorf("without %s", name)
				}
			}
		}
		known, _ := s["properties"].(map[string]any)
		for name, e := range x {
			inner, ok := known[name]
			if !ok {
				if inner = s["additionalProperties"]; inner == false {
					return fmt.Errorf("%s is not described", name)
				} else if inner == nil {
					continue
				}
			}
			if err := fits(e, inner, named); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return typed(s, "object")
	}
	return fmt.Errorf("%v (%T)", v, v)
}

func typed(s map[string]any, name string) error {
	if s["type"] != name {
		return fmt.Errorf("a %s, not a %v", name, s["type"])
	}
	return nil
}

func TestRateIsOfEachClient(t *testing.T) {
	url, _ := start(t, &fake{}, Options{Rate: .25, TrustProxy: true})
	codes := map[string][]int{}
	for range 3 {
		for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
			r, _ := ask(t, "POST", url+"/predict", map[string]string{"X-Forwarded-For": client})
			codes[client] = append(codes[client], r.StatusCode)
			if r.StatusCode == 429 && r.Header.Get("Retry-After") != "4" {
				t.Errorf("Retry-After: %q", r.Header.Get("Retry-After"))
			}
		}
	}
	if s := fmt.Sprint(codes); s != "map[192.0.2.1:[200 429 429] 192.0.2.2:[200 429 429]]" {
		t.Error(s)
	}
	if r, _ := ask(t, "GET", url+"/metrics", map[string]string{"X-Forwarded-For": "192.0.2.1"}); r.StatusCode != 200 {
		t.Errorf("the rate is not that of predictions alone: %d", r.StatusCode)
	}
}

func TestPredictionSets(t *testing.T) {
	for _, tt := range []struct {
		limit float32
		want  []string
	}{{.1, []string{"light", "dark"}}, {.5, []string{"light"}}, {.99, []string{}}} {
		url, _ := start(t, &fake{}, Options{Coverage: .9, Limit: tt.limit})
		_, text := post(t, url, "", grey(200))
		var p Prediction
		if err := json.Unmarshal([]byte(text), &p); err != nil || p.Coverage != .9 || !slices.Equal(p.Set, tt.want) ||
			p.Set == nil {
			t.Errorf("limit %g: %s, %v", tt.limit, text, err)
		}
	}
	url, _ := start(t, &fake{}, Options{})
	if _, text := post(t, url, "", grey(200)); strings.Contains(text, "set") || strings.Contains(text, "coverage") {
		t.Errorf("without --coverage: %s", text)
	}
}
