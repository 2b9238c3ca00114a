package graph

import (
	"fmt"
	"slices"

	"finetune/onnx/graph/onnxpb"
)

// Op identifies an operator: a name means something in its domain alone. ONNX's
// own operators have the domain "", however the file writes it.
type Op struct {
	Domain, Name string
	// Local says that the name is that of a function which the model brings along.
	Local bool
}

// Contrib is the domain of ONNX Runtime's additions to ONNX.
const Contrib = "com.microsoft"

// OpOf is the operator of a node in a model without functions.
func OpOf(n *onnxpb.NodeProto) Op {
	if IsONNX(n.GetDomain()) {
		return Op{Name: n.GetOpType()}
	}
	return Op{Domain: n.GetDomain(), Name: n.GetOpType()}
}

// Op is the operator of a node of the model. A function of the model's own
// hides an operator of that domain and name.
func (m *Model) Op(n *onnxpb.NodeProto) Op {
	op := OpOf(n)
	op.Local = slices.ContainsFunc(m.Functions, func(f *onnxpb.FunctionProto) bool {
		return f.GetName() == op.Name && CallID(f.GetDomain(), "", "") == CallID(op.Domain, "", "")
	})
	return op
}

// OwnCall is the first node, graphs inside nodes included, that calls a function
// of the model's own; nil if there is none. Inline replaces such calls.
func (m *Model) OwnCall() *onnxpb.NodeProto {
	if len(m.Functions) == 0 {
		return nil
	}
	return m.ownCall(m.Graph.Node)
}

func (m *Model) ownCall(nodes []*onnxpb.NodeProto) *onnxpb.NodeProto {
	for _, n := range nodes {
		if m.Op(n).Local {
			return n
		}
		for _, sub := range Subgraphs(n) {
			if found := m.ownCall(sub.Node); found != nil {
				return found
			}
		}
	}
	return nil
}

// Standard is the name of one of ONNX's own operators, "" for any other.
func (op Op) Standard() string {
	if op.Domain != "" || op.Local {
		return ""
	}
	return op.Name
}

// String names the operator in messages: "Conv", or with the domain that makes it another one.
func (op Op) String() string {
	domain := DomainName(op.Domain)
	switch {
	case op.Local:
		return fmt.Sprintf("%s, a function of the model's own in domain %q", op.Name, domain)
	case op.Domain != "":
		return fmt.Sprintf("%s of domain %q", op.Name, domain)
	}
	return op.Name
}

// OpsNamed are operators of one domain, as keys of a table.
func OpsNamed[T any](table map[Op]T, domain string, value T, names ...string) {
	for _, name := range names {
		table[Op{Domain: domain, Name: name}] = value
	}
}

// DomainName is what messages call a domain.
func DomainName(domain string) string {
	if IsONNX(domain) {
		return "ai.onnx"
	}
	return domain
}
