// Package gradient turns a model that predicts into a graph that trains: from
// an ONNX model and the names of its trainable parameters, the graph of the
// loss and its gradients, made of operators that every ONNX Runtime has.
//
// Build walks the model once forwards (forward.go) and once backwards
// (backward.go), where each operator has a rule that says how the derivative
// of its output becomes that of its inputs. What is worth more than one way of
// computing, the two products of a convolution's derivative above all, is then
// lowered: to standard operators (lower.go) or to ORT's blocked CPU kernels
// (blocked.go).
//
// What a trainable parameter does not reach is copied and never differentiated,
// so a frozen beginning costs its forward pass only.
package gradient
