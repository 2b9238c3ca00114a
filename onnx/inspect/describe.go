// Package inspect describes a network: what `finetune inspect` shows.
package inspect

import (
	"cmp"
	"maps"
	"slices"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
	"finetune/onnx/trainable"
)

// Info is what `finetune inspect` shows of a model.
type Info struct {
	Path       string            `json:"path"`
	Digest     string            `json:"digest"` // SHA-256 of the model as one file
	Producer   string            `json:"producer"`
	IRVersion  int64             `json:"ir_version"`
	Opsets     map[string]int64  `json:"opsets"` // by domain; "ai.onnx" is ONNX's own
	Inputs     []graph.Input     `json:"inputs"`
	Outputs    []graph.Input     `json:"outputs"`
	Cut        string            `json:"cut"`      // "" if there is none
	Channels   int64             `json:"channels"` // at the cut
	CutError   string            `json:"cut_error,omitempty"`
	Training   string            `json:"training_mode,omitempty"` // why it gives no certain answer: see surgery.CheckInference
	Features   *surgery.Cut      `json:"features"`                // nil where there is no cut
	Groups     []trainable.Group `json:"groups"`                  // of the body: all up to the cut
	Parameters int64             `json:"parameters"`              // trainable numbers in the whole model
	Trained    int64             `json:"trained"`                 // numbers of the body that --unfreeze trains
	NotTrained int64             `json:"not_trained"`             // numbers of the body that it leaves as they are
	Total      int64             `json:"total"`                   // numbers in the file
	Functions  int               `json:"functions"`
	Nodes      int               `json:"nodes"`
	Operators  []OperatorCount   `json:"operators"` // most frequent first
	Metadata   map[string]string `json:"metadata"`
}

// OperatorCount is how often an operator occurs.
type OperatorCount struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// Describe inspects a model. A model without a cut has CutError set and is
// described as a whole.
func Describe(m *graph.Model) (Info, error) {
	digest, err := m.Digest()
	if err != nil {
		return Info{}, err
	}
	flat, err := m.Inline()
	if err != nil {
		return Info{}, err
	}
	info := Info{
		Path: m.Path, Digest: digest, IRVersion: m.GetIrVersion(), Producer: m.GetProducerName(),
		Opsets: map[string]int64{}, Metadata: map[string]string{},
		Inputs: m.Inputs(), Outputs: m.Outputs(),
		Functions: len(m.Functions), Nodes: len(flat.Graph.Node), Operators: operators(flat),
	}
	if v := m.GetProducerVersion(); v != "" {
		info.Producer += " " + v
	}
	for _, o := range m.OpsetImport {
		info.Opsets[graph.DomainName(o.GetDomain())] = o.GetVersion()
	}
	for _, p := range m.MetadataProps {
		info.Metadata[p.GetKey()] = p.GetValue()
	}
	if err := surgery.CheckInference(m); err != nil {
		info.Training = err.Error()
	}
	if info.Parameters, err = trainable.Count(flat); err != nil {
		return Info{}, err
	}
	body := flat
	if info.Cut, info.Channels, err = surgery.FindCut(flat); err != nil {
		info.CutError = err.Error()
	} else if body, err = info.cut(flat); err != nil {
		return Info{}, err
	}
	info.Groups, err = trainable.Groups(body)
	for _, g := range info.Groups {
		info.Trained += g.Count
	}
	info.Total, info.NotTrained = numbers(flat), numbers(body)-info.Trained
	return info, err
}

// cut states the features and returns the body before them.
func (info *Info) cut(m *graph.Model) (*graph.Model, error) {
	c, err := surgery.At(m, info.Cut)
	if err != nil {
		return nil, err
	}
	info.Features = &c
	return surgery.CutAt(m, info.Cut)
}

// numbers counts the floating-point numbers that a model holds.
func numbers(m *graph.Model) int64 {
	var n int64
	count := func(t *onnxpb.TensorProto) {
		if graph.IsFloat(t.GetDataType()) {
			n += max(dims.Product(t.Dims), 0)
		}
	}
	for _, t := range m.Graph.Initializer {
		count(t)
	}
	for _, node := range m.Graph.Node {
		if t := graph.Find(node, "value").GetT(); t != nil && m.Op(node).Standard() == "Constant" {
			count(t)
		}
	}
	return n
}

func operators(m *graph.Model) []OperatorCount {
	count := map[string]int{}
	for _, n := range m.Graph.Node {
		name := n.GetOpType()
		if !graph.IsONNX(n.GetDomain()) {
			name = n.GetDomain() + "." + name
		}
		count[name]++
	}
	var list []OperatorCount
	for _, name := range slices.Sorted(maps.Keys(count)) {
		list = append(list, OperatorCount{name, count[name]})
	}
	slices.SortStableFunc(list, func(a, b OperatorCount) int { return cmp.Compare(b.Count, a.Count) })
	return list
}
