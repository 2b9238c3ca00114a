package bodies

import (
	"fmt"
	"math"

	"finetune/onnx/graph"
)

// vit is a vision transformer. Tensors have timm's names.
//
// Source: Dosovitskiy et al. 2020 (https://arxiv.org/abs/2010.11929), in the form of timm's VisionTransformer, of
// which DeiT, DINOv2, CLIP's and SigLIP's image encoders are variants.
type vit struct {
	width, depth, heads int64 // of a token; of the network; of each attention
	patch, size         int64 // pixels of a patch's side and of the image's
	prefix              int64 // tokens before those of the patches: the class's, then the distilled one or registers
	distilled           bool  // the second token is that of a distilled teacher
	apart               bool  // positions are those of patches alone (timm's no_embed_class)
	scaled              bool  // layer scale
	preNorm             bool  // CLIP: a norm before the blocks, and no bias of the patches
	pooler              bool  // SigLIP: attention pooling ends the network
	classes             bool  // it may end with a classifier of the first token
	activation          activation
	eps                 float32    // of norms
	hubActivation       activation // with the names of transformers, where that differs
	hubEps              float32
}

// activation adds one to a network.
type activation func(n *net, name, x string) string

func (v vit) side() int64    { return v.size / v.patch }
func (v vit) patches() int64 { return v.side() * v.side() }
func (v vit) tokens() int64  { return v.prefix + v.patches() }

// positions is the number of rows of the position table.
func (v vit) positions() int64 {
	if v.apart {
		return v.patches()
	}
	return v.tokens()
}

// kind is that of the features, and how many tokens are the prefix.
func (v vit) kind() (Kind, int64) {
	if v.pooler {
		return VectorFeatures, 0
	}
	return TokenFeatures, v.prefix
}

// build adds the network's nodes. Between the blocks, tokens are rows [N·T, width]: a linear layer is one Gemm.
func (v vit) build(n *net, image string) (cut string, channels int64) {
	b := &vitNet{n, v}
	if n.hub {
		b.eps = v.hubEps
		if v.hubActivation != nil {
			b.activation = v.hubActivation
		}
	}
	x := b.embed(image)
	for i := range v.depth {
		x = b.block(fmt.Sprintf("blocks.%d", i), x)
	}
	x = b.norm("norm", "norm.rows", x)
	if v.pooler {
		x = b.attentionPool("attn_pool", x)
		n.b.Output(x, graph.Float32, "N", v.width)
		return x, v.width
	}
	x = b.shaped("norm", x, -1, v.tokens(), v.width)
	b.classify(x)
	return x, v.width
}

// vitNet is a vision transformer being built.
type vitNet struct {
	*net
	vit
}

// embed makes tokens of the image: rows of patches behind those of the prefix, and their positions.
func (b *vitNet) embed(image string) string {
	w := []string{image, b.param("patch_embed.proj.weight", b.width, 3, b.patch, b.patch)}
	if !b.preNorm {
		w = append(w, b.param("patch_embed.proj.bias", b.width))
	}
	x := b.b.Node("Conv", "patch_embed.proj", w, graph.Ints("kernel_shape", b.patch, b.patch),
		graph.Ints("strides", b.patch, b.patch))
	x = b.shaped("patch_embed.flat", x, -1, b.width, b.patches())
	x = b.b.Node("Transpose", "patch_embed.tokens", []string{x}, graph.Ints("perm", 0, 2, 1))
	position := func() {
		x = b.b.Node("Add", "pos_embed.add", []string{x, b.param("pos_embed", 1, b.positions(), b.width)})
	}
	if b.apart {
		position()
	}
	if b.prefix > 0 {
		x = b.b.Node("Concat", "tokens", append(b.prefixed(x), x), graph.Int("axis", 1))
	}
	if !b.apart {
		position()
	}
	x = b.shaped("rows", x, -1, b.width)
	if b.preNorm {
		x = b.norm("norm_pre", "norm_pre", x)
	}
	return x
}

// prefixed makes the tokens that stand before those of the patches x.
func (b *vitNet) prefixed(x string) []string {
	tokens := []string{b.learned("cls_token", x, 1)}
	if b.distilled {
		return append(tokens, b.learned("dist_token", x, 1))
	}
	if b.prefix > 1 {
		tokens = append(tokens, b.learned("reg_token", x, b.prefix-1))
	}
	return tokens
}

// learned makes a parameter [1, count, width] into tokens of each photograph of x [N, T, width]: they are added to
// rows of zeros, so that no operator needs to know the batch.
func (b *vitNet) learned(name, x string, count int64) string {
	zero := b.ints(name+".before", 0, count, 0, 0, 0, 0)
	padded := b.b.Node("Pad", name+".padded", []string{x, zero})
	zeros := b.b.Node("Slice", name+".zeros", []string{padded, b.ints(name+".from", 0), b.ints(name+".to", count),
		b.ints(name+".axis", 1)})
	return b.b.Node("Add", name+".add", []string{zeros, b.param(name, 1, count, b.width)})
}

// block is attention and two linear layers, around each of which its input is added.
func (b *vitNet) block(name, x string) string {
	y := b.norm(name+".norm1", name+".norm1", x)
	qkv := b.linear(name+".attn.qkv", y, b.width, 3*b.width)
	parts := []string{name + ".attn.q", name + ".attn.k", name + ".attn.v"}
	b.b.NodeN("Split", []string{qkv}, parts, graph.Int("axis", 1))
	y = b.attention(name+".attn", parts[0], parts[1], parts[2], b.tokens())
	x = b.added(name+".attn.add", x, b.scale(name+".ls1", b.linear(name+".attn.proj", y, b.width, b.width)))
	y = b.mlp(name+".mlp", b.norm(name+".norm2", name+".norm2", x))
	return b.added(name+".mlp.add", x, b.scale(name+".ls2", y))
}

// attention makes rows of queries, keys and values into rows of answers. A photograph has so many queries.
func (b *vitNet) attention(name, q, k, v string, queries int64) string {
	size := b.width / b.heads
	split := func(name, x string, count int64, perm ...int64) string {
		x = b.shaped(name+".heads", x, -1, count, b.heads, size)
		return b.b.Node("Transpose", name+".turned", []string{x}, graph.Ints("perm", perm...))
	}
	q = b.b.Node("Mul", name+".q.scaled", []string{q, b.number(1 / math.Sqrt(float64(size)))})
	q, k = split(name+".q", q, queries, 0, 2, 1, 3), split(name+".k", k, b.tokens(), 0, 2, 3, 1)
	v = split(name+".v", v, b.tokens(), 0, 2, 1, 3)
	x := b.b.Node("MatMul", name+".scores", []string{q, k})
	x = b.b.Node("Softmax", name+".softmax", []string{x}, graph.Int("axis", -1))
	x = b.b.Node("MatMul", name+".heads", []string{x, v})
	x = b.b.Node("Transpose", name+".joined", []string{x}, graph.Ints("perm", 0, 2, 1, 3))
	return b.shaped(name+".rows", x, -1, b.width)
}

// attentionPool is SigLIP's end: one learned query asks the tokens, and two layers follow.
func (b *vitNet) attentionPool(name, rows string) string {
	x := b.shaped(name+".tokens", rows, -1, b.tokens(), b.width)
	q := b.shaped(name+".latent.rows", b.learned(name+".latent", x, 1), -1, b.width)
	q = b.linear(name+".q", q, b.width, b.width)
	parts := []string{name + ".k", name + ".v"}
	b.b.NodeN("Split", []string{b.linear(name+".kv", rows, b.width, 2*b.width)}, parts, graph.Int("axis", 1))
	y := b.linear(name+".proj", b.attention(name, q, parts[0], parts[1], 1), b.width, b.width)
	return b.added(name, y, b.mlp(name+".mlp", b.norm(name+".norm", name+".norm", y)))
}

func (b *vitNet) mlp(name, x string) string {
	x = b.linear(name+".fc1", x, b.width, 4*b.width)
	return b.linear(name+".fc2", b.activation(b.net, name+".act", x), 4*b.width, b.width)
}

// classify ends a network that has a classifier with logits, others with their tokens.
func (b *vitNet) classify(x string) {
	_, weight := b.state["head.weight"]
	if !b.classes || len(b.state) > 0 && !weight {
		b.b.Output(x, graph.Float32, "N", b.tokens(), b.width)
		return
	}
	end := func(name, out string, token int64) string {
		x := b.b.Node("Gather", name+".token", []string{x, b.b.Ints(name+".which", nil, []int64{token})},
			graph.Int("axis", 1))
		classes := b.classesOf(name)
		w, bias := b.param(name+".weight", classes, b.width), b.param(name+".bias", classes)
		return b.b.Node("Gemm", out, []string{x, w, bias}, graph.Int("transB", 1))
	}
	if b.distilled { // two classifiers, whose mean counts
		sum := b.added("head.sum", end("head", "head", 0), end("head_dist", "head_dist", 1))
		b.b.Node("Mul", "logits", []string{sum, b.number(.5)})
	} else {
		end("head", "logits", 0)
	}
	b.b.Output("logits", graph.Float32, "N", b.classesOf("head"))
}

func (b *vitNet) scale(name, x string) string {
	if !b.scaled {
		return x
	}
	return b.b.Node("Mul", name, []string{x, b.param(name+".gamma", b.width)})
}

func (b *vitNet) norm(name, output, x string) string {
	w, bias := b.param(name+".weight", b.width), b.param(name+".bias", b.width)
	return b.b.Node("LayerNormalization", output, []string{x, w, bias}, graph.Float("epsilon", b.eps),
		graph.Int("axis", -1))
}

func (n *net) added(name, x, y string) string { return n.b.Node("Add", name, []string{x, y}) }

// linear is a layer of rows: weight [out, in] and bias.
func (n *net) linear(name, x string, in, out int64) string {
	w, bias := n.param(name+".weight", out, in), n.param(name+".bias", out)
	return n.b.Node("Gemm", name, []string{x, w, bias}, graph.Int("transB", 1))
}

func (n *net) shaped(name, x string, shape ...int64) string {
	return n.b.Node("Reshape", name, []string{x, n.ints(name+".shape", shape...)})
}

func (n *net) ints(name string, v ...int64) string { return n.b.Ints(name, []int64{int64(len(v))}, v) }

// number is a constant, which is not trained.
func (n *net) number(v float64) string { return n.b.Init("", nil, []float32{float32(v)}) }

// gelu is x/2·(1 + erf(x/√2)).
func gelu(n *net, name, x string) string {
	y := n.b.Node("Div", name+".div", []string{x, n.number(math.Sqrt2)})
	y = n.b.Node("Erf", name+".erf", []string{y})
	y = n.added(name+".plus", y, n.number(1))
	y = n.b.Node("Mul", name+".mul", []string{x, y})
	return n.b.Node("Mul", name, []string{y, n.number(.5)})
}

// quickGELU is x·σ(1.702·x), as OpenAI trained CLIP with.
func quickGELU(n *net, name, x string) string {
	y := n.b.Node("Mul", name+".steep", []string{x, n.number(1.702)})
	return n.b.Node("Mul", name, []string{x, n.b.Node("Sigmoid", name+".gate", []string{y})})
}

// tanhGELU is x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), SigLIP's in transformers; timm's is gelu.
func tanhGELU(n *net, name, x string) string {
	y := n.b.Node("Mul", name+".square", []string{x, x})
	y = n.b.Node("Mul", name+".cube", []string{y, x})
	y = n.b.Node("Mul", name+".part", []string{y, n.number(.044715)})
	y = n.b.Node("Mul", name+".inner", []string{n.added(name+".sum", x, y), n.number(math.Sqrt(2 / math.Pi))})
	y = n.added(name+".plus", n.b.Node("Tanh", name+".tanh", []string{y}), n.number(1))
	y = n.b.Node("Mul", name+".mul", []string{x, y})
	return n.b.Node("Mul", name, []string{y, n.number(.5)})
}
