//go:build linux && amd64

// Convolutions by oneDNN: forward, the gradient of the input and that of the filter.
#include "ops.h"

static const char no_filter[] = "its filter cannot be described";

void need(made *m, int status, const char *what) {
	if (status && !m->failed) m->failed = what;
}

static int type(const made *m) { return m->k->r->bf16 ? DNN_BF16 : DNN_F32; }

// last describes activations [n, c, h, w] that lie channels last.
static md last(made *m, const int64_t s[4]) {
	md d = NULL;
	const int64_t strides[4] = {s[1] * s[2] * s[3], 1, s[3] * s[1], s[1]};
	need(m, dnn.dnnl_memory_desc_create_with_strides(&d, 4, s, type(m), strides), "its activations cannot be described");
	return d;
}

static int64_t reach(const window *w, int i) { return (w->kernel[i] - 1) * w->dilations[i] + 1; }

// geometry reads the shapes of a convolution of x [n, h, w, c] to y with filter [o, i, kh, kw].
static void geometry(made *m, const int64_t *x, const int64_t *y, const int64_t *f) {
	const window *w = &m->k->w;
	memcpy(m->x, (int64_t[4]){x[0], x[3], x[1], x[2]}, sizeof m->x);
	memcpy(m->y, (int64_t[4]){y[0], y[3], y[1], y[2]}, sizeof m->y);
	if (w->group > 1) {
		m->ranks = 5;
		memcpy(m->f, (int64_t[5]){w->group, f[0] / w->group, f[1], f[2], f[3]}, sizeof m->f);
	} else {
		m->ranks = 4;
		memcpy(m->f, f, 4 * sizeof *f);
	}
	for (int i = 0; i < 2; i++) {
		m->strides[i] = w->strides[i];
		m->dilates[i] = w->dilations[i] - 1;
		m->before[i] = w->pads[i];
		// what follows from the output's size: oneDNN wants no border that is never read
		int64_t read = (m->y[2 + i] - 1) * w->strides[i] + reach(w, i) - m->x[2 + i] - w->pads[i];
		m->after[i] = read > 0 ? read : 0;
	}
	m->src = last(m, m->x);
	m->dst = last(m, m->y);
	need(m, dnn.dnnl_memory_desc_create_with_tag(&m->filter, m->ranks, m->f, type(m), DNN_ANY), no_filter);
	need(m, dnn.dnnl_primitive_attr_create(&m->attr), "no attributes");
	if (!m->failed) need(m, dnn.dnnl_primitive_attr_set_scratchpad_mode(m->attr, DNN_SCRATCHPAD_USER), "no scratchpad");
}

// after adds what the forward convolution does in its pass: another term, then limits.
static void after(made *m, int sum) {
	kernel *k = m->k;
	if (!sum && k->low == -INFINITY && k->high == INFINITY) return;
	need(m, dnn.dnnl_post_ops_create(&m->post), "no operations after it");
	if (m->failed) return;
	if (sum) need(m, dnn.dnnl_post_ops_append_binary(m->post, DNN_BINARY_ADD, m->dst), "no sum after it");
	if (k->low != -INFINITY || k->high != INFINITY)
		need(m, dnn.dnnl_post_ops_append_eltwise(m->post, DNN_CLIP, k->low, k->high), "no limits after it");
	need(m, dnn.dnnl_primitive_attr_set_post_ops(m->attr, m->post), "no operations after it");
}

static void forward_desc(made *m, void **desc, const void *attr) {
	if (m->failed) return;
	need(m, dnn.dnnl_convolution_forward_primitive_desc_create(desc, dnn.engine, DNN_FORWARD_TRAINING,
		DNN_CONVOLUTION_DIRECT, m->src, m->filter, m->bias, m->dst, m->strides, m->dilates, m->before, m->after, attr),
		"oneDNN has no such convolution");
}

// argument adds one to the plan; its data come with each run.
void argument(made *m, int what, md d) {
	plan *p = m->p;
	if (m->failed) return;
	need(m, dnn.dnnl_memory_create(&p->memory[p->count], d, dnn.engine, NULL), "no memory for its arguments");
	p->args[p->count] = (exec_arg){what, p->memory[p->count]};
	p->count++;
}

// filter notes how the primitive wants its filter, or gives its gradient.
static void filter(made *m, int which, int what, int type) {
	if (m->failed) return;
	md d = dnn.dnnl_primitive_desc_query_md(m->desc, which, 0);
	m->p->weights = dnn.dnnl_memory_desc_get_size(d);
	if (!layout_of(&m->p->filter, d, type)) m->failed = "oneDNN keeps this filter in no known layout";
	argument(m, what, d);
}

// own reports a depthwise convolution for which oneDNN has no kernel of that kind: it has none for most borders that
// differ from side to side, and its general one takes ten times as long.
static int own(const made *m) {
	const char *name = NULL;
	const window *w = &m->k->w;
	return m->forward && w->group > 1 && w->group == m->x[1] && w->group == m->y[1] &&
		w->kernel[0] * w->kernel[1] <= MOST_TAPS && !dnn.dnnl_primitive_desc_query(m->desc, DNN_NAME, 0, &name) &&
		!strstr(name, "dw");
}

void finish(made *m) {
	if (m->desc) {
		m->p->own = own(m);
		md scratch = dnn.dnnl_primitive_desc_query_md(m->desc, DNN_SCRATCHPAD_MD, 0);
		m->p->scratch = scratch ? dnn.dnnl_memory_desc_get_size(scratch) : 0;
		if (m->p->scratch) argument(m, ARG_SCRATCHPAD, scratch);
		if (!m->failed) need(m, dnn.dnnl_primitive_create(&m->p->primitive, m->desc), "oneDNN makes no such operator");
	}
	md owned[] = {m->src, m->filter, m->dst, m->bias};
	for (int i = 0; i < 4; i++)
		if (owned[i]) dnn.dnnl_memory_desc_destroy(owned[i]);
	if (m->forward && m->forward != m->desc) dnn.dnnl_primitive_desc_destroy(m->forward);
	if (m->desc) dnn.dnnl_primitive_desc_destroy(m->desc);
	if (m->post) dnn.dnnl_post_ops_destroy(m->post);
	if (m->attr) dnn.dnnl_primitive_attr_destroy(m->attr);
	if (m->failed) free_plan(m->p);
}

void free_plan(plan *p) {
	for (int i = 0; i < 6; i++)
		if (p->memory[i]) dnn.dnnl_memory_destroy(p->memory[i]);
	free(p->filter.row);
	if (p->primitive) dnn.dnnl_primitive_destroy(p->primitive);
	memset(p, 0, sizeof *p);
}

// planned finds the plan of a shape, or makes room for it, which fresh says.
plan *planned(kernel *k, const int64_t key[8], int *fresh) {
	for (int i = 0; i < PLANS; i++)
		if (k->plans[i].primitive && !memcmp(k->plans[i].key, key, sizeof k->plans[i].key)) {
			*fresh = 0;
			return &k->plans[i];
		}
	plan *p = &k->plans[k->next];
	k->next = (k->next + 1) % PLANS;
	free_plan(p);
	memcpy(p->key, key, sizeof p->key);
	*fresh = 1;
	return p;
}

// arguments gives a primitive's arguments their data, in order; the rest is scratch memory.
static const char *arguments(const plan *p, void *const data[], int given, void *scratch) {
	for (int i = 0; i < p->count; i++)
		if (dnn.dnnl_memory_set_data_handle(p->memory[i], i < given ? data[i] : scratch)) return "its memory cannot be set";
	return NULL;
}

// stream is that of the thread: one may not be used by two at once.
static void *stream(void) {
	static __thread void *own;
	if (!own && dnn.dnnl_stream_create(&own, dnn.engine, DNN_IN_ORDER)) own = NULL;
	return own;
}

// run_plain executes a plan whose arguments are all given.
const char *run_plain(const plan *p, void *const data[], int given) {
	void *s = stream(), *scratch = p->scratch ? take_scratch(p->scratch) : NULL;
	const char *failed = !s || p->scratch && !scratch ? "out of memory" : arguments(p, data, given, scratch);
	if (!failed && (dnn.dnnl_primitive_execute(p->primitive, s, p->count, p->args) || dnn.dnnl_stream_wait(s)))
		failed = "oneDNN failed";
	give_scratch(scratch);
	return failed;
}

// run executes a plan. Of data the one that is NULL is the filter: laid out before, or its gradient brought back after.
static const char *run(kernel *k, const plan *p, float *filter, void *const data[], int given, int gradient) {
	void *weights = take_scratch(p->weights), *all[6];
	TRY(sized("out of memory", weights != NULL));
	for (int i = 0; i < given; i++) all[i] = data[i] ? data[i] : weights;
	if (!gradient) pack(k, &p->filter, filter, weights, p->weights, k->r->bf16);
	const char *failed = run_plain(p, all, given);
	if (!failed && gradient) unpack(k, &p->filter, weights, filter);
	give_scratch(weights);
	return failed;
}

// conv_forward: x [n, h, w, c], filter [o, i, kh, kw], bias [o] or none, sum like y or none -> y.
COMPUTE(conv_forward) {
	tensor x, f, bias, sum, y;
	TRY(input(k, context, 0, &x));
	TRY(input(k, context, 1, &f));
	TRY(input(k, context, 2, &bias));
	TRY(input(k, context, 3, &sum));
	TRY(sized("x needs 4 axes and the filter too", x.rank == 4 && f.rank == 4 && x.shape[3] == f.shape[1] * k->w.group));
	const window *w = &k->w;
	int64_t shape[4] = {x.shape[0], 0, 0, f.shape[0]};
	for (int i = 0; i < 2; i++)
		shape[1 + i] = (x.shape[1 + i] + w->pads[i] + w->pads[2 + i] - reach(w, i)) / w->strides[i] + 1;
	TRY(sized("its window is larger than x", shape[1] > 0 && shape[2] > 0));
	TRY(sized("sum has another shape", !sum.data || sum.rank == 4 && !memcmp(sum.shape, shape, sizeof shape)));
	TRY(output(k, context, 0, 4, shape, &y));
	if (!elements(&y)) return NULL;
	int fresh;
	int64_t key[8] = {x.shape[0], x.shape[1], x.shape[2], x.shape[3], f.shape[0], f.shape[1], bias.data != NULL,
		sum.data != NULL};
	plan *p = planned(k, key, &fresh);
	if (fresh) {
		made m = {.k = k, .p = p};
		geometry(&m, x.shape, shape, f.shape);
		if (bias.data)
			need(&m, dnn.dnnl_memory_desc_create_with_strides(&m.bias, 1, &m.y[1], DNN_F32, (int64_t[]){1}), "no bias");
		if (!m.failed) after(&m, sum.data != NULL);
		forward_desc(&m, &m.desc, m.attr);
		argument(&m, ARG_SRC, m.src);
		filter(&m, DNN_WEIGHTS_MD, ARG_WEIGHTS, type(&m));
		argument(&m, ARG_DST, m.dst);
		if (bias.data) argument(&m, ARG_BIAS, m.bias);
		if (sum.data) argument(&m, ARG_POST_OP | ARG_SRC_1, m.dst);
		finish(&m);
		if (m.failed) return m.failed;
	}
	void *data[5] = {x.data, NULL, y.data};
	int given = 3;
	if (bias.data) data[given++] = bias.data;
	if (sum.data) data[given++] = sum.data;
	return run(k, p, f.data, data, given, 0);
}

// conv_grad_input: dy, filter -> dx of size [h, w].
COMPUTE(conv_grad_input) {
	tensor dy, f, dx;
	TRY(input(k, context, 0, &dy));
	TRY(input(k, context, 1, &f));
	TRY(sized("dy needs 4 axes and the filter too", dy.rank == 4 && f.rank == 4 && dy.shape[3] == f.shape[0]));
	int64_t shape[4] = {dy.shape[0], k->w.size[0], k->w.size[1], f.shape[1] * k->w.group};
	TRY(output(k, context, 0, 4, shape, &dx));
	if (!elements(&dx)) return NULL;
	int fresh;
	int64_t key[8] = {dy.shape[0], dy.shape[1], dy.shape[2], dy.shape[3], f.shape[0], f.shape[1]};
	plan *p = planned(k, key, &fresh);
	if (fresh) {
		made m = {.k = k, .p = p};
		geometry(&m, shape, dy.shape, f.shape);
		forward_desc(&m, &m.forward, NULL);
		if (!m.failed)
			need(&m, dnn.dnnl_convolution_backward_data_primitive_desc_create(&m.desc, dnn.engine, DNN_CONVOLUTION_DIRECT,
				m.src, m.filter, m.dst, m.strides, m.dilates, m.before, m.after, m.forward, m.attr),
				"oneDNN has no such gradient");
		argument(&m, ARG_DIFF_DST, m.dst);
		filter(&m, DNN_WEIGHTS_MD, ARG_WEIGHTS, type(&m));
		argument(&m, ARG_DIFF_SRC, m.src);
		finish(&m);
		if (m.failed) return m.failed;
	}
	if (p->own) return depth_grad_input(k, &dy, &f, &dx);
	return run(k, p, f.data, (void *[]){dy.data, NULL, dx.data}, 3, 0);
}

// conv_grad_filter: x, dy -> dfilter [o, i, kh, kw].
COMPUTE(conv_grad_filter) {
	tensor x, dy, df;
	TRY(input(k, context, 0, &x));
	TRY(input(k, context, 1, &dy));
	TRY(sized("x and dy need 4 axes and one batch", x.rank == 4 && dy.rank == 4 && x.shape[0] == dy.shape[0]));
	int64_t shape[4] = {dy.shape[3], x.shape[3] / k->w.group, k->w.kernel[0], k->w.kernel[1]};
	TRY(output(k, context, 0, 4, shape, &df));
	if (!elements(&dy) || !elements(&x)) {
		memset(df.data, 0, elements(&df) * sizeof(float));
		return NULL;
	}
	int fresh;
	int64_t key[8] = {x.shape[0], x.shape[1], x.shape[2], x.shape[3], dy.shape[1], dy.shape[2], dy.shape[3]};
	plan *p = planned(k, key, &fresh);
	if (fresh) {
		made m = {.k = k, .p = p};
		geometry(&m, x.shape, dy.shape, shape);
		forward_desc(&m, &m.forward, NULL);
		md sum = NULL; // in float32: thousands of products are added
		need(&m, dnn.dnnl_memory_desc_create_with_tag(&sum, m.ranks, m.f, DNN_F32, DNN_ANY), no_filter);
		if (!m.failed)
			need(&m, dnn.dnnl_convolution_backward_weights_primitive_desc_create(&m.desc, dnn.engine,
				DNN_CONVOLUTION_DIRECT, m.src, sum, NULL, m.dst, m.strides, m.dilates, m.before, m.after, m.forward, m.attr),
				"oneDNN has no such gradient");
		argument(&m, ARG_SRC, m.src);
		argument(&m, ARG_DIFF_DST, m.dst);
		filter(&m, DNN_DIFF_WEIGHTS_MD, ARG_DIFF_WEIGHTS, DNN_F32);
		finish(&m);
		if (sum) dnn.dnnl_memory_desc_destroy(sum);
		if (m.failed) return m.failed;
	}
	if (p->own) return depth_grad_filter(k, &x, &dy, &df);
	return run(k, p, df.data, (void *[]){x.data, dy.data, NULL}, 3, 1);
}
