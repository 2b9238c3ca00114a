package check

func (r *Result) writePage(path string) error { return nil }
