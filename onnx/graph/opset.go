package graph

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph/onnxpb"
)

// changedBy18 are ONNX's operators whose attributes or inputs changed between the operator sets 13 and 18.
var changedBy18 = []string{"Pad", "Split", "Resize", "Upsample", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd",
	"ReduceL1", "ReduceL2",
	"ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"}

// RaiseOpset declares operator set 18 where the model has an older one and that changes nothing. A node that
// would have to be rewritten is an error that names it, and the model stays as it was.
func (m *Model) RaiseOpset() error {
	const opset = 18
	have := m.Opset()
	if have >= opset {
		return nil
	}
	if len(m.Functions) > 0 {
		return m.Badf("calls functions of its own, which are not rewritten for operator set %d", opset)
	}
	for _, n := range m.Graph.Node {
		if op := m.Op(n); have < 13 || slices.Contains(changedBy18, op.Standard()) {
			return m.Badf("node %s is operator %s, written for operator set %d, which %d changed", Label(n), op, have,
				opset)
		}
	}
	m.OpsetImport = slices.Clone(m.OpsetImport)
	for i, o := range m.OpsetImport {
		if IsONNX(o.GetDomain()) {
			m.OpsetImport[i] = &onnxpb.OperatorSetIdProto{Domain: o.Domain, Version: proto.Int64(opset)}
		}
	}
	return nil
}
