// Package artifacts writes the files that full fine-tuning runs, so that any
// program with any ONNX Runtime can do it too:
//
// One step is: run the training model, run the optimizer model on what it gave,
// take the new values. N is the batch, any size of 2 or more.
//
//	training_model.onnx
//	  in   image            float32 [N, 3, size, size]   preprocessed as the body asks
//	       labels           int64 [N], or float32 [N, classes] 0/1 if labels may hold together
//	       class_weights    float32 [classes]            ones for none
//	       label_smoothing  float32 []
//	       loss_scale       float32 []                   1, or this micro-batch's share of the batch
//	       PARAM            every trainable parameter, by its name in the body or "head." and a number
//	       STAT             every running mean and variance that moves
//	       mask.NODE        float32, one a Dropout: 0 or 1/(1-rate); Manifest.Masks says which rate and shape
//	  out  logits           float32 [N, classes]
//	       loss             float32 [1]                  the mean, not scaled
//	       grad.PARAM       d(loss*loss_scale)/dPARAM
//	       next.STAT        the running statistic after this batch
//	eval_model.onnx         statistics as given, no dropout
//	  in   image, labels, class_weights, label_smoothing, loss_scale, PARAM, STAT
//	  out  logits, loss
//	optimizer_model.onnx    for SGD with momentum, or AdamW
//	  in   PARAM, grad.PARAM, momentum.PARAM             and variance.PARAM for AdamW; zeros before the first step
//	       rate.GROUP, decay.GROUP   float32 []          one pair a layer group that trains
//	       clip             float32 []                   largest global norm of the gradients, 0 for no limit
//	       momentum         float32 []                   SGD
//	       beta1, beta2, epsilon, step  float32 []       AdamW; step counts from 1
//	  out  next.PARAM, next.momentum.PARAM (next.variance.PARAM), norm float32 [1]
//	checkpoint.safetensors  PARAM, STAT, momentum.PARAM (variance.PARAM) before the first step
//
// An output may be written over the input that it replaces (next.PARAM over
// PARAM and so on): each is the last to read it.
//
// The update, with g the clipped gradient, is PyTorch's SGD and AdamW:
//
//	SGD    m = momentum*m + g + decay*p;  p -= rate*m
//	AdamW  p *= 1 - rate*decay
//	       m = beta1*m + (1-beta1)*g;  v = beta2*v + (1-beta2)*g*g
//	       p -= rate * m/(1-beta1^step) / (sqrt(v/(1-beta2^step)) + epsilon)
//
// The parameters of Manifest.NoDecay have a decay of 0.
//
// SGD with Options.Decoupled takes the decay off as AdamW does.
//
// Where the first layers are frozen and their outputs are kept (Options.Prefix),
// there is a prefix_model.onnx too, from the image to the one tensor that leaves
// them; training and evaluation model then take that tensor instead of the image.
//
// The Manifest, in the metadata of the training model under "finetune.artifacts",
// lists all names. A training model with Block 0 runs anywhere; another one only
// on a CPU whose ORT kernels have that block (onnx.BlockSize).
package artifacts
