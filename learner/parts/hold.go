package parts

import "finetune/internal/rng"

// Held are the training rows that Hold keeps from the training, as if they were a split.
const Held = "held"

// heldParts is from how many parts rows are held at most: to measure them reads these alone,
// however many a job has.
const heldParts = 256

// Hold keeps about n readable rows from the training: of up to 256 parts, drawn by seed, each
// so manieth row, but at most every second one. What was held before is given back.
func (s *Set) Hold(n int, seed uint64) {
	for part, rows := range s.held {
		s.train[part] += rows
	}
	s.held, s.offset = nil, nil
	if n <= 0 {
		return
	}
	var from []int
	total := 0
	for _, part := range rng.New(seed, rng.Text("parts.held")).Perm(len(s.train)) {
		if s.train[part] > 0 && len(from) < heldParts {
			from, total = append(from, part), total+int(s.train[part])
		}
	}
	s.stride, s.held, s.offset = max((total+n-1)/n, 2), make([]int32, len(s.train)), map[int]int{}
	for _, part := range from {
		off := rng.New(seed, rng.Text("parts.held.offset"), uint64(part)).Intn(s.stride)
		s.offset[part] = off
		s.held[part] = int32(max(int(s.train[part])-off+s.stride-1, 0) / s.stride)
		s.train[part] -= s.held[part]
	}
}

// isHeld reports whether readable training row k of a part is kept from the training.
func (s *Set) isHeld(part, k int) bool {
	off, some := s.offset[part]
	return some && k%s.stride == off
}
