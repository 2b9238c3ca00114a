// Package gradient turns a model that predicts into a graph that trains. It takes an
// ONNX model and the names of its trainable parameters. It returns the graph of the
// loss and its gradients, made of operators that every ONNX Runtime (ORT) has.
//
// Build walks the model forwards (forward.go), then backwards (backward.go). Each
// operator has a rule, which turns the derivative of its output into those of its
// inputs. Some derivatives can be computed in several ways, above all the two of a
// convolution. They are lowered at the end (package tape): to standard operators, or to
// ORT's blocked CPU kernels.
//
// Nodes that no trainable parameter reaches are copied and not differentiated. Frozen
// layers at the beginning therefore cost their forward pass only.
package gradient
