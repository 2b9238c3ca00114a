package cli

import "testing"

func TestParseShard(t *testing.T) {
	slurm := map[string]string{"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "4"}
	kubernetes := map[string]string{"JOB_COMPLETION_INDEX": "5"}
	for _, tt := range []struct {
		text string
		env  map[string]string
		want shard
		ok   bool
	}{
		{"", slurm, shard{0, 1}, true},
		{"2/4", nil, shard{2, 4}, true},
		{"/4", slurm, shard{2, 4}, true},
		{"auto", slurm, shard{2, 4}, true},
		{"/8", kubernetes, shard{5, 8}, true},
		{"auto", kubernetes, shard{}, false},
		{"4/4", nil, shard{}, false},
		{"-1/4", nil, shard{}, false},
		{"1", nil, shard{}, false},
		{"/4", nil, shard{}, false},
	} {
		got, err := parseShard(tt.text, func(name string) string { return tt.env[name] })
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("parseShard(%q, %v) = %v, %v; want %v", tt.text, tt.env, got, err, tt.want)
		}
	}
}

func TestShardsMakeTheWhole(t *testing.T) {
	for _, n := range []int{0, 1, 7, 100} {
		at := 0
		for i := range 8 {
			lo, hi := shard{i, 8}.bounds(n)
			if lo != at || hi < lo {
				t.Fatalf("part %d of %d items is [%d, %d), the one before ended at %d", i, n, lo, hi, at)
			}
			at = hi
		}
		if at != n {
			t.Errorf("parts of %d items end at %d", n, at)
		}
	}
}
