package runs

// UI is how the learner speaks to the person while it works.
type UI interface {
	Say(format string, args ...any)  // news
	Warn(format string, args ...any) // something to look at
	Progress(what, unit string) (report func(done, total int), end func())
	Header(names ...string) // the epoch table
	Row(values ...string)
}

// Mute is a UI that keeps still but for progress.
type Mute struct{ UI }

// Say implements UI.
func (Mute) Say(string, ...any) {}

// Warn implements UI.
func (Mute) Warn(string, ...any) {}

// Header implements UI.
func (Mute) Header(...string) {}

// Row implements UI.
func (Mute) Row(...string) {}
