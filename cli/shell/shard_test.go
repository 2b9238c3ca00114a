package shell

import "testing"

func TestParseShard(t *testing.T) {
	slurm := map[string]string{"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "4"}
	kubernetes := map[string]string{"JOB_COMPLETION_INDEX": "5"}
	for _, tt := range []struct {
		text string
		env  map[string]string
		want Shard
		ok   bool
	}{
		{"", slurm, Shard{0, 1}, true},
		{"2/4", nil, Shard{2, 4}, true},
		{"/4", slurm, Shard{2, 4}, true},
		{"auto", slurm, Shard{2, 4}, true},
		{"/8", kubernetes, Shard{5, 8}, true},
		{"auto", kubernetes, Shard{}, false},
		{"4/4", nil, Shard{}, false},
		{"-1/4", nil, Shard{}, false},
		{"1", nil, Shard{}, false},
		{"/4", nil, Shard{}, false},
	} {
		got, err := ParseShard(tt.text, func(name string) string { return tt.env[name] })
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseShard(%q, %v) = %v, %v; want %v", tt.text, tt.env, got, err, tt.want)
		}
	}
}

func TestShardsMakeTheWhole(t *testing.T) {
	for _, n := range []int{0, 1, 7, 100} {
		at := 0
		for i := range 8 {
			lo, hi := Shard{i, 8}.Bounds(n)
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
