// Package serve answers photographs over HTTP with the probabilities of a
// classifier.
//
//	POST /predict   one image file as the body; or a multipart form, each file a
//	                photograph; or JSON {"images": ["BASE64", …]}
//	GET  /readyz    200 if a photograph would be answered: 503 while it shuts down, or
//	                where none was predicted lately, the self-test of each 10 s included
//	GET  /livez     200
//	GET  /healthz   200, 503 while it shuts down
//	GET  /metrics   Prometheus text
//	GET  /openapi.json  what the server answers, as an OpenAPI 3.1 description
//	GET  /          with Options.Page, a page to try photographs on
//
// Photographs are decoded by several goroutines and predicted together: a batch leaves
// when it is full or its first photograph has waited long enough. An error of one
// photograph or one client affects no other.
//
// Clients are kept apart: memory is counted as bytes arrive and one client holds
// a share of it, uploads have a least rate, decoders serve clients in turns.
// docs/serving.md has all limits.
package serve
