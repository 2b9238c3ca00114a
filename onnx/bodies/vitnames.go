package bodies

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"finetune/internal/dims"
	"finetune/onnx/weights"
)

// hubNames turns names of transformers' vision transformers into timm's, in this order.
// Both forms of transformers are there: what its hub holds, and the modules' names of version 5.
var hubNames = []struct{ from, to string }{
	{"embeddings.patch_embeddings.projection.", "patch_embed.proj."}, {"embeddings.patch_embedding.", "patch_embed.proj."},
	{"embeddings.cls_token", "cls_token"}, {"embeddings.class_embedding", "cls_token"},
	{"embeddings.distillation_token", "dist_token"}, {"embeddings.register_tokens", "reg_token"},
	{"embeddings.position_embeddings", "pos_embed"}, {"embeddings.position_embedding.weight", "pos_embed"},
	{"pre_layrnorm.", "norm_pre."}, {"post_layernorm.", "norm."},
	{"cls_classifier.", "head."}, {"distillation_classifier.", "head_dist."}, {"classifier.", "head."},
	{"head.probe", "attn_pool.latent"}, {"head.attention.in_proj_", "attn_pool.qkv."},
	{"head.attention.out_proj.", "attn_pool.proj."}, {"head.layernorm.", "attn_pool.norm."},
	{"head.mlp.", "attn_pool.mlp."},
	{"encoder.layers.", "blocks."}, {"encoder.layer.", "blocks."}, {"layers.", "blocks."},
	{".attention.attention.query.", ".attn.q."}, {".attention.attention.key.", ".attn.k."},
	{".attention.attention.value.", ".attn.v."}, {".attention.output.dense.", ".attn.proj."},
	{".attention.q_proj.", ".attn.q."}, {".attention.k_proj.", ".attn.k."}, {".attention.v_proj.", ".attn.v."},
	{".attention.o_proj.", ".attn.proj."},
	{".self_attn.q_proj.", ".attn.q."}, {".self_attn.k_proj.", ".attn.k."}, {".self_attn.v_proj.", ".attn.v."},
	{".self_attn.out_proj.", ".attn.proj."},
	{".intermediate.dense.", ".mlp.fc1."}, {".output.dense.", ".mlp.fc2."},
	{".layernorm_before.", ".norm1."}, {".layernorm_after.", ".norm2."},
	{".layer_norm1.", ".norm1."}, {".layer_norm2.", ".norm2."},
	{".layer_scale1.lambda1", ".ls1.gamma"}, {".layer_scale2.lambda1", ".ls2.gamma"},
	{"layernorm.", "norm."},
}

// towers stand before the names of an image encoder that is part of a whole.
var towers = []string{"vit.", "deit.", "dinov2.", "dinov2_with_registers.", "vision_model.", "model."}

// elsewhere begin names of what has no part in an image's features: the text's encoder, projections, and what
// pre-training alone needs.
var elsewhere = []string{"text_model.", "text_projection", "visual_projection", "logit_", "mask_token",
	"embeddings.mask_token", "embeddings.position_ids", "pooler."}

// adapt gives a state dict timm's names and the shapes of the network: transformers keeps queries, keys and values
// apart, and a position table may be of another size. hub says whether the names were those of transformers.
func (v vit) adapt(state []weights.Tensor) (adapted []weights.Tensor, hub bool) {
	for _, t := range state {
		name := timmName(t.Name)
		hub = hub || strings.Contains(name, ".attn.q.") || strings.HasPrefix(name, "attn_pool.qkv.")
		t.Name = name
		outside := slices.ContainsFunc(elsewhere, func(s string) bool { return strings.HasPrefix(name, s) })
		if !outside && (v.classes || !strings.HasPrefix(name, "head.")) {
			adapted = append(adapted, t)
		}
	}
	s := tensors{weights.ByName(adapted)}
	for i := range v.depth {
		for _, kind := range []string{"weight", "bias"} {
			at := func(part string) string { return fmt.Sprintf("blocks.%d.attn.%s.%s", i, part, kind) }
			s.join(at("qkv"), at("q"), at("k"), at("v"))
		}
	}
	for _, kind := range []string{"weight", "bias"} {
		s.divide("attn_pool.qkv."+kind, v.width, "attn_pool.q."+kind, "attn_pool.kv."+kind)
	}
	for _, name := range []string{"cls_token", "dist_token", "reg_token", "pos_embed"} {
		if t, ok := s.of[name]; ok && len(t.Shape) > 0 && len(t.Shape) < 3 { // [width] or [tokens, width]
			rows := dims.Product(t.Shape) / max(t.Shape[len(t.Shape)-1], 1)
			t.Shape = []int64{1, rows, t.Shape[len(t.Shape)-1]}
			s.of[name] = t
		}
	}
	v.positioned(s, hub)
	return s.inOrder(adapted), hub
}

func timmName(name string) string {
	for _, t := range towers {
		name = strings.TrimPrefix(name, t)
	}
	for _, r := range hubNames {
		if strings.HasPrefix(r.from, ".") {
			name = strings.Replace(name, r.from, r.to, 1)
		} else if rest, ok := strings.CutPrefix(name, r.from); ok {
			name = r.to + rest
		}
	}
	return name
}

// positioned makes the position table one of the network's patches. Where the network adds positions to patches
// alone, the class's position is added to its token, as it would be in any case.
func (v vit) positioned(s tensors, hub bool) {
	t, ok := s.of["pos_embed"]
	if !ok || len(t.Shape) != 3 || t.Shape[0] != 1 || t.Shape[2] != v.width ||
		int64(len(t.Data)) != dims.Product(t.Shape) {
		return
	}
	table := t.Data
	class, known := s.of["cls_token"]
	if v.apart && sideOf(t.Shape[1]-1) > 0 && known && int64(len(class.Data)) == v.width {
		class.Data = slices.Clone(class.Data)
		for i, p := range table[:v.width] {
			class.Data[i] += p
		}
		s.of["cls_token"], table = class, table[v.width:]
	}
	before := (v.positions() - v.patches()) * v.width
	if int64(len(table)) < before {
		return
	}
	side := sideOf(int64(len(table))/v.width - before/v.width)
	if side == 0 {
		return
	}
	if side != v.side() { // as each library does: that of transformers smooths with registers alone
		table = append(slices.Clone(table[:before]), resampled(table[before:], side, v.side(), v.width, !hub || v.apart)...)
	}
	t.Data, t.Shape = table, []int64{1, int64(len(table)) / v.width, v.width}
	s.of["pos_embed"] = t
}

// sideOf is the side of a square of n, 0 where there is none.
func sideOf(n int64) int64 {
	side := int64(math.Round(math.Sqrt(float64(max(n, 0)))))
	if side*side != n {
		return 0
	}
	return side
}

// tensors are a state dict being changed.
type tensors struct{ of map[string]weights.Tensor }

// join puts parts one below the other, where all are there.
func (s tensors) join(whole string, parts ...string) {
	var out weights.Tensor
	for i, p := range parts {
		t, ok := s.of[p]
		if !ok || len(t.Shape) == 0 || i > 0 && !slices.Equal(t.Shape[1:], out.Shape[1:]) {
			return
		}
		if i == 0 {
			out.Shape = append([]int64{0}, t.Shape[1:]...)
		}
		out.Shape[0] += t.Shape[0]
		out.Data = append(out.Data, t.Data...)
	}
	for _, p := range parts {
		delete(s.of, p)
	}
	out.Name = whole
	s.of[whole] = out
}

// divide takes the first rows and the rest of a tensor apart.
func (s tensors) divide(whole string, rows int64, first, rest string) {
	t, ok := s.of[whole]
	if !ok || len(t.Shape) == 0 || t.Shape[0] <= rows || int64(len(t.Data)) != dims.Product(t.Shape) {
		return
	}
	delete(s.of, whole)
	at := rows * dims.Product(t.Shape[1:])
	shape := func(n int64) []int64 { return append([]int64{n}, t.Shape[1:]...) }
	s.of[first] = weights.Tensor{Name: first, Shape: shape(rows), Data: t.Data[:at]}
	s.of[rest] = weights.Tensor{Name: rest, Shape: shape(t.Shape[0] - rows), Data: t.Data[at:]}
}

// inOrder lists the tensors: those of list first, in its order.
func (s tensors) inOrder(list []weights.Tensor) []weights.Tensor {
	var out []weights.Tensor
	for _, t := range list {
		if now, ok := s.of[t.Name]; ok {
			out = append(out, now)
			delete(s.of, t.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.of)) {
		out = append(out, s.of[name])
	}
	return out
}
