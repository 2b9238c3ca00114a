// Package serve answers photographs over HTTP with the probabilities of a
// classifier.
//
//	s := serve.New(classifier, serve.Options{})
//	err := s.ListenAndServe(ctx, "127.0.0.1:8080") // until ctx ends, then finishes what it has
//
//	POST /predict   one image file as the body; or a multipart form, each file a
//	                photograph; or JSON {"images": ["BASE64", …]}
//	GET  /healthz   200 {"status":"ok"}, 503 while it shuts down
//	GET  /metrics   Prometheus text
//
// Photographs are decoded by several goroutines and predicted together: a batch
// leaves when it is full or its first photograph has waited long enough. What is
// wrong with one photograph or one client is that client's answer alone.
package serve
